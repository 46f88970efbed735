package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	filesystempb "skerry.dev/guest/proto/filesystem"
	processpb "skerry.dev/guest/proto/process"
)

const secondSecret = "boot-secret-of-the-second-life"

// hookAnswer is what an answer says of hooks.
type hookAnswer struct {
	Hooks []struct {
		Path       string
		ExitCode   *int
		DurationMs int64
		Output     string
	}
}

// suspend asks for a suspension and returns the answer.
func (g *guest) suspend(purpose string) hookAnswer {
	g.t.Helper()
	status, answer := g.controlCall(testSecret, "POST", "/suspend", map[string]any{"for": purpose, "hooksDeadlineMs": 2000})
	if status != http.StatusOK {
		g.t.Fatalf("/suspend answered %d: %s", status, answer)
	}
	return parseHooks(g.t, answer)
}

func parseHooks(t testing.TB, text string) (answer hookAnswer) {
	t.Helper()
	must(t, json.Unmarshal([]byte(text), &answer))
	return answer
}

func (g *guest) resume() {
	g.t.Helper()
	if status, answer := g.controlCall(testSecret, "POST", "/resume", map[string]any{}); status != http.StatusOK {
		g.t.Fatalf("/resume answered %d: %s", status, answer)
	}
}

// renew makes the guest believe that it was restored: the environment has another secret.
func (g *guest) renew(secret string) {
	g.t.Helper()
	write(g.t, filepath.Join(g.root, "environ"), "PATH=/bin\x00"+secretVariable+"="+secret+"\x00LAST=x\x00")
}

func (g *guest) restore(secret, as, generationID string, changes map[string]any) (int, string) {
	body := map[string]any{
		"protocolVersion": 1, "bootId": "bt2", "sandboxId": "sb2", "generation": 2, "accessToken": testToken, "hostname": "sandbox-two",
		"defaultUser": "user", "env": map[string]string{"GLOBAL": "two"}, "generationId": generationID,
		"restored": map[string]any{"as": as, "savedAtUnixMs": time.Now().UnixMilli()},
	}
	for name, value := range changes {
		body[name] = value
	}
	return g.controlCall(secret, "POST", "/init", body)
}

// hook puts a program into the sandbox's own directory of hooks.
func (g *guest) hook(name, script string) string {
	g.t.Helper()
	path := filepath.Join(g.root, "etc/skerry/hooks", name)
	must(g.t, os.MkdirAll(filepath.Dir(path), 0o755))
	write(g.t, path, script)
	must(g.t, os.Chmod(path, 0o755))
	return "/etc/skerry/hooks/" + name
}

func id(digit string) string { return strings.Repeat(digit, 32) }

// later runs call in the background and returns a channel with what it returned.
func later[T any](call func() T) <-chan T {
	done := make(chan T, 1)
	go func() { done <- call() }()
	return done
}

func (g *guest) status(path string) int {
	response, err := http.Get("http://" + g.public + path)
	if err != nil {
		return -1
	}
	_ = response.Body.Close()
	return response.StatusCode
}

func stillWaits[T any](t testing.TB, done <-chan T) {
	t.Helper()
	select {
	case got := <-done:
		t.Fatalf("a request was answered while the guest is held: %v", got)
	case <-time.After(150 * time.Millisecond):
	}
}

func TestSuspendAndResume(t *testing.T) {
	g := startGuest(t)
	t.Run("/suspend refuses what it does not know", func(t *testing.T) {
		for _, body := range []map[string]any{{}, {"for": "x"}, {"for": "pause", "hooksDeadlineMs": -1}, {"for": "pause", "hooksDeadlineMs": 1 << 40}} {
			if status, answer := g.controlCall(testSecret, "POST", "/suspend", body); status != 400 {
				t.Fatalf("%v: got %d %s", body, status, answer)
			}
		}
	})
	t.Run("requests wait between /suspend and /resume, and are answered then", func(t *testing.T) {
		for _, purpose := range []string{"snapshot", "pause"} {
			g.suspend(purpose)
			g.suspend(purpose)
			health := later(func() int { return g.status("/health") })
			generation := later(func() int { return g.status("/generation") })
			listed := later(func() error {
				_, err := g.processes("").List(context.Background(), connect.NewRequest(&processpb.ListRequest{}))
				return err
			})
			stillWaits(t, health)
			stillWaits(t, generation)
			stillWaits(t, listed)
			if _, answer := g.controlCall(testSecret, "GET", "/info", nil); !strings.Contains(answer, `"held":true`) {
				t.Fatalf("got %s", answer)
			}
			g.resume()
			g.resume()
			if got := <-health; got != 204 {
				t.Fatalf("got %d", got)
			}
			if got := <-generation; got != 200 {
				t.Fatalf("got %d", got)
			}
			must(t, <-listed)
		}
	})
	t.Run("a client that leaves while it waits starts nothing", func(t *testing.T) {
		g.suspend("snapshot")
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		stream, err := g.processes("").Start(ctx, connect.NewRequest(shell("sleep 93")))
		if err == nil && stream.Receive() {
			t.Fatal("a process was started")
		}
		g.resume()
		time.Sleep(100 * time.Millisecond)
		if out := g.script("root", "pgrep -c -x -f 'sleep 93' || true"); out != "0\n" {
			t.Fatalf("got %s", out)
		}
	})
	t.Run("more requests than can wait are refused, and no more memory is taken", func(t *testing.T) {
		g.suspend("snapshot")
		var waiting sync.WaitGroup
		var mu sync.Mutex
		counts := map[int]int{}
		client := &http.Client{Transport: &http.Transport{}}
		for range 700 {
			waiting.Go(func() {
				response, err := client.Get("http://" + g.public + "/health")
				status := -1
				if err == nil {
					status = response.StatusCode
					_ = response.Body.Close()
				}
				mu.Lock()
				defer mu.Unlock()
				counts[status]++
			})
		}
		waitUntil(t, 20*time.Second, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return counts[503] == 700-512
		})
		g.resume()
		waiting.Wait()
		client.CloseIdleConnections()
		if counts[204] != 512 || counts[503] != 188 {
			t.Fatalf("got %v", counts)
		}
	})
	t.Run("/shutdown works on a held guest and ends what waits", func(t *testing.T) {
		g.suspend("snapshot")
		health := later(func() int { return g.status("/health") })
		stillWaits(t, health)
		if status, answer := g.controlCall(testSecret, "POST", "/shutdown", map[string]int{"graceMs": 200}); status != 200 {
			t.Fatalf("got %d %s", status, answer)
		}
		if got := <-health; got != 503 {
			t.Fatalf("got %d", got)
		}
		must(t, g.command.Wait())
	})
}

// counter prints numbers until it is killed; so every gap and every repetition is seen.
const counter = "i=0; while :; do echo $i; i=$((i+1)); done"

// checkNumbers fails unless text is the numbers from first on, and returns the next one. A cut last line is not counted.
func checkNumbers(t testing.TB, text string, first int) {
	t.Helper()
	lines := strings.Split(text, "\n")
	for index, line := range lines[:len(lines)-1] {
		if line != fmt.Sprint(first+index) {
			t.Fatalf("line %d is %q, want %d", index, line, first+index)
		}
	}
}

func TestStreamsOverAPause(t *testing.T) {
	t.Run("a pause ends every stream with an error, and the next client gets exactly the rest", func(t *testing.T) {
		g := startGuest(t)
		stream, err := g.processes("").Start(context.Background(), connect.NewRequest(shell("trap 'exit 0' TERM; "+counter)))
		must(t, err)
		first := later(func() collected {
			return collectAll(stream, func() *processpb.ProcessEvent { return stream.Msg().GetEvent() })
		})
		waitUntil(t, 10*time.Second, func() bool { _, err := g.stat("/tmp"); return err == nil })
		time.Sleep(300 * time.Millisecond)
		var seen strings.Builder
		for round := range 4 {
			g.suspend("pause")
			got := <-first
			wantCode(t, got.err, connect.CodeUnavailable, "the sandbox is being paused")
			if got.dropped != 0 {
				t.Fatalf("%d bytes were dropped", got.dropped)
			}
			seen.WriteString(got.stdout)
			next := later(func() collected { return g.attach(got.pid) })
			stillWaits(t, next)
			g.resume()
			first = next
			time.Sleep(time.Duration(50+50*round) * time.Millisecond)
		}
		pid := (<-later(func() result { g.suspend("pause"); got := <-first; seen.WriteString(got.stdout); return got.result })).pid
		g.resume()
		_, err = g.processes("").SendSignal(context.Background(), connect.NewRequest(&processpb.SendSignalRequest{Process: byPid(pid), Signal: processpb.Signal_SIGNAL_SIGTERM}))
		must(t, err)
		last := g.attach(pid)
		must(t, last.err)
		seen.WriteString(last.stdout)
		if last.dropped != 0 || last.end.GetExitCode() != 0 {
			t.Fatalf("got %d dropped, end %v", last.dropped, last.end)
		}
		checkNumbers(t, seen.String(), 0)
	})
	t.Run("a snapshot ends no stream, and not a byte is sent while the guest is held", func(t *testing.T) {
		g := startGuest(t)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		stream, err := g.processes("").Start(ctx, connect.NewRequest(shell(counter)))
		must(t, err)
		var mu sync.Mutex
		var text strings.Builder
		size := func() int {
			mu.Lock()
			defer mu.Unlock()
			return text.Len()
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for stream.Receive() {
				mu.Lock()
				text.Write(stream.Msg().GetEvent().GetData().GetStdout())
				mu.Unlock()
			}
		}()
		waitUntil(t, 10*time.Second, func() bool { return size() > 0 })
		for range 5 {
			g.suspend("snapshot")
			// What was sent before may still be on its way through this process.
			time.Sleep(200 * time.Millisecond)
			before := size()
			time.Sleep(100 * time.Millisecond)
			if size() != before {
				t.Fatal("output was sent while the guest was held")
			}
			g.resume()
			waitUntil(t, 10*time.Second, func() bool { return size() > before })
		}
		cancel()
		<-done
		checkNumbers(t, text.String(), 0)
	})
	t.Run("terminals, watches and input streams end as well", func(t *testing.T) {
		g := startGuest(t)
		pid, _ := g.launch("", shell("sleep 60"))
		terminal, err := g.processes("").Start(context.Background(), connect.NewRequest(&processpb.StartRequest{
			Process: &processpb.ProcessConfig{Cmd: "/bin/bash", Args: []string{"--norc", "-i"}}, Pty: &processpb.PTY{},
		}))
		must(t, err)
		terminalEnd := later(func() error {
			for terminal.Receive() {
			}
			return terminal.Err()
		})
		watch, err := g.filesystem("").WatchDir(context.Background(), connect.NewRequest(&filesystempb.WatchDirRequest{Path: "/home/user"}))
		must(t, err)
		if !watch.Receive() {
			t.Fatal(watch.Err())
		}
		watchEnd := later(func() error {
			for watch.Receive() {
			}
			return watch.Err()
		})
		request := shell("cat > /home/user/input")
		request.Stdin = nil
		reader, _ := g.launch("", request)
		input := g.processes("").StreamInput(context.Background())
		must(t, input.Send(&processpb.StreamInputRequest{Event: &processpb.StreamInputRequest_Start{Start: &processpb.StreamInputRequest_StartEvent{Process: byPid(reader)}}}))
		must(t, input.Send(&processpb.StreamInputRequest{Event: &processpb.StreamInputRequest_Data{Data: &processpb.StreamInputRequest_DataEvent{
			Input: &processpb.ProcessInput{Input: &processpb.ProcessInput_Stdin{Stdin: []byte("typed\n")}},
		}}}))
		waitUntil(t, 10*time.Second, func() bool { got, _ := os.ReadFile(filepath.Join(g.home, "input")); return string(got) == "typed\n" })
		g.suspend("pause")
		wantCode(t, <-terminalEnd, connect.CodeUnavailable, "being paused")
		wantCode(t, <-watchEnd, connect.CodeUnavailable, "being paused")
		_, err = input.CloseAndReceive()
		wantCode(t, err, connect.CodeUnavailable, "being paused")
		g.resume()
		list, err := g.processes("").List(context.Background(), connect.NewRequest(&processpb.ListRequest{}))
		must(t, err)
		if len(list.Msg.GetProcesses()) != 3 || g.script("", fmt.Sprintf("kill -0 %d", pid)) != "" {
			t.Fatalf("got %v", list.Msg)
		}
	})
	t.Run("a client that does not read cannot delay a pause, and its connection is cut", func(t *testing.T) {
		g := startGuest(t)
		stream, err := g.processes("").Start(context.Background(), connect.NewRequest(shell("head -c 60000000 /dev/urandom; echo done; sleep 60")))
		must(t, err)
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
		pid := stream.Msg().GetEvent().GetStart().GetPid()
		time.Sleep(700 * time.Millisecond)
		g.suspend("pause")
		if !strings.Contains(g.log.String(), "Some answers are not finished") {
			t.Fatal("the client was not noticed")
		}
		g.resume()
		other, err := g.processes("").Connect(context.Background(), connect.NewRequest(&processpb.ConnectRequest{Process: byPid(pid)}))
		must(t, err)
		defer other.Close()
		var text strings.Builder
		for !strings.HasSuffix(text.String(), "done\n") && other.Receive() {
			text.Write(other.Msg().GetEvent().GetData().GetStdout())
		}
		if !strings.HasSuffix(text.String(), "done\n") {
			t.Fatalf("got %d bytes: %v", text.Len(), other.Err())
		}
		for stream.Receive() {
		}
		if stream.Err() == nil {
			t.Fatal("the first client's stream ended as if all was well")
		}
	})
	t.Run("a pause ends an upload that does not come to its end", func(t *testing.T) {
		g := startGuest(t)
		reader, writer := io.Pipe()
		defer writer.Close()
		failed := later(func() error {
			request, _ := http.NewRequest("POST", "http://"+g.public+"/files?path=/home/user/half", reader)
			request.Header.Set("X-Access-Token", testToken)
			request.Header.Set("Content-Type", "application/octet-stream")
			response, err := http.DefaultTransport.RoundTrip(request)
			if err == nil {
				_ = response.Body.Close()
				if response.StatusCode >= 400 {
					err = fmt.Errorf("status %d", response.StatusCode)
				}
			}
			return err
		})
		_, _ = writer.Write([]byte("begin"))
		time.Sleep(200 * time.Millisecond)
		g.suspend("pause")
		// Until its body ends, the client's library does not look at what became of the connection.
		_ = writer.CloseWithError(io.ErrUnexpectedEOF)
		if err := <-failed; err == nil {
			t.Fatal("the upload succeeded")
		}
		if left, _ := filepath.Glob(filepath.Join(g.home, ".skerry-upload-*")); len(left) > 0 {
			t.Fatalf("left behind: %v", left)
		}
		g.resume()
	})
}

// collected is a stream's content and its error.
type collected struct {
	result
	err error
}

func collectAll(stream eventStream, event func() *processpb.ProcessEvent) collected {
	got, err := collect(stream, event)
	return collected{got, err}
}

func (g *guest) attach(pid uint32) collected {
	stream, err := g.processes("").Connect(context.Background(), connect.NewRequest(&processpb.ConnectRequest{Process: byPid(pid)}))
	if err != nil {
		return collected{err: err}
	}
	defer stream.Close()
	return collectAll(stream, func() *processpb.ProcessEvent { return stream.Msg().GetEvent() })
}

func TestRestored(t *testing.T) {
	t.Run("nothing is answered until /init with the secret of the new life", func(t *testing.T) {
		g := startGuest(t)
		stream, err := g.processes("").Start(context.Background(), connect.NewRequest(shell("trap 'exit 7' TERM; "+counter)))
		must(t, err)
		first := later(func() collected {
			return collectAll(stream, func() *processpb.ProcessEvent { return stream.Msg().GetEvent() })
		})
		time.Sleep(300 * time.Millisecond)
		g.suspend("snapshot")
		old := later(func() int { return g.status("/health") })
		stillWaits(t, old)
		started := later(func() error {
			stream, err := g.processes("").Start(context.Background(), connect.NewRequest(shell("sleep 94")))
			if err == nil {
				stream.Receive()
				err = stream.Err()
			}
			return err
		})
		stillWaits(t, started)
		g.renew(secondSecret)
		for _, call := range []struct {
			secret, method, path string
			status               int
		}{
			{testSecret, "POST", "/resume", 401}, {testSecret, "GET", "/info", 401}, {secondSecret, "GET", "/info", 200},
			{secondSecret, "POST", "/resume", 409}, {secondSecret, "POST", "/suspend", 409}, {secondSecret, "POST", "/init", 409},
		} {
			body := map[string]any{"for": "pause", "protocolVersion": 1, "accessToken": "x"}
			if status, answer := g.controlCall(call.secret, call.method, call.path, body); status != call.status {
				t.Fatalf("%v: got %d %s", call, status, answer)
			}
		}
		g.hook("post-resume.d/10-env", "#!/bin/sh\necho $SKERRY_GENERATION_ID $SKERRY_RESTORED_AS $SKERRY_SANDBOX_ID $GLOBAL\ncat "+g.root+"/run/generation.json\ncurl -s http://"+g.public+"/generation\n")
		g.hook("post-fork.d/fork", "#!/bin/sh\necho fork; exit 3\n")
		g.hook("pre-pause.d/not-now", "#!/bin/sh\nexit 0\n")
		status, answer := g.restore(secondSecret, "fork", id("a"), nil)
		if status != 200 {
			t.Fatalf("got %d %s", status, answer)
		}
		got := parseHooks(t, answer)
		document := fmt.Sprintf(`{"generationId":"%s","bootId":"bt2","sandboxId":"sb2","generation":2,"resumedAtUnixMs":`, id("a"))
		if len(got.Hooks) != 2 || *got.Hooks[0].ExitCode != 0 || !strings.HasPrefix(got.Hooks[0].Output, id("a")+" fork sb2 two\n"+document) ||
			strings.Count(got.Hooks[0].Output, document) != 2 || *got.Hooks[1].ExitCode != 3 || got.Hooks[1].Output != "fork\n" {
			t.Fatalf("got %s", answer)
		}
		// Requests of the old life are not carried out in the new one.
		if got := <-old; got != -1 && got != 503 {
			t.Fatalf("a request of the old life got %d", got)
		}
		if err := <-started; err == nil {
			t.Fatal("a process of the old life's request was started")
		}
		if out := g.script("root", "hostname; pgrep -c -x -f 'sleep 94'; echo $GLOBAL"); out != "sandbox-two\n0\ntwo\n" {
			t.Fatalf("got %q", out)
		}
		// The first client's connection is gone; what it had not got is there for the next.
		ended := <-first
		if ended.err == nil {
			t.Fatal("a connection of the old life was kept")
		}
		next := later(func() collected { return g.attach(ended.pid) })
		time.Sleep(200 * time.Millisecond)
		_, err = g.processes("").SendSignal(context.Background(), connect.NewRequest(&processpb.SendSignalRequest{Process: byPid(ended.pid), Signal: processpb.Signal_SIGNAL_SIGTERM}))
		must(t, err)
		rest := <-next
		must(t, rest.err)
		if rest.end.GetExitCode() != 7 || rest.dropped != 0 {
			t.Fatalf("got %v, %d dropped", rest.end, rest.dropped)
		}
		checkNumbers(t, ended.stdout+rest.stdout, 0)
		// The same call again, since its answer was not heard, does nothing twice.
		if status, again := g.restore(secondSecret, "fork", id("a"), nil); status != 200 || again != answer {
			t.Fatalf("got %d %s", status, again)
		}
		if status, _ := g.controlCall(testSecret, "GET", "/info", nil); status != 401 {
			t.Fatalf("the old secret gives %d", status)
		}
		// And another life after it.
		if status, answer := g.controlCall(secondSecret, "POST", "/suspend", map[string]any{"for": "pause", "hooksDeadlineMs": 1000}); status != 200 || len(parseHooks(t, answer).Hooks) != 1 {
			t.Fatalf("got %d %s", status, answer)
		}
		g.renew("third")
		if status, answer := g.restore("third", "resume", id("b"), map[string]any{"hostname": ""}); status != 200 || len(parseHooks(t, answer).Hooks) != 1 {
			t.Fatalf("got %d %s", status, answer)
		}
		response, text := g.call("GET", "/generation", nil, "X-Access-Token", "")
		if response.StatusCode != 200 || !strings.Contains(text, id("b")) || !strings.Contains(text, `"as":"resume"`) {
			t.Fatalf("got %d %s", response.StatusCode, text)
		}
	})
	t.Run("/init refuses a restore that it cannot name", func(t *testing.T) {
		g := startGuest(t)
		g.suspend("pause")
		for _, changes := range []map[string]any{
			{"generationId": nil}, {"generationId": "x"}, {"generationId": strings.ToUpper(id("a"))}, {"restored": map[string]any{"as": "boot"}},
		} {
			if status, answer := g.restore(testSecret, "resume", id("c"), changes); status != 400 {
				t.Fatalf("%v: got %d %s", changes, status, answer)
			}
		}
		// An engine that shows no environment keeps the secret.
		if status, answer := g.restore(testSecret, "resume", id("c"), nil); status != 200 {
			t.Fatalf("got %d %s", status, answer)
		}
		if !g.isHealthy() {
			t.Fatal("the restored guest does not answer")
		}
	})
	t.Run("a cold boot has a generation too", func(t *testing.T) {
		g := startGuestWith(t, guestOptions{})
		if response, _ := g.call("GET", "/generation", nil, "X-Access-Token", ""); response.StatusCode != 503 {
			t.Fatalf("before /init: got %d", response.StatusCode)
		}
		g.initialise(map[string]any{"generationId": id("d")})
		_, text := g.call("GET", "/generation", nil, "X-Access-Token", "")
		file, err := os.ReadFile(filepath.Join(g.root, "run/generation.json"))
		must(t, err)
		if text != string(file) || !strings.Contains(text, `"as":"boot"`) || !strings.Contains(text, id("d")) {
			t.Fatalf("got %s and %s", text, file)
		}
	})
	t.Run("a disk without room keeps nobody from coming back, and no old generation lies there", func(t *testing.T) {
		g := startGuestWith(t, guestOptions{before: "mkdir -p /etc/full /usr/local/share; mount -t tmpfs -o size=64k tmpfs /etc/full; mount -t tmpfs -o size=4k tmpfs /usr/local/share; cp /etc/hosts /etc/full/hosts; mount --bind /etc/full/hosts /etc/hosts",
			initialised: true})
		g.script("root", "head -c 100000 /dev/zero > /etc/full/filler || true; head -c 100000 /dev/zero > /usr/local/share/filler || true")
		g.suspend("pause")
		status, answer := g.restore(testSecret, "resume", id("e"), map[string]any{"hostname": strings.Repeat("long", 15), "caBundle": testCertificate})
		if status != 200 {
			t.Fatalf("got %d %s", status, answer)
		}
		if !strings.Contains(g.log.String(), "since the disk is full") {
			t.Fatal("nothing was said")
		}
	})
}

func TestHooks(t *testing.T) {
	g := startGuest(t)
	g.hook("pre-pause.d/10-first", "#!/bin/sh\necho first $SKERRY_SUSPEND_FOR $SKERRY_SANDBOX_ID $(id -u) $GLOBAL; (sleep 95 &)\n")
	g.hook("pre-pause.d/20-noise", "#!/bin/sh\nhead -c 9000 /dev/zero; printf '\\033\\377last'; exit 4\n")
	must(t, os.Chmod(filepath.Join(g.root, g.hook("pre-pause.d/30-plain", "text")), 0o644))
	must(t, os.Chmod(filepath.Join(g.root, g.hook("pre-pause.d/40-open", "#!/bin/sh\n")), 0o777))
	g.hook("pre-pause.d/50-text", "no interpreter\n")
	g.hook("pre-pause.d/55-signal", "#!/bin/sh\nkill -9 $$\n")
	g.hook("pre-pause.d/60-slow", "#!/bin/bash\necho begun\ntrap '' TERM\nsetsid sleep 96 &\nsleep 96\n")
	g.hook("pre-pause.d/70-late", "#!/bin/sh\n")
	g.hook("pre-pause.d/~copy", "#!/bin/sh\n")
	answer := g.suspend("snapshot")
	want := []struct {
		name, output string
		code         int
	}{
		{"10-first", "first snapshot sb1 0 one\n", 0}, {"20-noise", "last", 4}, {"30-plain", "not executable", 126}, {"40-open", "others than root", 126},
		{"50-text", "exec format error", 126}, {"55-signal", "", 137}, {"60-slow", "begun\n", -1}, {"70-late", "not begun", -1},
	}
	if len(answer.Hooks) != len(want) {
		t.Fatalf("got %+v", answer)
	}
	for index, expected := range want {
		got := answer.Hooks[index]
		code := -1
		if got.ExitCode != nil {
			code = *got.ExitCode
		}
		if filepath.Base(got.Path) != expected.name || code != expected.code || !strings.Contains(got.Output, expected.output) || len(got.Output) > 2<<10 {
			t.Fatalf("got %+v with code %d, want %+v", got, code, expected)
		}
	}
	g.resume()
	// A hook that ended in time may leave something behind; one that did not leaves nothing.
	waitUntil(t, 5*time.Second, func() bool { return g.script("root", "pgrep -c -x -f 'sleep 96' || true") == "0\n" })
	if out := g.script("root", "pgrep -c -x -f 'sleep 95'"); out != "1\n" {
		t.Fatalf("got %s", out)
	}
	t.Run("a host that goes away during the hooks leaves a guest that serves", func(t *testing.T) {
		g := startGuest(t)
		g.hook("pre-pause.d/slow", "#!/bin/sh\necho > "+g.home+"/begun; sleep 97\n")
		ctx, cancel := context.WithCancel(context.Background())
		request, err := http.NewRequestWithContext(ctx, "POST", "http://"+g.control+"/suspend", strings.NewReader(`{"for":"pause","hooksDeadlineMs":30000}`))
		must(t, err)
		request.Header.Set("X-Skerry-Boot-Secret", testSecret)
		failed := later(func() error { _, err := http.DefaultClient.Do(request); return err })
		waitUntil(t, 10*time.Second, func() bool { _, err := os.Stat(filepath.Join(g.home, "begun")); return err == nil })
		cancel()
		if <-failed == nil {
			t.Fatal("the call was answered")
		}
		// The next host may ask at once.
		g.resume()
		if !g.isHealthy() || g.script("root", "pgrep -c -x -f 'sleep 97' || true") != "0\n" {
			t.Fatal("the guest is held, or the hook runs on")
		}
	})
}

func TestTimeoutsCountTimeAwake(t *testing.T) {
	g := startGuest(t, "-retain", "700ms")
	ctx, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
	defer cancel()
	begin := time.Now()
	stream, err := g.processes("").Start(ctx, connect.NewRequest(shell("while :; do sleep 0.05; echo x; done")))
	must(t, err)
	if !stream.Receive() {
		t.Fatal(stream.Err())
	}
	pid := stream.Msg().GetEvent().GetStart().GetPid()
	ended, leave := g.launch("", shell("exit 9"))
	leave()
	waitUntil(t, 5*time.Second, func() bool {
		list, err := g.processes("").List(context.Background(), connect.NewRequest(&processpb.ListRequest{}))
		must(t, err)
		return len(list.Msg.GetProcesses()) == 1
	})
	before := time.Since(begin)
	g.suspend("pause")
	// Far beyond both: what was promised in seconds awake is not over.
	time.Sleep(2500 * time.Millisecond)
	g.resume()
	if got, err := g.connect(ended); err != nil || got.end.GetExitCode() != 9 {
		t.Fatalf("an ended process was forgotten over a pause: %+v %v", got, err)
	}
	back := time.Now()
	_, err = g.connect(pid)
	wantCode(t, err, connect.CodeDeadlineExceeded, "timeout")
	if awake := before + time.Since(back); awake < 1400*time.Millisecond {
		t.Fatalf("the timeout of 1.5 s came after %s awake", awake)
	}
}

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	processpb "skerry.dev/guest/proto/process"
)

func TestProcesses(t *testing.T) {
	g := startGuest(t, "-retain", "3s")
	t.Run("Start() reports output, exit code and status", func(t *testing.T) {
		got, err := g.run("", shell("echo out; echo err >&2; exit 3"))
		must(t, err)
		if got.stdout != "out\n" || got.stderr != "err\n" || got.end.GetExitCode() != 3 || !got.end.GetExited() ||
			got.end.GetStatus() != "exit status 3" || got.end.GetError() != "exit status 3" {
			t.Fatalf("got %+v", got)
		}
		got, err = g.run("", shell("true"))
		must(t, err)
		if got.end.GetExitCode() != 0 || !got.end.GetExited() || got.end.Error != nil || got.end.GetStatus() != "exit status 0" {
			t.Fatalf("got %+v", got)
		}
	})
	t.Run("Start() reports a death by signal", func(t *testing.T) {
		got, err := g.run("", shell("kill -9 $$"))
		must(t, err)
		if got.end.GetExitCode() != -1 || got.end.GetExited() || got.end.GetError() != "signal: killed" || got.end.GetStatus() != "signal: killed" {
			t.Fatalf("got %+v", got)
		}
	})
	t.Run("Start() gives each user its ids, groups, home and environment", func(t *testing.T) {
		out := g.script("", "id -u; id -g; id -G; pwd; echo $HOME $USER $LOGNAME $SHELL $GLOBAL $MALLOC_TOP_PAD_; echo ${SKERRY_BOOT_SECRET-none}; umask")
		if out != "1000\n1000\n1000 2000\n/home/user\n/home/user user user /bin/bash one 1048576\nnone\n0022\n" {
			t.Fatalf("got %q", out)
		}
		if out := g.script("root", "id -u; pwd"); out != "0\n/root\n" {
			t.Fatalf("got %q", out)
		}
		// other's home does not exist.
		if out := g.script("other", "id -u; pwd"); out != "1001\n/\n" {
			t.Fatalf("got %q", out)
		}
		_, err := g.run("nobody-here", shell("true"))
		wantCode(t, err, connect.CodeUnauthenticated, "invalid username: 'nobody-here'")
	})
	t.Run("Start() prefers the request's environment and directory", func(t *testing.T) {
		request, directory := shell("echo $GLOBAL $HOME; pwd"), "/tmp"
		request.Process.Envs, request.Process.Cwd = map[string]string{"GLOBAL": "two", "HOME": "/x"}, &directory
		got, err := g.run("", request)
		must(t, err)
		if got.stdout != "two /x\n/tmp\n" {
			t.Fatalf("got %q", got.stdout)
		}
	})
	t.Run("Start() refuses what cannot be started, naming it", func(t *testing.T) {
		request, directory := shell("true"), "/not/there"
		request.Process.Cwd = &directory
		_, err := g.run("", request)
		wantCode(t, err, connect.CodeInvalidArgument, "/not/there")
		_, err = g.run("", &processpb.StartRequest{Process: &processpb.ProcessConfig{Cmd: "no-such-command"}})
		wantCode(t, err, connect.CodeInvalidArgument, "no-such-command")
		_, err = g.run("", &processpb.StartRequest{Process: &processpb.ProcessConfig{Cmd: "/etc/passwd"}})
		wantCode(t, err, connect.CodeInvalidArgument, "/etc/passwd")
		_, err = g.run("", &processpb.StartRequest{})
		wantCode(t, err, connect.CodeInvalidArgument, "process")
		request = shell("true")
		request.Process.Envs = map[string]string{"A=B": "c"}
		_, err = g.run("", request)
		wantCode(t, err, connect.CodeInvalidArgument, "A=B")
	})
	t.Run("SendInput() and CloseStdin() feed a process", func(t *testing.T) {
		// What it read goes to a file: its output belongs to the client that started it.
		file, err := os.CreateTemp("/tmp", "skerry-stdin-")
		must(t, err)
		defer os.Remove(file.Name())
		must(t, file.Chmod(0o666))
		request := shell("cat > " + file.Name() + "; echo end >> " + file.Name())
		request.Stdin = nil
		pid, cancel := g.launch("", request)
		defer cancel()
		client := g.processes("")
		input := &processpb.ProcessInput{Input: &processpb.ProcessInput_Stdin{Stdin: []byte("hello\n")}}
		_, err = client.SendInput(context.Background(), connect.NewRequest(&processpb.SendInputRequest{Process: byPid(pid), Input: input}))
		must(t, err)
		stream := client.StreamInput(context.Background())
		must(t, stream.Send(&processpb.StreamInputRequest{Event: &processpb.StreamInputRequest_Start{Start: &processpb.StreamInputRequest_StartEvent{Process: byPid(pid)}}}))
		must(t, stream.Send(&processpb.StreamInputRequest{Event: &processpb.StreamInputRequest_Data{Data: &processpb.StreamInputRequest_DataEvent{Input: input}}}))
		_, err = stream.CloseAndReceive()
		must(t, err)
		_, err = client.CloseStdin(context.Background(), connect.NewRequest(&processpb.CloseStdinRequest{Process: byPid(pid)}))
		must(t, err)
		_, err = g.connect(pid)
		must(t, err)
		if got, err := os.ReadFile(file.Name()); err != nil || string(got) != "hello\nhello\nend\n" {
			t.Fatalf("got %q, %v", got, err)
		}
		_, err = client.SendInput(context.Background(), connect.NewRequest(&processpb.SendInputRequest{Process: byPid(999999), Input: input}))
		wantCode(t, err, connect.CodeNotFound, "999999")
	})
	t.Run("SendInput() to a process without stdin is refused", func(t *testing.T) {
		pid, cancel := g.launch("", shell("sleep 5"))
		defer cancel()
		input := &processpb.ProcessInput{Input: &processpb.ProcessInput_Stdin{Stdin: []byte("x")}}
		_, err := g.processes("").SendInput(context.Background(), connect.NewRequest(&processpb.SendInputRequest{Process: byPid(pid), Input: input}))
		wantCode(t, err, connect.CodeFailedPrecondition, "without stdin")
	})
	t.Run("SendInput() that the process does not read ends with its client's time", func(t *testing.T) {
		request := shell("sleep 5")
		request.Stdin = nil
		pid, cancel := g.launch("", request)
		defer cancel()
		ctx, stop := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer stop()
		input := &processpb.ProcessInput{Input: &processpb.ProcessInput_Stdin{Stdin: make([]byte, 1<<20)}}
		_, err := g.processes("").SendInput(ctx, connect.NewRequest(&processpb.SendInputRequest{Process: byPid(pid), Input: input}))
		wantCode(t, err, connect.CodeDeadlineExceeded, "")
	})
	t.Run("SendSignal() reaches the whole process group, List() shows what runs", func(t *testing.T) {
		request, tag := shell("sleep 77 & sleep 77; wait"), "the-tag"
		request.Tag = &tag
		pid, cancel := g.launch("", request)
		defer cancel()
		list, err := g.processes("").List(context.Background(), connect.NewRequest(&processpb.ListRequest{}))
		must(t, err)
		found := false
		for _, process := range list.Msg.GetProcesses() {
			found = found || process.GetPid() == pid && process.GetTag() == tag && process.GetConfig().GetCmd() == "/bin/bash"
		}
		if !found {
			t.Fatalf("not listed: %v", list.Msg)
		}
		byTag := &processpb.ProcessSelector{Selector: &processpb.ProcessSelector_Tag{Tag: tag}}
		_, err = g.processes("").SendSignal(context.Background(), connect.NewRequest(&processpb.SendSignalRequest{Process: byTag, Signal: processpb.Signal_SIGNAL_SIGKILL}))
		must(t, err)
		got, err := g.connect(pid)
		must(t, err)
		if got.end.GetError() != "signal: killed" {
			t.Fatalf("got %+v", got)
		}
		waitUntil(t, 2*time.Second, func() bool { return g.script("root", "pgrep -c -x -f 'sleep 77' || true") == "0\n" })
		_, err = g.processes("").SendSignal(context.Background(), connect.NewRequest(&processpb.SendSignalRequest{Process: byPid(pid), Signal: processpb.Signal_SIGNAL_SIGKILL}))
		wantCode(t, err, connect.CodeNotFound, "")
		_, err = g.processes("").SendSignal(context.Background(), connect.NewRequest(&processpb.SendSignalRequest{Process: &processpb.ProcessSelector{}}))
		wantCode(t, err, connect.CodeInvalidArgument, "pid")
	})
	t.Run("a timeout ends the stream and the whole tree, also what left the session", func(t *testing.T) {
		for _, user := range []string{"", "root"} {
			ctx, cancel := context.WithTimeout(context.Background(), 700*time.Millisecond)
			stream, err := g.processes(user).Start(ctx, connect.NewRequest(shell("setsid sleep 81 & (setsid sleep 81 &) ; bash -c 'setsid sleep 81 & wait'")))
			must(t, err)
			_, err = collect(stream, func() *processpb.ProcessEvent { return stream.Msg().GetEvent() })
			wantCode(t, err, connect.CodeDeadlineExceeded, "")
			cancel()
			waitUntil(t, 3*time.Second, func() bool { return g.script("root", "pgrep -c -x -f 'sleep 81' || true") == "0\n" })
		}
	})
	t.Run("what a process leaves in the background does not keep its stream open, and lives on", func(t *testing.T) {
		begin := time.Now()
		out := g.script("", "sleep 60 & echo $!")
		if time.Since(begin) > 10*time.Second {
			t.Fatal("the stream waited for the background process")
		}
		g.script("", "kill -0 "+out)
	})
	t.Run("Keepalive-Ping-Interval is kept", func(t *testing.T) {
		request := connect.NewRequest(shell("sleep 1.5"))
		request.Header().Set("Keepalive-Ping-Interval", "1")
		stream, err := g.processes("").Start(context.Background(), request)
		must(t, err)
		defer stream.Close()
		pings := 0
		for stream.Receive() {
			if stream.Msg().GetEvent().GetKeepalive() != nil {
				pings++
			}
		}
		if pings != 1 {
			t.Fatalf("got %d keepalives in 1.5 s", pings)
		}
	})
}

func TestTerminals(t *testing.T) {
	g := startGuest(t)
	request := &processpb.StartRequest{
		Process: &processpb.ProcessConfig{Cmd: "/bin/bash", Args: []string{"--norc", "-i"}, Envs: map[string]string{"PS1": "", "TERM": "dumb"}},
		Pty:     &processpb.PTY{Size: &processpb.PTY_Size{Cols: 81, Rows: 25}},
	}
	stream, err := g.processes("").Start(context.Background(), connect.NewRequest(request))
	must(t, err)
	if !stream.Receive() {
		t.Fatal(stream.Err())
	}
	pid := stream.Msg().GetEvent().GetStart().GetPid()
	say := func(text string) {
		input := &processpb.ProcessInput{Input: &processpb.ProcessInput_Pty{Pty: []byte(text)}}
		_, err := g.processes("").SendInput(context.Background(), connect.NewRequest(&processpb.SendInputRequest{Process: byPid(pid), Input: input}))
		must(t, err)
	}
	say("stty size; tty\n")
	time.Sleep(300 * time.Millisecond)
	_, err = g.processes("").Update(context.Background(), connect.NewRequest(&processpb.UpdateRequest{
		Process: byPid(pid), Pty: &processpb.PTY{Size: &processpb.PTY_Size{Cols: 101, Rows: 33}},
	}))
	must(t, err)
	say("stty size; sleep 50\n")
	time.Sleep(300 * time.Millisecond)
	say("\x03")
	say("exit 4\n")
	got, err := collectRest(stream, pid)
	must(t, err)
	for _, expected := range []string{"25 81", "33 101", "/dev/pts/"} {
		if !strings.Contains(got.pty, expected) {
			t.Fatalf("%q is missing in %q", expected, got.pty)
		}
	}
	if got.end.GetExitCode() != 4 {
		t.Fatalf("got %v", got.end)
	}
	plain, cancel := g.launch("", shell("sleep 5"))
	defer cancel()
	_, err = g.processes("").Update(context.Background(), connect.NewRequest(&processpb.UpdateRequest{Process: byPid(plain), Pty: request.Pty}))
	wantCode(t, err, connect.CodeFailedPrecondition, "no terminal")
}

func collectRest(stream *connect.ServerStreamForClient[processpb.StartResponse], pid uint32) (result, error) {
	got := result{pid: pid}
	for stream.Receive() {
		event := stream.Msg().GetEvent()
		got.pty += string(event.GetData().GetPty())
		if end := event.GetEnd(); end != nil {
			got.end = end
		}
	}
	return got, stream.Err()
}

func TestOutputOutlivesTheClient(t *testing.T) {
	g := startGuest(t, "-retain", "2s", "-stall", "1s")
	t.Run("Connect() gets the rest of the output and the end", func(t *testing.T) {
		pid, leave := g.launch("", shell("sleep 0.3; echo first; sleep 0.4; echo last; exit 5"))
		leave()
		time.Sleep(500 * time.Millisecond)
		got, err := g.connect(pid)
		must(t, err)
		if got.stdout != "first\nlast\n" || got.end.GetExitCode() != 5 || got.dropped != 0 || got.pid != pid {
			t.Fatalf("got %+v", got)
		}
		got, err = g.connect(pid)
		must(t, err)
		if got.end.GetExitCode() != 5 {
			t.Fatalf("the end was not kept: %+v", got)
		}
		time.Sleep(2200 * time.Millisecond)
		_, err = g.connect(pid)
		wantCode(t, err, connect.CodeNotFound, fmt.Sprint(pid))
	})
	t.Run("a second client gets only new output", func(t *testing.T) {
		pid, leave := g.launch("", shell("echo old; sleep 0.6; echo new"))
		defer leave()
		time.Sleep(300 * time.Millisecond)
		got, err := g.connect(pid)
		must(t, err)
		if got.stdout != "new\n" {
			t.Fatalf("got %+v", got)
		}
	})
	t.Run("much output without a client costs a bounded buffer, and the loss is told", func(t *testing.T) {
		const written = 300_000_000
		pid, leave := g.launch("", shell("sleep 1; head -c "+strconv.Itoa(written)+" /dev/zero; echo done"))
		leave()
		// All of it comes while nobody is there, however slow the machine is.
		waitUntil(t, time.Minute, func() bool {
			list, err := g.processes("").List(context.Background(), connect.NewRequest(&processpb.ListRequest{}))
			must(t, err)
			return len(list.Msg.GetProcesses()) == 0
		})
		got, err := g.connect(pid)
		must(t, err)
		if !strings.HasSuffix(got.stdout, "done\n") || got.dropped+int64(len(got.stdout)) != written+5 || len(got.stdout) > 3<<20 {
			t.Fatalf("got %d bytes, %d dropped, end %v", len(got.stdout), got.dropped, got.end)
		}
		if resident := g.memory(); resident > 64<<20 {
			t.Fatalf("the guest holds %d bytes", resident)
		}
	})
	t.Run("a client that does not read is detached, and the process goes on", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		stream, err := g.processes("").Start(ctx, connect.NewRequest(shell("head -c 60000000 /dev/urandom; echo done; sleep 2")))
		must(t, err)
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
		pid := stream.Msg().GetEvent().GetStart().GetPid()
		time.Sleep(2500 * time.Millisecond)
		got, err := g.connect(pid)
		must(t, err)
		if !strings.HasSuffix(got.stdout, "done\n") || got.dropped == 0 {
			t.Fatalf("got %d bytes, %d dropped", len(got.stdout), got.dropped)
		}
		for stream.Receive() {
		}
		wantCode(t, stream.Err(), connect.CodeResourceExhausted, "did not read")
	})
	t.Run("an attached client that reads gets every byte", func(t *testing.T) {
		got, err := g.run("", shell("head -c 50000000 /dev/zero; echo -n done"))
		must(t, err)
		if len(got.stdout) != 50_000_004 {
			t.Fatalf("got %d bytes", len(got.stdout))
		}
	})
}

// memory is what the guest holds, in bytes.
func (g *guest) memory() int {
	out := strings.Fields(g.script("root", "grep VmRSS /proc/1/status"))
	kibibytes, err := strconv.Atoi(out[1])
	must(g.t, err)
	return kibibytes << 10
}

func TestReaping(t *testing.T) {
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("collects all orphans and steals no status, as PID 1 %v", first), func(t *testing.T) {
			g := startGuestWith(t, guestOptions{notFirst: !first, initialised: true})
			var waiting sync.WaitGroup
			for worker := range 5 {
				waiting.Go(func() {
					for round := range 12 {
						want := int32(1 + (worker*12+round)%200)
						got, err := g.run("", shell(fmt.Sprintf("for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do (true &); done; exit %d", want)))
						if err != nil || got.end.GetExitCode() != want {
							t.Errorf("got %v %v, want exit code %d", err, got.end, want)
						}
					}
				})
			}
			waiting.Wait()
			guest := "1"
			if !first {
				guest = strconv.Itoa(g.command.Process.Pid)
			}
			waitUntil(t, 5*time.Second, func() bool {
				return g.script("root", "ps -o stat= --ppid "+guest+" | grep -c ^Z || true") == "0\n"
			})
			if status, answer := g.controlCall(testSecret, "GET", "/info", nil); status != http.StatusOK || !strings.Contains(answer, `"processes":0`) {
				t.Fatalf("got %d %s", status, answer)
			}
		})
	}
}

func TestSecretLeavesTheEnvironment(t *testing.T) {
	g := startGuest(t)
	if out := g.script("root", "cat /proc/1/environ | tr '\\0' '\\n'"); strings.Contains(out, testSecret) || !strings.Contains(out, "PATH=") {
		t.Fatalf("got %q", out)
	}
}

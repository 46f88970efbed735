package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	filesystempb "skerry.dev/guest/proto/filesystem"
	"skerry.dev/guest/proto/filesystem/filesystempbconnect"
	processpb "skerry.dev/guest/proto/process"
	"skerry.dev/guest/proto/process/processpbconnect"
)

const (
	testSecret = "boot-secret-of-the-tests"
	testToken  = "access-token-of-the-tests"
	asGuest    = "SKERRY_TEST_AS_GUEST"
)

// TestMain is the tests, or the guest when a test has started this same program as one.
func TestMain(m *testing.M) {
	if os.Getenv(asGuest) != "" {
		main()
		return
	}
	if os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "These tests need root: users, mounts and namespaces are real.")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// guest is one running guest with folders and accounts of its own.
type guest struct {
	t       testing.TB
	root    string
	home    string
	public  string
	control string
	command *exec.Cmd
	log     *guestLog
}

// guestLog is what a guest prints while a test reads it.
type guestLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *guestLog) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

func (l *guestLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// addresses are where the guest says that it listens. Ports chosen ahead could be taken by somebody else in between, who would
// then be talked to in its place.
func (l *guestLog) addresses() (public, control string, ready bool) {
	for line := range strings.Lines(l.String()) {
		var said struct{ Message, Public, Control string }
		if json.Unmarshal([]byte(line), &said) == nil && said.Message == "Ready" {
			return said.Public, said.Control, true
		}
	}
	return "", "", false
}

type guestOptions struct {
	notFirst    bool
	arguments   []string
	before      string
	initialised bool
}

// startGuest starts a guest as PID 1 of its own namespaces and initialises it.
func startGuest(t testing.TB, arguments ...string) *guest {
	t.Helper()
	return startGuestWith(t, guestOptions{arguments: arguments, initialised: true})
}

func startGuestWith(t testing.TB, options guestOptions) *guest {
	t.Helper()
	root, err := os.MkdirTemp("", "skerry-guest-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	must(t, os.Chmod(root, 0o755))
	g := &guest{t: t, root: root, home: filepath.Join(root, "home/user"), log: &guestLog{}}
	for _, folder := range []string{"etc/ssl/certs", "home/user", "root"} {
		must(t, os.MkdirAll(filepath.Join(root, folder), 0o755))
	}
	must(t, os.Chown(g.home, 1000, 1000))
	write(t, filepath.Join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/bash\nuser:x:1000:1000::/home/user:/bin/bash\nother:x:1001:1001::/home/other:/bin/sh\n")
	write(t, filepath.Join(root, "etc/group"), "root:x:0:\nuser:x:1000:\nother:x:1001:\nextra:x:2000:nobody,user\n")
	write(t, filepath.Join(root, "etc/hosts"), "127.0.0.1 localhost\n10.0.0.9 kept\n")
	write(t, filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"), "SYSTEM\n")
	self, err := os.Executable()
	must(t, err)
	script := fmt.Sprintf(`set -e; mount --make-rprivate /; for f in etc home root; do mount --bind %s/$f /$f; done; %s
exec %s -public 127.0.0.1:0 -control 127.0.0.1:0 -spec-environ %s/environ -generation %s/run/generation.json %s`, root, options.before, self, root, root, strings.Join(options.arguments, " "))
	namespaces := []string{"-m", "-u"}
	if !options.notFirst {
		namespaces = append(namespaces, "-p", "-f", "--kill-child", "--mount-proc")
	}
	g.command = exec.Command("unshare", append(namespaces, "sh", "-c", script)...)
	g.command.Env = []string{"PATH=" + os.Getenv("PATH"), asGuest + "=1", secretVariable + "=" + testSecret}
	g.command.Stderr = g.log
	must(t, g.command.Start())
	t.Cleanup(func() {
		_ = g.command.Process.Kill()
		_ = g.command.Wait()
		if t.Failed() {
			t.Logf("the guest's log:\n%s", g.log)
		}
	})
	waitUntil(t, 10*time.Second, func() bool {
		var ready bool
		g.public, g.control, ready = g.log.addresses()
		return ready
	})
	if options.initialised {
		g.initialise(nil)
	}
	return g
}

// initialise sends /init with changes over the usual values and returns the answer.
func (g *guest) initialise(changes map[string]any) string {
	g.t.Helper()
	body := map[string]any{
		"protocolVersion": 1, "bootId": "bt1", "sandboxId": "sb1", "generation": 1, "accessToken": testToken,
		"hostname": "sandbox-one", "defaultUser": "user", "env": map[string]string{"GLOBAL": "one"},
	}
	for name, value := range changes {
		body[name] = value
	}
	status, answer := g.controlCall(testSecret, "POST", "/init", body)
	if status != http.StatusOK {
		g.t.Fatalf("/init answered %d: %s", status, answer)
	}
	return answer
}

func (g *guest) controlCall(secret, method, path string, body any) (int, string) {
	g.t.Helper()
	encoded, err := json.Marshal(body)
	must(g.t, err)
	request, err := http.NewRequest(method, "http://"+g.control+path, bytes.NewReader(encoded))
	must(g.t, err)
	if secret != "" {
		request.Header.Set("X-Skerry-Boot-Secret", secret)
	}
	response, err := http.DefaultClient.Do(request)
	must(g.t, err)
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(answer)
}

// call sends one plain request to the public port, with the access token unless headers has one.
func (g *guest) call(method, path string, body io.Reader, headers ...string) (*http.Response, string) {
	g.t.Helper()
	request, err := http.NewRequest(method, "http://"+g.public+path, body)
	must(g.t, err)
	request.Header.Set("X-Access-Token", testToken)
	request.Header.Set("Accept-Encoding", "identity")
	for index := 0; index+1 < len(headers); index += 2 {
		if headers[index+1] == "" {
			request.Header.Del(headers[index])
			continue
		}
		request.Header.Set(headers[index], headers[index+1])
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	must(g.t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	must(g.t, err)
	return response, string(answer)
}

// as adds the headers that every request of a client carries.
func as(user string) connect.ClientOption {
	set := func(header http.Header) {
		header.Set("X-Access-Token", testToken)
		if user != "" {
			header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":")))
		}
	}
	return connect.WithInterceptors(&headerSetter{set})
}

type headerSetter struct{ set func(http.Header) }

func (h *headerSetter) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		h.set(request.Header())
		return next(ctx, request)
	}
}

func (h *headerSetter) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		connection := next(ctx, spec)
		h.set(connection.RequestHeader())
		return connection
	}
}

func (h *headerSetter) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

func (g *guest) processes(user string) processpbconnect.ProcessClient {
	return processpbconnect.NewProcessClient(http.DefaultClient, "http://"+g.public, connect.WithProtoJSON(), as(user))
}

func (g *guest) filesystem(user string) filesystempbconnect.FilesystemClient {
	return filesystempbconnect.NewFilesystemClient(http.DefaultClient, "http://"+g.public, connect.WithProtoJSON(), as(user))
}

// shell is the request to run a script the way the official clients do.
func shell(script string) *processpb.StartRequest {
	no := false
	return &processpb.StartRequest{Process: &processpb.ProcessConfig{Cmd: "/bin/bash", Args: []string{"-c", script}}, Stdin: &no}
}

// result is what a stream of events came to.
type result struct {
	pid     uint32
	dropped int64
	stdout  string
	stderr  string
	pty     string
	end     *processpb.ProcessEvent_EndEvent
}

type eventStream interface {
	Receive() bool
	Err() error
	Close() error
}

// collect reads events until the stream ends.
func collect(stream eventStream, event func() *processpb.ProcessEvent) (got result, err error) {
	var stdout, stderr, terminal bytes.Buffer
	defer func() {
		got.stdout, got.stderr, got.pty = stdout.String(), stderr.String(), terminal.String()
	}()
	first := true
	for stream.Receive() {
		switch event := event().GetEvent().(type) {
		case *processpb.ProcessEvent_Start:
			if !first {
				return got, fmt.Errorf("start is not the first event")
			}
			got.pid, got.dropped = event.Start.GetPid(), event.Start.GetDroppedBytes()
		case *processpb.ProcessEvent_Data:
			stdout.Write(event.Data.GetStdout())
			stderr.Write(event.Data.GetStderr())
			terminal.Write(event.Data.GetPty())
		case *processpb.ProcessEvent_End:
			got.end = event.End
		}
		if first && got.pid == 0 {
			return got, fmt.Errorf("the first event is not start")
		}
		first = false
	}
	return got, stream.Err()
}

func (g *guest) run(user string, request *processpb.StartRequest) (result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	call := connect.NewRequest(request)
	stream, err := g.processes(user).Start(ctx, call)
	if err != nil {
		return result{}, err
	}
	defer stream.Close()
	return collect(stream, func() *processpb.ProcessEvent { return stream.Msg().GetEvent() })
}

// script runs bash as user and fails the test unless it ends well.
func (g *guest) script(user, text string) string {
	g.t.Helper()
	got, err := g.run(user, shell(text))
	must(g.t, err)
	if got.end.GetExitCode() != 0 {
		g.t.Fatalf("%q ended with %v: %s", text, got.end, got.stderr)
	}
	return got.stdout
}

// launch starts a process and returns its pid and a way to leave it alone.
func (g *guest) launch(user string, request *processpb.StartRequest) (uint32, context.CancelFunc) {
	g.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	g.t.Cleanup(cancel)
	stream, err := g.processes(user).Start(ctx, connect.NewRequest(request))
	must(g.t, err)
	if !stream.Receive() {
		g.t.Fatalf("no first event: %v", stream.Err())
	}
	return stream.Msg().GetEvent().GetStart().GetPid(), cancel
}

func (g *guest) connect(pid uint32) (result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	stream, err := g.processes("").Connect(ctx, connect.NewRequest(&processpb.ConnectRequest{Process: byPid(pid)}))
	if err != nil {
		return result{}, err
	}
	defer stream.Close()
	return collect(stream, func() *processpb.ProcessEvent { return stream.Msg().GetEvent() })
}

func byPid(pid uint32) *processpb.ProcessSelector {
	return &processpb.ProcessSelector{Selector: &processpb.ProcessSelector_Pid{Pid: pid}}
}

func (g *guest) stat(path string) (*filesystempb.EntryInfo, error) {
	response, err := g.filesystem("").Stat(context.Background(), connect.NewRequest(&filesystempb.StatRequest{Path: path}))
	if err != nil {
		return nil, err
	}
	return response.Msg.GetEntry(), nil
}

func (g *guest) isHealthy() bool {
	response, err := http.Get("http://" + g.public + "/health")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusNoContent
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o644))
}

func wantCode(t testing.TB, err error, code connect.Code, text string) {
	t.Helper()
	if connect.CodeOf(err) != code || err == nil || !strings.Contains(err.Error(), text) {
		t.Fatalf("got error %v, want %v with %q", err, code, text)
	}
}

func waitUntil(t testing.TB, limit time.Duration, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain")
		}
	}
}

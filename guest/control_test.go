package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	processpb "skerry.dev/guest/proto/process"
)

const testCertificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"

func TestControl(t *testing.T) {
	g := startGuestWith(t, guestOptions{before: "mount -t tmpfs tmpfs /usr/local/share"})
	t.Run("nobody is served before /init", func(t *testing.T) {
		for _, path := range []string{"/health", "/files?path=x", "/process.Process/List"} {
			response, answer := g.call("GET", path, nil)
			if response.StatusCode != 503 || !strings.Contains(answer, `"code":503`) {
				t.Fatalf("%s: got %d %q", path, response.StatusCode, answer)
			}
		}
	})
	t.Run("without the secret there is only 401", func(t *testing.T) {
		for _, secret := range []string{"", "wrong", testSecret + "x", testToken} {
			for _, path := range []string{"/init", "/info", "/shutdown", "/sync", "/none"} {
				if status, answer := g.controlCall(secret, "POST", path, map[string]any{}); status != 401 || answer != `{"code":401,"message":"unauthorized"}`+"\n" {
					t.Fatalf("%s: got %d %q", path, status, answer)
				}
			}
		}
	})
	t.Run("/init refuses what it does not know or cannot use", func(t *testing.T) {
		for _, body := range []map[string]any{
			{"protocolVersion": 2, "accessToken": "x"},
			{"protocolVersion": 1},
			{"protocolVersion": 1, "accessToken": "x", "hostname": "a b"},
			{"protocolVersion": 1, "accessToken": "x", "caBundle": "nonsense"},
			{"protocolVersion": 1, "accessToken": "x", "env": map[string]string{"A=": "b"}},
		} {
			status, answer := g.controlCall(testSecret, "POST", "/init", body)
			if status != 400 || body["protocolVersion"] == 2 && !strings.Contains(answer, "[1]") {
				t.Fatalf("%v: got %d %q", body, status, answer)
			}
		}
		if g.isHealthy() {
			t.Fatal("a refused /init has opened the public port")
		}
	})
	t.Run("/init names the sandbox, installs certificates, and may be repeated", func(t *testing.T) {
		var bundle string
		for range 2 {
			answer := g.initialise(map[string]any{"caBundle": testCertificate, "defaultWorkdir": "/tmp"})
			if answer != `{"guestVersion":"development","protocolVersion":1,"envdVersion":"0.6.13"}`+"\n" {
				t.Fatalf("got %q", answer)
			}
			installed, err := os.ReadFile(filepath.Join(g.root, "etc/ssl/certs/ca-certificates.crt"))
			must(t, err)
			if bundle != "" && bundle != string(installed) {
				t.Fatalf("the second /init changed the bundle to %q", installed)
			}
			bundle = string(installed)
		}
		if !strings.HasPrefix(bundle, "SYSTEM\n") || strings.Count(bundle, testCertificate) != 1 {
			t.Fatalf("got %q", bundle)
		}
		hosts, err := os.ReadFile(filepath.Join(g.root, "etc/hosts"))
		must(t, err)
		if string(hosts) != "127.0.0.1 localhost\n10.0.0.9 kept\n127.0.1.1 sandbox-one # skerry hostname\n" {
			t.Fatalf("got %q", hosts)
		}
		if out := g.script("", "hostname; pwd; echo $NODE_EXTRA_CA_CERTS $PIP_CERT"); out != "sandbox-one\n/tmp\n/etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt\n" {
			t.Fatalf("got %q", out)
		}
		if out := g.script("", "cat /usr/local/share/ca-certificates/skerry-machine.crt"); out != testCertificate+"\n" {
			t.Fatalf("got %q", out)
		}
	})
	t.Run("/init changes the token, the user and the environment", func(t *testing.T) {
		g.initialise(map[string]any{"accessToken": "second"})
		response, _ := g.call("GET", "/envs", nil)
		if response.StatusCode != 401 {
			t.Fatalf("the former token gives %d", response.StatusCode)
		}
		g.initialise(map[string]any{"defaultUser": "root", "env": map[string]string{"GLOBAL": "two"}})
		if out := g.script("", "whoami; echo $GLOBAL $NODE_EXTRA_CA_CERTS"); out != "root\ntwo\n" {
			t.Fatalf("got %q", out)
		}
	})
	t.Run("/info counts processes and /sync answers", func(t *testing.T) {
		_, leave := g.launch("", shell("sleep 20"))
		defer leave()
		_, answer := g.controlCall(testSecret, "GET", "/info", nil)
		var info struct {
			Initialised bool
			Processes   int
		}
		must(t, json.Unmarshal([]byte(answer), &info))
		if !info.Initialised || info.Processes != 1 {
			t.Fatalf("got %s", answer)
		}
		if status, _ := g.controlCall(testSecret, "POST", "/sync", nil); status != 200 {
			t.Fatalf("got %d", status)
		}
	})
	t.Run("a control secret takes the place of the boot secret", func(t *testing.T) {
		g.initialise(map[string]any{"controlSecret": "later"})
		if status, _ := g.controlCall(testSecret, "GET", "/info", nil); status != 401 {
			t.Fatalf("the boot secret gives %d", status)
		}
		if status, _ := g.controlCall("later", "GET", "/info", nil); status != 200 {
			t.Fatalf("the control secret gives %d", status)
		}
	})
}

func TestShutdown(t *testing.T) {
	for _, first := range []bool{true, false} {
		g := startGuestWith(t, guestOptions{notFirst: !first, initialised: true})
		stream, err := g.processes("").Start(context.Background(), connect.NewRequest(shell("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done")))
		must(t, err)
		g.launch("root", shell("trap '' TERM; setsid bash -c \"trap '' TERM; sleep 60\" & while :; do sleep 60; done"))
		time.Sleep(300 * time.Millisecond)
		status, answer := g.controlCall(testSecret, "POST", "/shutdown", map[string]int{"graceMs": 500})
		if status != 200 || answer == `{"killed":0}`+"\n" {
			t.Fatalf("got %d %q", status, answer)
		}
		got, err := collect(stream, func() *processpb.ProcessEvent { return stream.Msg().GetEvent() })
		if err != nil || got.stdout != "up\nbye\n" || got.end.GetExitCode() != 0 {
			t.Fatalf("got %+v %v", got, err)
		}
		if err := g.command.Wait(); err != nil {
			t.Fatalf("the guest ended with %v", err)
		}
		if out, _ := exec.Command("pgrep", "-f", g.root).Output(); len(out) > 0 {
			t.Fatalf("left behind: %s", out)
		}
	}
}

func TestTerminated(t *testing.T) {
	g := startGuestWith(t, guestOptions{notFirst: true, initialised: true})
	g.launch("", shell("sleep 60"))
	must(t, g.command.Process.Signal(syscall.SIGTERM))
	if err := g.command.Wait(); err != nil {
		t.Fatalf("the guest ended with %v", err)
	}
}

func TestRefusesToStartWithoutSecret(t *testing.T) {
	self, err := os.Executable()
	must(t, err)
	command := exec.Command(self)
	command.Env = []string{asGuest + "=1"}
	out, err := command.CombinedOutput()
	if err == nil || !strings.Contains(string(out), secretVariable) {
		t.Fatalf("got %v %q", err, out)
	}
}

func TestRefusesProcessesWhenClosing(t *testing.T) {
	g := startGuest(t)
	g.launch("", shell("trap '' TERM; while :; do sleep 60; done"))
	time.Sleep(300 * time.Millisecond)
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.controlCall(testSecret, "POST", "/shutdown", map[string]int{"graceMs": 700})
	}()
	time.Sleep(200 * time.Millisecond)
	response, _ := g.call("POST", "/process.Process/List", strings.NewReader("{}"), "Content-Type", "application/json")
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("got %d", response.StatusCode)
	}
	<-done
}

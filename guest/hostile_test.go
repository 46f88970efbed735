package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// frame is one message of the Connect protocol, with a length that may lie.
func frame(flags byte, length uint32, body string) []byte {
	head := binary.BigEndian.AppendUint32([]byte{flags}, length)
	return append(head, body...)
}

func TestHostileRequests(t *testing.T) {
	g := startGuest(t)
	stream := []string{"Content-Type", "application/connect+json"}
	t.Run("malformed and oversize frames are answered with an error", func(t *testing.T) {
		for name, body := range map[string][]byte{
			"empty": {}, "cut head": {0, 0}, "cut body": frame(0, 100, "{"), "huge": frame(0, 0xFFFFFFFF, "{}"), "no JSON": frame(0, 3, "abc"),
			"wrong types": frame(0, 13, `{"process":3}`), "deep": frame(0, 200000, strings.Repeat(`{"a":`, 40000)), "flags": frame(0xFF, 2, "{}"),
			"packed": frame(1, 2, "{}"), "two": append(frame(0, 2, "{}"), frame(0, 2, "{}")...),
		} {
			response, answer := g.call("POST", "/process.Process/Start", bytes.NewReader(body), stream...)
			if !strings.Contains(answer, `"error"`) {
				t.Fatalf("%s: got %d %q", name, response.StatusCode, answer)
			}
		}
		response, answer := g.call("POST", "/process.Process/SendInput", io.LimitReader(zeros{}, 40<<20), "Content-Type", "application/json")
		if response.StatusCode < 400 {
			t.Fatalf("got %d %q", response.StatusCode, answer)
		}
	})
	t.Run("many large requests at once do not fill the memory", func(t *testing.T) {
		var waiting sync.WaitGroup
		for range 12 {
			waiting.Go(func() {
				request, _ := http.NewRequest("POST", "http://"+g.public+"/process.Process/SendInput", io.LimitReader(spaces{}, 15<<20))
				request.Header.Set("X-Access-Token", testToken)
				request.Header.Set("Content-Type", "application/json")
				if response, err := http.DefaultTransport.RoundTrip(request); err == nil {
					_ = response.Body.Close()
				}
			})
		}
		waiting.Wait()
		if resident := g.memory(); resident > 256<<20 {
			t.Fatalf("the guest holds %d bytes", resident)
		}
	})
	t.Run("large headers are refused and slow ones are cut", func(t *testing.T) {
		response, _ := g.call("GET", "/envs", nil, "X-Large", strings.Repeat("x", 200<<10))
		if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Fatalf("got %d", response.StatusCode)
		}
		connection, err := net.Dial("tcp", g.public)
		must(t, err)
		defer connection.Close()
		_, _ = io.WriteString(connection, "GET /health HT")
		_ = connection.SetReadDeadline(time.Now().Add(headerPatience + 5*time.Second))
		begin := time.Now()
		_, _ = io.ReadAll(connection)
		if waited := time.Since(begin); waited > headerPatience+4*time.Second {
			t.Fatalf("the guest waited %s for a header", waited)
		}
	})
	t.Run("malformed uploads are answered with an error and leave no file", func(t *testing.T) {
		form := "multipart/form-data; boundary=b"
		part := "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\n%s\r\nbody\r\n"
		for name, upload := range map[string]struct{ kind, body string }{
			"no boundary": {"multipart/form-data", "--b--"}, "empty boundary": {"multipart/form-data; boundary=\"\"", "--b--"},
			"no part": {form, "--b--\r\n"}, "cut head": {form, "--b\r\nContent-Dispo"}, "cut body": {form, fmt.Sprintf(part, "x", "")},
			"NUL in the name": {form, fmt.Sprintf(part, "a\x00b", "") + "--b--\r\n"}, "huge head": {form, fmt.Sprintf(part, "x", "X: "+strings.Repeat("y", 11<<20)+"\r\n") + "--b--\r\n"},
			"many heads": {form, fmt.Sprintf(part, "x", strings.Repeat("X: y\r\n", 20000)) + "--b--\r\n"}, "nothing": {form, ""},
		} {
			for _, path := range []string{"/files?path=/home/user/hostile", "/files"} {
				response, answer := g.call("POST", path, strings.NewReader(upload.body), "Content-Type", upload.kind)
				// A form without a file is a valid one, as E2B's guest has it.
				if empty := response.StatusCode == 200 && answer == "[]\n"; !empty && (response.StatusCode < 400 || response.StatusCode >= 500) {
					t.Fatalf("%s at %s: got %d %q", name, path, response.StatusCode, answer)
				}
			}
		}
		if out := g.script("root", "ls -A /home/user"); out != "" {
			t.Fatalf("left behind: %s", out)
		}
	})
	t.Run("random garbage on both ports never ends the guest", func(t *testing.T) {
		const seed = 20260905
		var waiting sync.WaitGroup
		for worker := range uint64(8) {
			waiting.Go(func() {
				random := rand.New(rand.NewPCG(seed, worker))
				for range 60 {
					g.sendGarbage(random)
				}
			})
		}
		waiting.Wait()
		if !g.isHealthy() {
			t.Fatal("the guest does not answer any more")
		}
		if status, _ := g.controlCall(testSecret, "GET", "/info", nil); status != 200 {
			t.Fatalf("the control port answers %d", status)
		}
		if strings.Contains(g.log.String(), "panic") || strings.Contains(g.log.String(), "A request failed") {
			t.Fatal("a handler failed")
		}
	})
}

// sendGarbage sends one request that may be wrong anywhere, without caring for the answer.
func (g *guest) sendGarbage(random *rand.Rand) {
	pick := func(choices ...string) string { return choices[random.IntN(len(choices))] }
	noise := make([]byte, random.IntN(300))
	for index := range noise {
		noise[index] = byte(random.IntN(256))
	}
	address := pick(g.public, g.public, g.control)
	path := pick("/process.Process/Start", "/process.Process/Connect", "/process.Process/SendInput", "/process.Process/StreamInput",
		"/process.Process/Update", "/process.Process/SendSignal", "/filesystem.Filesystem/Stat", "/filesystem.Filesystem/ListDir",
		"/filesystem.Filesystem/WatchDir", "/filesystem.Filesystem/CreateWatcher", "/filesystem.Filesystem/GetWatcherEvents",
		"/files?path=%00", "/files?path=../../x", "/files?path=~x&signature=v1_&signature_expiration=x", "/files", "/files/compose", "/health",
		"/metrics", "/envs", "/generation", "/init", "/info", "/suspend", "/resume", "/sync", "/", "/%ff", "*")
	body := pick(string(noise), string(frame(0, uint32(len(noise)), string(noise))), string(frame(byte(random.IntN(4)), random.Uint32(), string(noise))),
		`{}`, `{"process":{"cmd":"true","args":["\u0000"]}}`, `{"process":{"pid":4294967295}}`, `{"path":"\ud800"}`, `{"path":"/proc","depth":4294967295}`,
		string(frame(0, 32, `{"process":{"cmd":"/bin/true"} }`)), "--b\r\nContent-Disposition: form-data; name=file; filename=\"\"\r\n\r\n", `{"protocolVersion":1}`, `{"protocolVersion":1,"accessToken":"x","restored":{"as":"fork"}}`, `{"for":"pause"}`, `{"for":"snapshot","hooksDeadlineMs":-1}`)
	secret := pick(testSecret, "x", "")
	if path == "/init" || path == "/suspend" {
		// What it may do with the right secret, other tests say.
		secret = "x"
	}
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nX-Access-Token: %s\r\nX-Skerry-Boot-Secret: %s\r\nContent-Type: %s\r\nContent-Encoding: %s\r\nConnect-Timeout-Ms: %s\r\nKeepalive-Ping-Interval: %s\r\nAuthorization: %s\r\nRange: %s\r\nAccept-Encoding: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n",
		pick("GET", "POST", "POST", "POST", "PUT", "HEAD", "OPTIONS", "X"), path, pick(testToken, testToken, "x"), secret,
		pick("application/json", "application/connect+json", "application/proto", "application/connect+proto", "multipart/form-data; boundary=b", "application/octet-stream", "", "a/b;;=\""),
		pick("identity", "gzip", "x"), pick("100", "-1", "99999999999999999999", "x"), pick("1", "0", "-5", "18446744073709551615"),
		pick("Basic dXNlcjo=", "Basic ///", "Basic", "Bearer x", "Basic cm9vdA=="), pick("bytes=0-", "bytes=-0", "bytes=99999999999999999999-", "x"),
		pick("gzip", "identity;q=0", "*;q=NaN", ";;;"), len(body)+random.IntN(2)*random.IntN(50))
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(150 * time.Millisecond))
	_, _ = io.WriteString(connection, head+body)
	_, _ = io.Copy(io.Discard, connection)
}

type zeros struct{}

func (zeros) Read(buffer []byte) (int, error) {
	clear(buffer)
	return len(buffer), nil
}

type spaces struct{}

func (spaces) Read(buffer []byte) (int, error) {
	for index := range buffer {
		buffer[index] = ' '
	}
	return len(buffer), nil
}

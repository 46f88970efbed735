package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"skerry.dev/guest/internal/access"
	filesystempb "skerry.dev/guest/proto/filesystem"
)

func TestFiles(t *testing.T) {
	g := startGuestWith(t, guestOptions{initialised: true, before: "mkdir /home/user/small; mount -t tmpfs -o size=1m tmpfs /home/user/small"})
	octet := []string{"Content-Type", "application/octet-stream"}
	want := func(t *testing.T, response *http.Response, answer string, status int, text string) {
		t.Helper()
		if response.StatusCode != status || !strings.Contains(answer, text) {
			t.Fatalf("got %d %q, want %d with %q", response.StatusCode, answer, status, text)
		}
	}
	t.Run("POST and GET move bytes, and what is made belongs to the user", func(t *testing.T) {
		response, answer := g.call("POST", "/files?path=new/dir/file.txt", strings.NewReader("content"), octet...)
		want(t, response, answer, 200, `[{"path":"/home/user/new/dir/file.txt","name":"file.txt","type":"file"}]`)
		response, answer = g.call("GET", "/files?path=~/new/dir/file.txt", nil)
		want(t, response, answer, 200, "content")
		if out := g.script("root", "stat -c '%U %a' /home/user/new /home/user/new/dir /home/user/new/dir/file.txt"); out != "user 755\nuser 755\nuser 644\n" {
			t.Fatalf("got %q", out)
		}
	})
	t.Run("POST keeps mode and owner of an existing file and follows a link", func(t *testing.T) {
		g.script("root", "echo old > /home/user/kept; chmod 750 /home/user/kept; ln -s kept /home/user/link")
		response, answer := g.call("POST", "/files?path=link", strings.NewReader("new"), octet...)
		want(t, response, answer, 200, "link")
		if out := g.script("root", "stat -c '%U %a' /home/user/kept; cat /home/user/kept; readlink /home/user/link"); out != "root 750\nnewkept\n" {
			t.Fatalf("got %q", out)
		}
	})
	t.Run("multipart file names are full paths", func(t *testing.T) {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		for name, content := range map[string]string{"/home/user/m/one": "1", "m/two": "2"} {
			part, err := form.CreateFormFile("file", name)
			must(t, err)
			_, _ = io.WriteString(part, content)
		}
		must(t, form.Close())
		response, answer := g.call("POST", "/files", &body, "Content-Type", form.FormDataContentType())
		want(t, response, answer, 200, "/home/user/m/two")
		if out := g.script("", "cat m/one m/two"); out != "12" {
			t.Fatalf("got %q", out)
		}
	})
	t.Run("gzip in and out, ranges, empty files and refused encodings", func(t *testing.T) {
		var body bytes.Buffer
		packer := gzip.NewWriter(&body)
		_, _ = io.WriteString(packer, strings.Repeat("0123456789", 1000))
		must(t, packer.Close())
		response, answer := g.call("POST", "/files?path=packed", &body, append(octet, "Content-Encoding", "gzip")...)
		want(t, response, answer, 200, "packed")
		response, answer = g.call("GET", "/files?path=packed", nil, "Accept-Encoding", "gzip, deflate")
		if response.Header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("got %v", response.Header)
		}
		unpacked, err := gzip.NewReader(strings.NewReader(answer))
		must(t, err)
		plain, err := io.ReadAll(unpacked)
		must(t, err)
		if len(plain) != 10000 {
			t.Fatalf("got %d bytes", len(plain))
		}
		response, answer = g.call("GET", "/files?path=packed", nil, "Range", "bytes=2-5", "Accept-Encoding", "gzip")
		if response.StatusCode != 206 || answer != "2345" || response.Header.Get("Content-Range") != "bytes 2-5/10000" {
			t.Fatalf("got %d %q %v", response.StatusCode, answer, response.Header)
		}
		response, answer = g.call("POST", "/files?path=empty", http.NoBody, octet...)
		want(t, response, answer, 200, "empty")
		response, _ = g.call("GET", "/files?path=empty", nil, "Accept-Encoding", "gzip")
		if response.StatusCode != 200 || response.ContentLength != 0 {
			t.Fatalf("got %d %d", response.StatusCode, response.ContentLength)
		}
		response, answer = g.call("GET", "/files?path=packed", nil, "Accept-Encoding", "br, identity;q=0")
		want(t, response, answer, 406, `"code":406`)
		response, answer = g.call("POST", "/files?path=x", strings.NewReader("no gzip"), append(octet, "Content-Encoding", "gzip")...)
		want(t, response, answer, 400, "gzip")
	})
	t.Run("what cannot be moved is refused by its name", func(t *testing.T) {
		g.script("", "mkfifo pipe")
		for path, status := range map[string]int{"missing": 404, "/home/user": 400, "pipe": 400, "/dev/null": 400, "~root/x": 400, "a%00b": 400} {
			response, answer := g.call("GET", "/files?path="+path, nil)
			want(t, response, answer, status, `"code":`)
		}
		for path, status := range map[string]int{"/home/user": 400, "pipe": 400, "/dev/null": 400, "/etc/passwd/x": 400, "": 400} {
			response, answer := g.call("POST", "/files?path="+path, strings.NewReader("x"), octet...)
			want(t, response, answer, status, `"code":`)
		}
		response, answer := g.call("GET", "/files?path=x&username=nobody-here", nil)
		want(t, response, answer, 401, "invalid username: 'nobody-here'")
		response, answer = g.call("POST", "/files?path=x", strings.NewReader("x"), "Content-Type", "text/plain")
		want(t, response, answer, 400, "Content-Type")
	})
	t.Run("a full disk is 507 and leaves what was there", func(t *testing.T) {
		response, answer := g.call("POST", "/files?path=small/file", strings.NewReader("kept"), octet...)
		want(t, response, answer, 200, "small")
		response, answer = g.call("POST", "/files?path=small/file", bytes.NewReader(make([]byte, 8<<20)), octet...)
		want(t, response, answer, 507, `"code":507`)
		if out := g.script("root", "ls -A /home/user/small; cat /home/user/small/file"); out != "file\nkept" {
			t.Fatalf("got %q", out)
		}
	})
	t.Run("metadata is stored, shown, replaced and checked", func(t *testing.T) {
		response, answer := g.call("POST", "/files?path=meta", strings.NewReader("x"), append(octet, "X-Metadata-Purpose", "a b", "X-Metadata-Two", "2")...)
		want(t, response, answer, 200, `"metadata":{"purpose":"a b","two":"2"}`)
		found, err := g.stat("meta")
		must(t, err)
		if found.GetMetadata()["purpose"] != "a b" || len(found.GetMetadata()) != 2 {
			t.Fatalf("got %v", found)
		}
		_, _ = g.call("POST", "/files?path=meta", strings.NewReader("y"), octet...)
		if found, err = g.stat("meta"); err != nil || len(found.GetMetadata()) != 0 {
			t.Fatalf("got %v %v", found, err)
		}
		response, answer = g.call("POST", "/files?path=meta", strings.NewReader("x"), append(octet, "X-Metadata-Big", strings.Repeat("x", 5000))...)
		want(t, response, answer, 400, "4096")
		response, answer = g.call("POST", "/files?path=meta", strings.NewReader("x"), append(octet, "X-Metadata-"+strings.Repeat("k", 247), "v")...)
		want(t, response, answer, 400, "246")
		response, answer = g.call("POST", "/files?path=meta", strings.NewReader("x"), append(octet, "X-Metadata-A", "ü")...)
		want(t, response, answer, 400, "ASCII")
	})
	t.Run("signed links open one path for one user, one way, for a time", func(t *testing.T) {
		link := func(path, user, token string, operation access.Operation, expiration string) string {
			query := url.Values{"path": {path}, "signature": {access.Signature(path, operation, user, token, expiration)}}
			if user != "" {
				query.Set("username", user)
			}
			if expiration != "" {
				query.Set("signature_expiration", expiration)
			}
			return "/files?" + query.Encode()
		}
		_, _ = g.call("POST", "/files?path=signed", strings.NewReader("signed"), octet...)
		good := link("signed", "user", testToken, access.Read, "4000000000")
		response, answer := g.call("GET", good, nil, "X-Access-Token", "")
		want(t, response, answer, 200, "signed")
		response, answer = g.call("POST", link("signed", "", testToken, access.Write, ""), strings.NewReader("z"), append(octet, "X-Access-Token", "")...)
		want(t, response, answer, 200, "signed")
		for path, text := range map[string]string{
			link("signed", "user", "another", access.Read, ""):         "invalid signature",
			link("signed", "user", testToken, access.Write, ""):        "invalid signature",
			strings.Replace(good, "path=signed", "path=other", 1):      "invalid signature",
			strings.Replace(good, "username=user", "username=root", 1): "invalid signature",
			strings.Replace(good, "4000000000", "4000000001", 1):       "invalid signature",
			link("signed", "user", testToken, access.Read, "1000"):     "signature is already expired",
			"/files?path=signed": "missing signature query parameter",
			link("signed", "", testToken, access.Read, "") + "&path=other": "",
		} {
			response, answer := g.call("GET", path, nil, "X-Access-Token", "")
			if text != "" {
				want(t, response, answer, 401, `{"code":401,"message":"`+text)
			}
		}
		response, answer = g.call("GET", good, nil, "X-Access-Token", "wrong")
		want(t, response, answer, 401, "invalid access token")
	})
	t.Run("POST /files/compose joins files and removes them", func(t *testing.T) {
		g.script("", "echo -n a > c1; echo -n b > c2")
		response, answer := g.call("POST", "/files/compose", strings.NewReader(`{"source_paths":["c1","c2"],"destination":"c3"}`))
		want(t, response, answer, 200, `"path":"/home/user/c3"`)
		if out := g.script("", "cat c3; ls c1 c2 2>/dev/null | wc -l"); out != "ab0\n" {
			t.Fatalf("got %q", out)
		}
		response, answer = g.call("POST", "/files/compose", strings.NewReader(`{"source_paths":["none"],"destination":"c3"}`))
		want(t, response, answer, 404, "none")
	})
	t.Run("/metrics and /envs need the token", func(t *testing.T) {
		response, answer := g.call("GET", "/envs", nil)
		want(t, response, answer, 200, `{"GLOBAL":"one"}`)
		response, answer = g.call("GET", "/metrics", nil)
		want(t, response, answer, 200, `"mem_total":`)
		response, answer = g.call("GET", "/metrics", nil, "X-Access-Token", "")
		want(t, response, answer, 401, `"code":401`)
		response, _ = g.call("OPTIONS", "/files", nil, "X-Access-Token", "", "Origin", "http://a")
		if response.StatusCode != 204 || response.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Fatalf("got %d %v", response.StatusCode, response.Header)
		}
	})
}

func TestFilesystem(t *testing.T) {
	g := startGuestWith(t, guestOptions{initialised: true, before: "mkdir -p /home/user/elsewhere; mount -t tmpfs -o size=4m tmpfs /home/user/elsewhere"})
	client, ctx := g.filesystem(""), context.Background()
	list := func(path string, depth uint32) ([]string, error) {
		response, err := client.ListDir(ctx, connect.NewRequest(&filesystempb.ListDirRequest{Path: path, Depth: depth}))
		if err != nil {
			return nil, err
		}
		var paths []string
		for _, found := range response.Msg.GetEntries() {
			paths = append(paths, strings.TrimPrefix(found.GetPath(), "/home/user/"))
		}
		return paths, nil
	}
	t.Run("MakeDir(), ListDir(), Stat() and Remove()", func(t *testing.T) {
		made, err := client.MakeDir(ctx, connect.NewRequest(&filesystempb.MakeDirRequest{Path: "tree/a/b"}))
		must(t, err)
		if entry := made.Msg.GetEntry(); entry.GetOwner() != "user" || entry.GetType() != filesystempb.FileType_FILE_TYPE_DIRECTORY || entry.GetPath() != "/home/user/tree/a/b" {
			t.Fatalf("got %v", entry)
		}
		_, err = client.MakeDir(ctx, connect.NewRequest(&filesystempb.MakeDirRequest{Path: "tree/a/b"}))
		wantCode(t, err, connect.CodeAlreadyExists, "tree/a/b")
		g.script("", "echo hello > tree/file; ln -s file tree/link; ln -s nowhere tree/broken; touch tree/$'bad\\xff'; chmod 640 tree/file")
		paths, err := list("tree", 0)
		must(t, err)
		if !slices.Equal(paths, []string{"tree/a", "tree/bad\uFFFD", "tree/broken", "tree/file", "tree/link"}) {
			t.Fatalf("got %q", paths)
		}
		if paths, err = list("tree", 2); err != nil || paths[1] != "tree/a/b" {
			t.Fatalf("got %q %v", paths, err)
		}
		found, err := g.stat("tree/file")
		must(t, err)
		if found.GetSize() != 6 || found.GetPermissions() != "-rw-r-----" || found.GetMode() != 0o640 || found.GetGroup() != "user" || found.GetModifiedTime() == nil {
			t.Fatalf("got %v", found)
		}
		if found, err = g.stat("tree/link"); err != nil || found.GetSymlinkTarget() != "/home/user/tree/file" || found.GetType() != filesystempb.FileType_FILE_TYPE_FILE {
			t.Fatalf("got %v %v", found, err)
		}
		if found, err = g.stat("tree/broken"); err != nil || found.GetType() != filesystempb.FileType_FILE_TYPE_SYMLINK {
			t.Fatalf("got %v %v", found, err)
		}
		_, err = list("tree/file", 1)
		wantCode(t, err, connect.CodeInvalidArgument, "not a directory")
		_, err = list("none", 1)
		wantCode(t, err, connect.CodeNotFound, "none")
		_, err = g.stat("none")
		wantCode(t, err, connect.CodeNotFound, "none")
		for range 2 {
			_, err = client.Remove(ctx, connect.NewRequest(&filesystempb.RemoveRequest{Path: "tree"}))
			must(t, err)
		}
		_, err = client.Remove(ctx, connect.NewRequest(&filesystempb.RemoveRequest{Path: "/"}))
		wantCode(t, err, connect.CodeInvalidArgument, "root")
	})
	t.Run("Move() renames, also to another file system", func(t *testing.T) {
		g.script("", "mkdir -p from/sub; echo 1 > from/sub/f; chmod 600 from/sub/f; ln -s f from/sub/l; touch -d @1000 from/sub/f")
		for _, step := range [][2]string{{"from", "made/to"}, {"made/to", "elsewhere/to"}, {"elsewhere/to", "back"}} {
			_, err := client.Move(ctx, connect.NewRequest(&filesystempb.MoveRequest{Source: step[0], Destination: step[1]}))
			must(t, err)
			if out := g.script("", "cd "+step[1]+"; stat -c '%a %Y %U' sub/f; readlink sub/l; ls -d ../from ~/"+step[0]+" 2>/dev/null | wc -l"); out != "600 1000 user\nf\n0\n" {
				t.Fatalf("got %q", out)
			}
		}
		_, err := client.Move(ctx, connect.NewRequest(&filesystempb.MoveRequest{Source: "none", Destination: "x"}))
		wantCode(t, err, connect.CodeNotFound, "none")
	})
	t.Run("CreateWatcher() and WatchDir() tell what happens, by names relative to the directory", func(t *testing.T) {
		g.script("", "mkdir -p w/deep")
		created, err := client.CreateWatcher(ctx, connect.NewRequest(&filesystempb.CreateWatcherRequest{Path: "w", Recursive: true, IncludeEntry: true}))
		must(t, err)
		id := created.Msg.GetWatcherId()
		streamCtx, stop := context.WithTimeout(ctx, 10*time.Second)
		defer stop()
		stream, err := client.WatchDir(streamCtx, connect.NewRequest(&filesystempb.WatchDirRequest{Path: "w"}))
		must(t, err)
		if !stream.Receive() || stream.Msg().GetStart() == nil {
			t.Fatalf("the first event is not start: %v", stream.Err())
		}
		for range 2 {
			_, _ = g.call("POST", "/files?path=w/up", strings.NewReader("x"), "Content-Type", "application/octet-stream")
		}
		g.script("", "mv w/up w/moved; rm w/moved; mkdir -p w/new/er; echo 1 > w/new/er/f; echo 1 > w/deep/g; chmod 700 w/deep/g")
		time.Sleep(200 * time.Millisecond)
		events, err := client.GetWatcherEvents(ctx, connect.NewRequest(&filesystempb.GetWatcherEventsRequest{WatcherId: id}))
		must(t, err)
		var told []string
		for _, event := range events.Msg.GetEvents() {
			told = append(told, strings.TrimPrefix(event.GetType().String(), "EVENT_TYPE_")+" "+event.GetName())
		}
		if !slices.Equal(told[:min(6, len(told))], []string{"CREATE up", "WRITE up", "WRITE up", "RENAME up", "CREATE moved", "REMOVE moved"}) {
			t.Fatalf("got %q", told)
		}
		for _, expected := range []string{"CREATE new", "CREATE new/er", "CREATE new/er/f", "WRITE deep/g", "CHMOD deep/g"} {
			if !slices.Contains(told, expected) {
				t.Fatalf("%q is missing in %q", expected, told)
			}
		}
		if !stream.Receive() || stream.Msg().GetFilesystem().GetName() != "up" || stream.Msg().GetFilesystem().Entry != nil {
			t.Fatalf("got %v %v", stream.Msg(), stream.Err())
		}
		_, err = client.RemoveWatcher(ctx, connect.NewRequest(&filesystempb.RemoveWatcherRequest{WatcherId: id}))
		must(t, err)
		_, err = client.GetWatcherEvents(ctx, connect.NewRequest(&filesystempb.GetWatcherEventsRequest{WatcherId: id}))
		wantCode(t, err, connect.CodeNotFound, id)
		_, err = client.CreateWatcher(ctx, connect.NewRequest(&filesystempb.CreateWatcherRequest{Path: "none"}))
		wantCode(t, err, connect.CodeNotFound, "none")
	})
	if left, _ := filepath.Glob(filepath.Join(g.home, ".skerry-*")); len(left) > 0 {
		t.Fatalf("left behind: %q", left)
	}
}

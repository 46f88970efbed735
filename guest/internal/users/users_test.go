package users

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFindUser(t *testing.T) {
	const passwd = "# comment\n\nbroken:x:1\nbad:x:-1:5::/:/bin/sh\nann:x:1000:1001:Ann,,,:/home/ann:/bin/zsh\nann:x:0:0::/:/bin/sh\nbob:x:4294967295:2:::\n"
	ann, err := findUser(strings.NewReader(passwd), "ann")
	if err != nil || ann.UID != 1000 || ann.GID != 1001 || ann.Home != "/home/ann" || ann.Shell != "/bin/zsh" {
		t.Fatalf("got %+v %v", ann, err)
	}
	bob, err := findUser(strings.NewReader(passwd), "bob")
	if err != nil || bob.Home != "/" || bob.Shell != "/bin/sh" {
		t.Fatalf("got %+v %v", bob, err)
	}
	for _, name := range []string{"", "broken", "bad", "none"} {
		if _, err := findUser(strings.NewReader(passwd), name); !errors.Is(err, ErrUnknown) {
			t.Fatalf("%q: got %v", name, err)
		}
	}
	groups := findGroups(strings.NewReader("a:x:5:ann,bob\nb:x:1001:ann\nc:x:7:joann\nd:x:8: ann\na2:x:5:ann\n"), "ann", 1001)
	if !slices.Equal(groups, []uint32{5, 8}) {
		t.Fatalf("got %v", groups)
	}
}

func TestResolve(t *testing.T) {
	user := &User{Home: "/home/ann"}
	for path, want := range map[string]string{
		"": "/work", "a": "/home/ann/a", "~": "/home/ann", "~/a/../b": "/home/ann/b", "/x//y/.": "/x/y", "../../..": "/", "a~": "/home/ann/a~",
	} {
		if got, err := user.Resolve(path, "/work"); got != want || err != nil {
			t.Fatalf("%q: got %q %v", path, got, err)
		}
	}
	for _, path := range []string{"~bob", "~bob/x", "a\x00b"} {
		if _, err := user.Resolve(path, ""); !errors.Is(err, ErrPath) {
			t.Fatalf("%q: got %v", path, err)
		}
	}
}

func FuzzResolve(f *testing.F) {
	for _, seed := range []string{"", "~", "~/../..", "a/../../../b", "/", "//", "~~", "\xff", "a\x00"} {
		f.Add(seed)
	}
	user := &User{Home: "/home/ann"}
	f.Fuzz(func(t *testing.T, path string) {
		resolved, err := user.Resolve(path, "")
		if err == nil && (!filepath.IsAbs(resolved) || resolved != filepath.Clean(resolved)) {
			t.Fatalf("%q became %q", path, resolved)
		}
	})
}

func FuzzFindUser(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/bash\n", "root")
	f.Add(":::::::\n:", "")
	f.Add("a:b:c", "a")
	f.Fuzz(func(t *testing.T, passwd, name string) {
		user, err := findUser(strings.NewReader(passwd), name)
		if err == nil && (user.Name != name || !strings.HasPrefix(user.Home, "/") || user.Shell == "") {
			t.Fatalf("got %+v", user)
		}
		findGroups(strings.NewReader(passwd), name, 0)
	})
}

package access

import (
	"net/url"
	"testing"
	"time"
)

func TestUserName(t *testing.T) {
	for header, want := range map[string]string{"": "", "Basic cm9vdDo=": "root", "basic cm9vdDpwYXNz": "root", "Bearer x": "", "Basic ": ""} {
		if got, err := userName(header); got != want || err != nil {
			t.Fatalf("%q: got %q %v", header, got, err)
		}
	}
	if _, err := userName("Basic !!"); err == nil {
		t.Fatal("credentials that are not base64 were accepted")
	}
}

func TestKeepaliveInterval(t *testing.T) {
	for header, want := range map[string]time.Duration{"": 90 * time.Second, "50": 50 * time.Second, "0": 90 * time.Second, "-1": 90 * time.Second, "x": 90 * time.Second, "99999999999": 90 * time.Second} {
		if got := KeepaliveInterval(header); got != want {
			t.Fatalf("%q: got %s", header, got)
		}
	}
}

func FuzzCheckSignature(f *testing.F) {
	f.Add("path=a&signature=v1_x&signature_expiration=1")
	f.Add("signature=" + url.QueryEscape(Signature("", Read, "", "other", "")))
	f.Add("signature_expiration=99999999999999999999&signature=v1_")
	f.Fuzz(func(t *testing.T, text string) {
		query, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		if checkSignature(query, Read, "a token that nobody guesses", time.Now()) == nil {
			t.Fatalf("%q was accepted", text)
		}
	})
}

package files

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
)

func TestChooseCoding(t *testing.T) {
	for header, want := range map[string]string{
		"": codingIdentity, "gzip": codingGzip, "gzip, deflate, br": codingGzip, "identity": codingIdentity, "gzip;q=0": codingIdentity,
		"gzip;q=0.5, identity;q=1": codingIdentity, "br": codingIdentity, "*": codingIdentity, "identity;q=0, *": codingGzip, "*;q=0, gzip": codingGzip,
	} {
		if got, err := chooseCoding([]string{header}); got != want || err != nil {
			t.Fatalf("%q: got %q %v", header, got, err)
		}
	}
	for header, status := range map[string]int{"identity;q=0": 406, "*;q=0": 406, "br, identity;q=0": 406, "gzip;q=x": 400, "gzip;q=NaN": 400, "gzip;q=2": 400} {
		if _, err := chooseCoding([]string{header}); err == nil || statusOf(err) != status {
			t.Fatalf("%q: got %v", header, err)
		}
	}
}

func FuzzChooseCoding(f *testing.F) {
	f.Add("gzip;q=0.1,*;q=0")
	f.Fuzz(func(t *testing.T, header string) {
		if got, err := chooseCoding([]string{header}); err == nil && got != codingGzip && got != codingIdentity {
			t.Fatalf("got %q", got)
		}
	})
}

func FuzzFullFileName(f *testing.F) {
	f.Add("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"/a/b\"\r\n\r\nx\r\n--b--\r\n")
	f.Add("--b\r\nContent-Disposition: form-data; name*=utf-8''file; filename*=utf-8''%2f%00\r\n\r\n--b")
	f.Fuzz(func(_ *testing.T, body string) {
		parts := multipart.NewReader(strings.NewReader(body), "b")
		for range 100 {
			part, err := parts.NextRawPart()
			if err != nil {
				return
			}
			fullFileName(part)
			_, _ = io.Copy(io.Discard, part)
		}
	})
}

func FuzzReadMetadata(f *testing.F) {
	f.Add("A", "b")
	f.Add(strings.Repeat("k", 300), "\x00")
	f.Fuzz(func(t *testing.T, name, value string) {
		metadata, err := readMetadata(http.Header{metadataHeader + name: {value}})
		for key, stored := range metadata {
			if err == nil && (len(key) > metadataKeyLimit || len(stored) > metadataLimit || !isPrintable(key+stored)) {
				t.Fatalf("accepted %q %q", key, stored)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0x1f, 0x8b}, "gzip")
	f.Fuzz(func(_ *testing.T, body []byte, coding string) {
		if plain, err := decode(bytes.NewReader(body), coding); err == nil {
			_, _ = io.CopyN(io.Discard, plain, 1<<20)
		}
	})
}

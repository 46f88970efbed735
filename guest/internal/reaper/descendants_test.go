package reaper

import "testing"

func TestParseState(t *testing.T) {
	state, ok := parseState("12 (a) b (c)) S 3 12 11 0 -1")
	if !ok || state.Parent != 3 || state.Session != 11 || state.Letter != 'S' {
		t.Fatalf("got %+v %v", state, ok)
	}
	for _, text := range []string{"", "1 (x", "1 (x)", "1 (x) S", "1 (x) SS 1 1 1", "1 (x) S a 1 b"} {
		if _, ok := parseState(text); ok {
			t.Fatalf("%q was accepted", text)
		}
	}
}

func FuzzParseState(f *testing.F) {
	f.Add("12 (a) b (c)) S 3 12 11 0 -1")
	f.Add(") Z 1 1 1")
	f.Fuzz(func(_ *testing.T, text string) { parseState(text) })
}

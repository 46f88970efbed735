package metrics

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	if got := parseBusy("cpu  10 1 9 500 70 2 3 5 0 0\ncpu0 1\n"); got != 300*time.Millisecond {
		t.Fatalf("got %s", got)
	}
	for _, text := range []string{"", "cpu", "cpu a b c d", "intr 1 2 3 4 5"} {
		if got := parseBusy(text); got != 0 {
			t.Fatalf("%q: got %s", text, got)
		}
	}
	if got := parseProcessTime("1 (a b) S 1 1 1 0 -1 0 0 0 0 0 1 2 3 4 20"); got != 100*time.Millisecond {
		t.Fatalf("got %s", got)
	}
	if got := parseProcessTime("nonsense"); got != 0 {
		t.Fatalf("got %s", got)
	}
}

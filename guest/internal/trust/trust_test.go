package trust

import "testing"

func TestMerge(t *testing.T) {
	once := merge([]byte("A\nB"), []byte("C\n"))
	if string(once) != "A\nB\n"+beginMarker+"C\n"+endMarker {
		t.Fatalf("got %q", once)
	}
	if again := merge(once, []byte("C\n")); string(again) != string(once) {
		t.Fatalf("got %q", again)
	}
	if other := merge(append(once, "Z\n"...), []byte("D\n")); string(other) != "A\nB\nZ\n"+beginMarker+"D\n"+endMarker {
		t.Fatalf("got %q", other)
	}
}

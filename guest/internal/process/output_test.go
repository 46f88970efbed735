package process

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"skerry.dev/guest/internal/awake"
)

func TestBacklog(t *testing.T) {
	t.Run("add() keeps the newest and counts the rest", func(t *testing.T) {
		var kept backlog
		var written int64
		for index := range 3000 {
			data := bytes.Repeat([]byte{byte(index)}, 1000)
			kept.add(source(index%2), data)
			written += int64(len(data))
		}
		if kept.size > backlogLimit {
			t.Fatalf("holds %d bytes", kept.size)
		}
		var held int64
		chunks, dropped := kept.take()
		for _, piece := range chunks {
			held += int64(len(piece.data))
		}
		if held+dropped != written || dropped == 0 {
			t.Fatalf("%d held and %d dropped of %d", held, dropped, written)
		}
	})
	t.Run("add() bounds a million tiny writes", func(t *testing.T) {
		var kept backlog
		for index := range 1_000_000 {
			kept.add(source(index%2), []byte{1})
		}
		if kept.size > backlogLimit || len(kept.chunks) > backlogLimit/chunkOverhead {
			t.Fatalf("holds %d in %d chunks", kept.size, len(kept.chunks))
		}
	})
}

func TestOutput(t *testing.T) {
	ctx := context.Background()
	read := func(t *testing.T, s *subscriber) string {
		t.Helper()
		piece, err := s.next(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.took()
		return string(piece.data)
	}
	t.Run("what the last client did not take is kept for the next one, in order", func(t *testing.T) {
		o := newOutput(awake.New(), time.Minute)
		first := o.attach(nil)
		o.write(fromStdout, []byte("a"))
		o.write(fromStderr, []byte("b"))
		if got := read(t, first); got != "a" {
			t.Fatalf("got %q", got)
		}
		first.leave()
		o.write(fromStdout, []byte("c"))
		second := o.attach(nil)
		o.end(ending{code: 1})
		if got := read(t, second) + read(t, second); got != "bc" {
			t.Fatalf("got %q", got)
		}
		if _, err := second.next(ctx, nil); !errors.Is(err, errOutputDone) {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("write() waits for a slow client, and detaches one that makes no progress", func(t *testing.T) {
		o := newOutput(awake.New(), 100*time.Millisecond)
		stalled := false
		slow := o.attach(func() { stalled = true })
		begin := time.Now()
		for range 10 {
			o.write(fromStdout, make([]byte, readSize))
		}
		if !stalled || time.Since(begin) < 100*time.Millisecond {
			t.Fatalf("stalled %v after %s", stalled, time.Since(begin))
		}
		if _, err := slow.next(ctx, nil); !errors.Is(err, errSlowClient) {
			t.Fatalf("got %v", err)
		}
		slow.took()
		slow.leave()
		if o.backlog.size < 10*readSize {
			t.Fatalf("only %d bytes were kept", o.backlog.size)
		}
	})
	t.Run("write() goes on as soon as there is room", func(t *testing.T) {
		o := newOutput(awake.New(), time.Minute)
		s := o.attach(nil)
		written := make(chan struct{})
		go func() {
			defer close(written)
			for range 20 {
				o.write(fromStdout, make([]byte, readSize))
			}
		}()
		for range 20 {
			read(t, s)
		}
		<-written
	})
}

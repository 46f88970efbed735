package gate

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// limited is a gate in front of a handler that answers 204, or 503 with the reason.
func limited(g *Gate) http.Handler {
	return g.Limit(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
		func(w http.ResponseWriter, why error) { http.Error(w, why.Error(), http.StatusServiceUnavailable) })
}

func ask(handler http.Handler, ctx context.Context) <-chan int {
	answered := make(chan int, 1)
	go func() {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequestWithContext(ctx, "GET", "/", nil))
		answered <- recorder.Code
	}()
	return answered
}

func (g *Gate) awaitWaiting(t *testing.T, count int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		g.mu.Lock()
		waiting := g.waiting
		g.mu.Unlock()
		if waiting == count {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d wait, want %d", waiting, count)
		}
	}
}

func TestGate(t *testing.T) {
	ctx := context.Background()
	t.Run("production waits a minute, 512 at once", func(t *testing.T) {
		if g := New(); g.patience != time.Minute || g.limit != 512 {
			t.Fatalf("got %s and %d", g.patience, g.limit)
		}
	})
	t.Run("a request waits no longer than its patience", func(t *testing.T) {
		g := New()
		g.patience = 20 * time.Millisecond
		g.Hold()
		if got := <-ask(limited(g), ctx); got != 503 {
			t.Fatalf("got %d", got)
		}
		g.awaitWaiting(t, 0)
	})
	t.Run("requests beyond the limit are refused at once, the others let in when the gate opens", func(t *testing.T) {
		g := New()
		g.limit = 2
		g.Hold()
		handler := limited(g)
		first, second := ask(handler, ctx), ask(handler, ctx)
		g.awaitWaiting(t, 2)
		if got := <-ask(handler, ctx); got != 503 {
			t.Fatalf("got %d", got)
		}
		g.Open()
		if a, b := <-first, <-second; a != 204 || b != 204 {
			t.Fatalf("got %d and %d", a, b)
		}
	})
	t.Run("Restart() refuses those who wait, and not those who come after it", func(t *testing.T) {
		g := New()
		g.Hold()
		handler := limited(g)
		old := ask(handler, ctx)
		g.awaitWaiting(t, 1)
		g.Restart(ctx)
		g.awaitWaiting(t, 0)
		late := ask(handler, ctx)
		g.awaitWaiting(t, 1)
		g.Open()
		if a, b := <-old, <-late; a != 503 || b != 204 {
			t.Fatalf("got %d and %d", a, b)
		}
	})
	t.Run("Settle() waits for what is inside, and gives up when told", func(t *testing.T) {
		g := New()
		inside, leave := make(chan struct{}), make(chan struct{})
		handler := g.Limit(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(inside); <-leave }), nil)
		done := ask(handler, ctx)
		<-inside
		g.Hold()
		soon, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		if left := g.Settle(soon); left != 1 {
			t.Fatalf("got %d", left)
		}
		close(leave)
		if left := g.Settle(ctx); left != 0 {
			t.Fatalf("got %d", left)
		}
		<-done
	})
}

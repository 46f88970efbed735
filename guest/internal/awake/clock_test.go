package awake

import (
	"sync"
	"testing"
	"time"
)

// fakeTime is a clock that a test moves.
type fakeTime struct {
	mu  sync.Mutex
	now time.Time
}

func (f *fakeTime) read() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fakeTime) move(by time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(by)
}

func fired(timer *Timer) bool {
	select {
	case <-timer.C:
		return true
	case <-time.After(20 * time.Millisecond):
		return false
	}
}

func TestClock(t *testing.T) {
	t.Run("counts no time between Stop() and Start(), and fires nothing", func(t *testing.T) {
		fake := &fakeTime{now: time.Now()}
		clock := newClock(fake.read)
		timer := clock.NewTimer(2 * time.Second)
		fake.move(time.Second)
		clock.Stop()
		fake.move(24 * time.Hour)
		clock.ring()
		if fired(timer) || clock.Now() != time.Second {
			t.Fatalf("counted %s", clock.Now())
		}
		clock.Start()
		fake.move(900 * time.Millisecond)
		clock.ring()
		if fired(timer) {
			t.Fatal("fired early")
		}
		fake.move(100 * time.Millisecond)
		clock.ring()
		if !fired(timer) || clock.Now() != 2*time.Second {
			t.Fatalf("counted %s", clock.Now())
		}
	})
	t.Run("counts at most a tick of a leap that nobody announced", func(t *testing.T) {
		fake := &fakeTime{now: time.Now()}
		clock := newClock(fake.read)
		timer := clock.NewTimer(10 * time.Second)
		fake.move(time.Hour)
		clock.ring()
		if fired(timer) || clock.Now() != tick {
			t.Fatalf("counted %s", clock.Now())
		}
	})
	t.Run("counts nothing when the time goes back", func(t *testing.T) {
		fake := &fakeTime{now: time.Now()}
		clock := newClock(fake.read)
		fake.move(-time.Hour)
		if clock.Now() != 0 {
			t.Fatalf("counted %s", clock.Now())
		}
		fake.move(time.Second)
		if clock.Now() != time.Second {
			t.Fatalf("counted %s", clock.Now())
		}
	})
	t.Run("fires by itself, once each, and not what was stopped", func(t *testing.T) {
		clock := New()
		var waiting sync.WaitGroup
		for _, at := range []int{30, 10, 20} {
			waiting.Add(1)
			// A second call would panic.
			clock.AfterFunc(time.Duration(at)*time.Millisecond, waiting.Done)
		}
		stopped := clock.NewTimer(time.Hour)
		if !stopped.Stop() || stopped.Stop() {
			t.Fatal("Stop() does not know whether it was in time")
		}
		waiting.Wait()
		if len(clock.pending) != 0 {
			t.Fatalf("%d timers are left", len(clock.pending))
		}
	})
}

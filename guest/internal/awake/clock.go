// Package awake measures the time in which the sandbox runs. The kernel's clocks jump forward over a pause or a freeze by as
// long as it lasted; what a command was promised in seconds must not be over because of that.
package awake

import (
	"sync"
	"time"
)

const (
	// tick is how often the clock is read while somebody waits for it.
	tick = 2 * time.Second
	// leap is the step from which nobody was awake: of a freeze, which nobody announces, at most one tick is counted.
	leap = 3 * time.Second
)

// Clock counts time awake. While nobody waits for it, it does nothing, and counts at most a tick between two readings.
type Clock struct {
	now func() time.Time

	mu      sync.Mutex
	counted time.Duration
	read    time.Time
	stopped bool
	pending map[*Timer]struct{}
	alarm   *time.Timer
}

// New returns a clock that runs.
func New() *Clock { return newClock(time.Now) }

func newClock(now func() time.Time) *Clock {
	c := &Clock{now: now, read: now(), pending: map[*Timer]struct{}{}}
	c.alarm = time.AfterFunc(time.Hour, c.ring)
	c.alarm.Stop()
	return c
}

// Timer is one wait. C is closed when it is over.
type Timer struct {
	C     <-chan struct{}
	clock *Clock
	due   time.Duration
	fire  func()
}

// Now is the time awake since the clock was made.
func (c *Clock) Now() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	return c.counted
}

// Stop makes the clock stand still: the sandbox is about to be paused. No timer fires until Start.
func (c *Clock) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	c.stopped = true
	c.arm()
}

// Start makes the clock go on where it stood.
func (c *Clock) Start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	c.stopped = false
	c.arm()
}

// NewTimer returns a timer whose C is closed after wait.
func (c *Clock) NewTimer(wait time.Duration) *Timer {
	over := make(chan struct{})
	timer := c.AfterFunc(wait, func() { close(over) })
	timer.C = over
	return timer
}

// AfterFunc calls fire once after wait, in a goroutine of its own.
func (c *Clock) AfterFunc(wait time.Duration, fire func()) *Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	timer := &Timer{clock: c, due: c.counted + wait, fire: fire}
	c.pending[timer] = struct{}{}
	c.arm()
	return timer
}

// Stop keeps the timer from firing. It reports whether it was in time.
func (t *Timer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	_, waiting := t.clock.pending[t]
	delete(t.clock.pending, t)
	return waiting
}

func (c *Clock) advance() {
	now := c.now()
	step := now.Sub(c.read)
	c.read = now
	if c.stopped || step <= 0 {
		return
	}
	if step > leap {
		step = tick
	}
	c.counted += step
}

func (c *Clock) arm() {
	if c.stopped || len(c.pending) == 0 {
		c.alarm.Stop()
		return
	}
	wait := tick
	for timer := range c.pending {
		wait = min(wait, timer.due-c.counted)
	}
	c.alarm.Reset(max(wait, 0))
}

func (c *Clock) ring() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	if !c.stopped {
		for timer := range c.pending {
			if timer.due <= c.counted {
				delete(c.pending, timer)
				go timer.fire()
			}
		}
	}
	c.arm()
}

package process

import (
	"context"
	"errors"
	"sync"
	"time"

	"skerry.dev/guest/internal/awake"
)

const (
	// readSize is the most that is read from a process at once, in bytes.
	readSize = 32 << 10
	// queueLimit is how much may wait for one attached client before the process has to wait, in bytes.
	queueLimit = 128 << 10
)

var (
	errSlowClient = errors.New("the client did not read")
	errOutputDone = errors.New("the output has ended")
)

// ending is how a process ended.
type ending struct {
	code     int32
	exited   bool
	status   string
	failure  string
	timedOut bool
}

// output distributes what one process writes: to the attached clients, who slow the process down when they do not read, or,
// while there is none, into the backlog.
type output struct {
	clock *awake.Clock
	// stall is how long an attached client may make no progress, in time awake.
	stall time.Duration

	mu          sync.Mutex
	backlog     backlog
	subscribers map[*subscriber]struct{}
	ending      *ending
	// moved is closed and replaced when a queue has shrunk or a subscriber has gone.
	moved chan struct{}
}

// subscriber is one attached client.
type subscriber struct {
	output *output
	// dropped is how many bytes were lost before this client came.
	dropped int64

	queue    []chunk
	queued   int
	progress time.Duration
	failure  error
	gone     bool
	// ready has room for one wake-up.
	ready chan struct{}
	// onStall is called once when this client is detached for being slow.
	onStall func()
}

func newOutput(clock *awake.Clock, stall time.Duration) *output {
	return &output{clock: clock, stall: stall, subscribers: map[*subscriber]struct{}{}, moved: make(chan struct{})}
}

// attach adds a client. The first one gets the backlog.
func (o *output) attach(onStall func()) *subscriber {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := &subscriber{output: o, ready: make(chan struct{}, 1), progress: o.clock.Now(), onStall: onStall}
	if len(o.subscribers) == 0 {
		s.queue, s.dropped = o.backlog.take()
		for _, waiting := range s.queue {
			s.queued += waiting.cost()
		}
	}
	if o.ending == nil {
		o.subscribers[s] = struct{}{}
	}
	s.wake()
	return s
}

// write hands data to everybody attached, waiting for the slow ones, or keeps it in the backlog. It copies data, and lets go of
// what comes after the end.
func (o *output) write(from source, data []byte) {
	for {
		o.mu.Lock()
		if o.ending != nil {
			o.mu.Unlock()
			return
		}
		full := o.oldestFull()
		if full == nil {
			o.deliver(from, data)
			o.mu.Unlock()
			return
		}
		patience := o.stall - (o.clock.Now() - full.progress)
		if patience <= 0 {
			o.detach(full, errSlowClient)
			o.mu.Unlock()
			continue
		}
		moved := o.moved
		o.mu.Unlock()
		timer := o.clock.NewTimer(patience)
		select {
		case <-moved:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (o *output) oldestFull() *subscriber {
	var oldest *subscriber
	for s := range o.subscribers {
		if s.queued >= queueLimit && (oldest == nil || s.progress < oldest.progress) {
			oldest = s
		}
	}
	return oldest
}

func (o *output) deliver(from source, data []byte) {
	if len(o.subscribers) == 0 {
		o.backlog.add(from, data)
		return
	}
	piece := chunk{from: from, data: append([]byte(nil), data...)}
	for s := range o.subscribers {
		if len(s.queue) == 0 {
			s.progress = o.clock.Now()
		}
		s.queue = append(s.queue, piece)
		s.queued += piece.cost()
		s.wake()
	}
}

// end records how the process ended; nothing is written after it.
func (o *output) end(how ending) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ending = &how
	for s := range o.subscribers {
		s.wake()
	}
}

// detach removes a subscriber. What the last one did not take goes back to the backlog, for whoever comes next.
func (o *output) detach(s *subscriber, why error) {
	if s.gone {
		return
	}
	s.gone, s.failure = true, why
	delete(o.subscribers, s)
	if len(o.subscribers) == 0 {
		newer, dropped := o.backlog.take()
		o.backlog.dropped = dropped
		for _, untaken := range append(s.queue, newer...) {
			o.backlog.add(untaken.from, untaken.data)
		}
	}
	s.queue, s.queued = nil, 0
	if s.failure != nil && s.onStall != nil {
		s.onStall()
	}
	s.wake()
	o.announceMove()
}

func (o *output) announceMove() {
	close(o.moved)
	o.moved = make(chan struct{})
}

func (s *subscriber) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// next waits for the next piece of output. The piece stays the subscriber's until took is called, so that one which could
// not be sent is not lost. It returns errOutputDone after the last one, errSlowClient after a detach, or the context's error.
func (s *subscriber) next(ctx context.Context, alarm <-chan time.Time) (chunk, error) {
	for {
		s.output.mu.Lock()
		piece, failure, ended := chunk{}, s.failure, s.output.ending != nil
		waiting := len(s.queue) > 0
		if waiting {
			piece = s.queue[0]
		}
		s.output.mu.Unlock()
		switch {
		case failure != nil:
			return chunk{}, failure
		case waiting:
			return piece, nil
		case ended:
			return chunk{}, errOutputDone
		}
		select {
		case <-s.ready:
		case <-alarm:
			return chunk{}, nil
		case <-ctx.Done():
			return chunk{}, context.Cause(ctx)
		}
	}
}

// took says that the piece which next returned has been sent.
func (s *subscriber) took() {
	s.output.mu.Lock()
	defer s.output.mu.Unlock()
	if s.gone || len(s.queue) == 0 {
		return
	}
	wasFull := s.queued >= queueLimit
	s.queued -= s.queue[0].cost()
	s.queue[0] = chunk{}
	s.queue = s.queue[1:]
	s.progress = s.output.clock.Now()
	if wasFull {
		s.output.announceMove()
	}
}

// leave detaches the client that goes of its own accord.
func (s *subscriber) leave() {
	s.output.mu.Lock()
	defer s.output.mu.Unlock()
	s.output.detach(s, nil)
}

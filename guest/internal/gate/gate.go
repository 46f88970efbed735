// Package gate holds the public port while the sandbox's memory is being saved: new requests wait, streams send nothing, and at
// a pause they end, so that no answer is half on its way when time stops.
package gate

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"
)

const (
	// waitingLimit bounds the requests that wait, waitingPatience how long one does.
	waitingLimit    = 512
	waitingPatience = time.Minute
)

var (
	errPausing   = connect.NewError(connect.CodeUnavailable, errors.New("the sandbox is being paused"))
	errRestored  = connect.NewError(connect.CodeUnavailable, errors.New("the sandbox was restored from a snapshot: ask again"))
	errCrowded   = errors.New("the sandbox is being saved and too many requests wait already: try again shortly")
	errAbandoned = errors.New("the client went away while it waited")
	errPatience  = errors.New("the sandbox is being saved and this takes longer than expected: try again shortly")
)

// Gate is open at first.
type Gate struct {
	patience time.Duration
	limit    int

	mu   sync.Mutex
	held bool
	// pausing says that streams end.
	pausing bool
	// life counts the restores: a request of an earlier one is never let in.
	life    int
	waiting int
	visits  map[*visit]struct{}
	// changed is closed and replaced at every change that somebody may wait for.
	changed chan struct{}
	// connections are those of the servers.
	connections map[net.Conn]*connection
}

// visit is one request that was let in.
type visit struct {
	gate       *Gate
	connection *connection
	// stream says that it lives as long as its client likes; sending and receiving, that a message is on its way.
	stream    bool
	sending   bool
	receiving bool
	// over is why it has to end.
	over error
	end  context.CancelCauseFunc
	// interrupt ends the wait for the client's next message.
	interrupt func()
}

// New returns an open gate.
func New() *Gate {
	return &Gate{
		patience: waitingPatience, limit: waitingLimit,
		visits: map[*visit]struct{}{}, changed: make(chan struct{}), connections: map[net.Conn]*connection{},
	}
}

func (g *Gate) announce() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// Held reports whether requests have to wait.
func (g *Gate) Held() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held
}

// Hold makes new requests wait and streams send no further message.
func (g *Gate) Hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = true
	g.announce()
}

// Open lets everybody go on.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held, g.pausing = false, false
	g.announce()
}

// EndStreams ends every stream with an error that says the sandbox is being paused. A message that is on its way is still
// sent to its end; what comes after it stays with the process.
func (g *Gate) EndStreams() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pausing = true
	for v := range g.visits {
		if v.stream {
			v.finish(errPausing)
		}
	}
	g.announce()
}

// Restart ends everything that an earlier life of the memory left: visits, requests that wait, connections but the caller's.
// It does not open the gate.
func (g *Gate) Restart(caller context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.life++
	g.pausing = false
	kept := connectionOf(caller)
	for v := range g.visits {
		v.finish(errRestored)
	}
	for _, c := range g.connections {
		if c != kept {
			c.reset()
		}
	}
	g.announce()
}

// Settle waits until nothing is on its way to a client: no message of a stream, no other request, and at a pause no byte that
// the client's side has not confirmed. It gives up at the context's end and returns how many still are.
func (g *Gate) Settle(ctx context.Context) int {
	for {
		g.mu.Lock()
		busy := g.busy()
		changed := g.changed
		g.mu.Unlock()
		if busy == 0 {
			return 0
		}
		// The kernel does not tell when a connection has been confirmed.
		look := time.NewTimer(settleLook)
		select {
		case <-changed:
		case <-look.C:
		case <-ctx.Done():
			look.Stop()
			return busy
		}
		look.Stop()
	}
}

// settleLook is how often Settle looks at the connections.
const settleLook = 5 * time.Millisecond

func (g *Gate) busy() int {
	busy := 0
	for v := range g.visits {
		if v.sending || !v.stream || v.over != nil {
			busy++
		}
	}
	for _, c := range g.connections {
		if c.public && (c.finishing || g.pausing && c.unconfirmed()) {
			busy++
		}
	}
	return busy
}

// CutVisits closes the connections of all that is still inside.
func (g *Gate) CutVisits() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for v := range g.visits {
		v.finish(errPausing)
		if v.connection != nil {
			v.connection.reset()
		}
	}
	g.announce()
}

func (v *visit) finish(why error) {
	if v.over != nil {
		return
	}
	v.over = why
	v.end(why)
	if v.receiving {
		v.interrupt()
	}
}

// Limit puts the gate in front of next.
func (g *Gate) Limit(next http.Handler, refuse func(w http.ResponseWriter, why error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		controller := http.NewResponseController(w)
		ctx, end := context.WithCancelCause(r.Context())
		defer end(nil)
		v := &visit{
			gate: g, connection: connectionOf(r.Context()), end: end,
			interrupt: func() { _ = controller.SetReadDeadline(time.Unix(1, 0)) },
		}
		if err := g.enter(r.Context(), v); err != nil {
			refuse(w, err)
			return
		}
		defer g.leave(v)
		next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, visitKey{}, v)))
	})
}

// enter waits until the gate is open and lets v in.
func (g *Gate) enter(ctx context.Context, v *visit) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.held {
		g.visits[v] = struct{}{}
		return nil
	}
	if g.waiting >= g.limit {
		return errCrowded
	}
	g.waiting++
	defer func() { g.waiting-- }()
	patience := time.NewTimer(g.patience)
	defer patience.Stop()
	for life := g.life; ; {
		changed := g.changed
		g.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-patience.C:
			err = errPatience
		case <-ctx.Done():
			err = ctx.Err()
		}
		g.mu.Lock()
		switch {
		case g.life != life:
			return errRestored
		case err != nil:
			return err
		case !g.held && v.connection.abandoned():
			// The server does not notice it before the body was read, and nobody wants the answer any more.
			return errAbandoned
		case !g.held:
			g.visits[v] = struct{}{}
			return nil
		}
	}
}

func (g *Gate) leave(v *visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.visits, v)
	if v.connection != nil {
		v.connection.finishing = true
	}
	if g.held {
		g.announce()
	}
}

type visitKey struct{}

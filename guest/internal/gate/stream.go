package gate

import (
	"context"

	"connectrpc.com/connect"
)

// Interceptor makes the streams of Connect handlers obey the gate.
func (g *Gate) Interceptor() connect.Interceptor { return interceptor{} }

type interceptor struct{}

func (interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc { return next }

func (interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		v, ok := ctx.Value(visitKey{}).(*visit)
		if !ok {
			return next(ctx, conn)
		}
		v.becomeStream()
		err := next(ctx, &heldStream{conn, ctx, v})
		// Whatever the handler ran into when it was told to end, this is why.
		if why := v.whyOver(); why != nil && err != nil {
			return why
		}
		return err
	}
}

// heldStream sends nothing while the gate is held.
type heldStream struct {
	connect.StreamingHandlerConn
	ctx   context.Context
	visit *visit
}

func (s *heldStream) Send(message any) error {
	if err := s.visit.beginSend(s.ctx); err != nil {
		return err
	}
	defer s.visit.endSend()
	return s.StreamingHandlerConn.Send(message)
}

func (s *heldStream) Receive(message any) error {
	if err := s.visit.setReceiving(true); err != nil {
		return err
	}
	err := s.StreamingHandlerConn.Receive(message)
	if over := s.visit.setReceiving(false); over != nil && err != nil {
		return over
	}
	return err
}

// becomeStream marks a visit as one that may last. One that begins as the others are ended is ended with them: a pause
// ends streams only after it has held the gate.
func (v *visit) becomeStream() {
	v.gate.mu.Lock()
	defer v.gate.mu.Unlock()
	v.stream = true
	if v.gate.pausing {
		v.finish(errPausing)
	}
	v.gate.announce()
}

func (v *visit) whyOver() error {
	v.gate.mu.Lock()
	defer v.gate.mu.Unlock()
	return v.over
}

// beginSend waits until the gate is open and takes the turn to send, or says why the stream is over.
func (v *visit) beginSend(ctx context.Context) error {
	g := v.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	for v.over == nil && g.held {
		changed := g.changed
		g.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		g.mu.Lock()
		if v.over == nil && ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	if v.over != nil {
		return v.over
	}
	v.sending = true
	return nil
}

func (v *visit) endSend() {
	v.gate.mu.Lock()
	defer v.gate.mu.Unlock()
	v.sending = false
	if v.gate.held {
		v.gate.announce()
	}
}

// setReceiving notes whether the handler waits for its client, and returns why the stream is over, if it is.
func (v *visit) setReceiving(receiving bool) error {
	v.gate.mu.Lock()
	defer v.gate.mu.Unlock()
	v.receiving = receiving && v.over == nil
	return v.over
}

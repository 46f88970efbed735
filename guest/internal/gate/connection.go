package gate

import (
	"context"
	"net"
	"net/http"
	"syscall"

	"golang.org/x/sys/unix"
)

// connection is one accepted connection. Its fields are guarded by the gate's mutex.
type connection struct {
	socket net.Conn
	public bool
	// finishing says that the last bytes of an answer are on their way to the socket.
	finishing bool
}

type connectionKey struct{}

// Watch makes server's connections known to the gate. Those of the public port are waited for.
func (g *Gate) Watch(server *http.Server, public bool) {
	server.ConnContext = func(ctx context.Context, accepted net.Conn) context.Context {
		c := &connection{socket: accepted, public: public}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.connections[accepted] = c
		return context.WithValue(ctx, connectionKey{}, c)
	}
	server.ConnState = func(accepted net.Conn, state http.ConnState) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if c := g.connections[accepted]; c != nil {
			c.finishing = false
		}
		if state == http.StateClosed || state == http.StateHijacked {
			delete(g.connections, accepted)
		}
		if g.held {
			g.announce()
		}
	}
}

func connectionOf(ctx context.Context) *connection {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	return c
}

// abandoned reports whether the client has closed its side.
func (c *connection) abandoned() bool {
	polled := []unix.PollFd{{Events: unix.POLLRDHUP}}
	c.control(func(descriptor int) {
		polled[0].Fd = int32(descriptor)
		_, _ = unix.Poll(polled, 0)
	})
	return polled[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
}

// unconfirmed reports whether bytes wait in the kernel that the other side has not confirmed.
func (c *connection) unconfirmed() bool {
	waiting := 0
	c.control(func(descriptor int) { waiting, _ = unix.IoctlGetInt(descriptor, unix.TIOCOUTQ) })
	return waiting > 0
}

// control gives use the connection's descriptor, unless it has been closed.
func (c *connection) control(use func(descriptor int)) {
	if c == nil {
		return
	}
	if socket, ok := c.socket.(syscall.Conn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
			_ = raw.Control(func(descriptor uintptr) { use(int(descriptor)) })
		}
	}
}

// reset closes the connection at once and forgets what was not confirmed.
func (c *connection) reset() {
	if socket, ok := c.socket.(interface{ SetLinger(seconds int) error }); ok {
		_ = socket.SetLinger(0)
	}
	_ = c.socket.Close()
}

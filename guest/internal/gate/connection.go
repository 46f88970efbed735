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

// unconfirmed reports whether bytes wait in the kernel that the other side has not confirmed.
func (c *connection) unconfirmed() bool {
	socket, ok := c.socket.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	waiting := 0
	// A connection that has been closed has nothing to wait for.
	_ = raw.Control(func(descriptor uintptr) { waiting, _ = unix.IoctlGetInt(int(descriptor), unix.TIOCOUTQ) })
	return waiting > 0
}

// reset closes the connection at once and forgets what was not confirmed.
func (c *connection) reset() {
	if socket, ok := c.socket.(interface{ SetLinger(seconds int) error }); ok {
		_ = socket.SetLinger(0)
	}
	_ = c.socket.Close()
}

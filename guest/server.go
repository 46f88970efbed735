package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"connectrpc.com/connect"

	"skerry.dev/guest/internal/access"
	"skerry.dev/guest/internal/files"
	"skerry.dev/guest/internal/filesystem"
	"skerry.dev/guest/internal/gate"
	"skerry.dev/guest/internal/generation"
	"skerry.dev/guest/internal/metrics"
	"skerry.dev/guest/internal/process"
	"skerry.dev/guest/internal/replaced"
	"skerry.dev/guest/proto/filesystem/filesystempbconnect"
	"skerry.dev/guest/proto/process/processpbconnect"
)

const (
	// headerPatience bounds the time for a request's header, idlePatience that between two requests.
	headerPatience = 10 * time.Second
	idlePatience   = 10 * time.Minute
	headerLimit    = 64 << 10
	// bodiesInMemory bounds the messages that are held at once, in bytes.
	bodiesInMemory = 48 << 20
	// connectionLimit bounds the connections of each port.
	connectionLimit = 4096
	// compressFrom is the size from which a message is compressed for a client that allows it, in bytes.
	compressFrom = 4 << 10
)

// publicHandler serves E2B's protocol, and whoever asks for the generation.
func publicHandler(guard *access.Guard, table *process.Table, held *gate.Gate, lives *generation.Current) http.Handler {
	options := []connect.HandlerOption{
		connect.WithReadMaxBytes(access.MessageLimit),
		connect.WithCompressMinBytes(compressFrom),
		connect.WithInterceptors(held.Interceptor()),
		connect.WithRecover(func(_ context.Context, spec connect.Spec, _ http.Header, cause any) error {
			return connect.NewError(connect.CodeInternal, fmt.Errorf("%s failed: %v", spec.Procedure, cause))
		}),
	}
	routes := http.NewServeMux()
	messages := access.NewBudget(bodiesInMemory)
	path, handler := processpbconnect.NewProcessHandler(process.NewService(table, guard), options...)
	routes.Handle(path, messages.Limit(process.TakeTimeouts(handler)))
	uploads := &replaced.Recent{}
	path, handler = filesystempbconnect.NewFilesystemHandler(filesystem.NewService(guard, uploads), options...)
	routes.Handle(path, messages.Limit(handler))
	files.NewService(guard, uploads).Register(routes)
	routes.Handle("GET /metrics", &metrics.Meter{})
	routes.HandleFunc("GET /envs", func(w http.ResponseWriter, _ *http.Request) { writeEnvironment(w, guard) })
	routes.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		access.WriteError(w, http.StatusNotFound, "no such route: "+r.Method+" "+r.URL.Path)
	})
	clients := held.Limit(guard.Public(routes), func(w http.ResponseWriter, why error) {
		w.Header().Set("Retry-After", "1")
		access.WriteError(w, http.StatusServiceUnavailable, why.Error())
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A hook may ask while everybody else waits.
		if r.URL.Path == "/generation" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			lives.ServeHTTP(w, r)
			return
		}
		clients.ServeHTTP(w, r)
	})
}

func writeEnvironment(w http.ResponseWriter, guard *access.Guard) {
	env := map[string]string{}
	if with := guard.Settings.Load(); with != nil && with.Env != nil {
		env = with.Env
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(env)
}

// newServer bounds what a client may make the guest wait for and hold.
func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           recoverFrom(handler, log),
		ReadHeaderTimeout: headerPatience,
		IdleTimeout:       idlePatience,
		MaxHeaderBytes:    headerLimit,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

func recoverFrom(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil || cause == http.ErrAbortHandler {
				return
			}
			log.Error("A request failed", "path", r.URL.Path, "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
			access.WriteError(w, http.StatusInternalServerError, "the request failed inside the guest")
		}()
		next.ServeHTTP(w, r)
	})
}

// limitConnections makes further clients wait in the kernel's queue while too many are connected.
func limitConnections(listener *net.TCPListener) net.Listener {
	return &limitedListener{TCPListener: listener, slots: make(chan struct{}, connectionLimit)}
}

type limitedListener struct {
	*net.TCPListener
	slots chan struct{}
}

func (l *limitedListener) Accept() (net.Conn, error) {
	l.slots <- struct{}{}
	connection, err := l.AcceptTCP()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConnection{TCPConn: connection, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

type limitedConnection struct {
	*net.TCPConn
	release func()
}

func (c *limitedConnection) Close() error {
	defer c.release()
	return c.TCPConn.Close()
}

// Command skerry-guest is PID 1 of every sandbox: it starts processes and moves files for clients, and obeys the host.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"skerry.dev/guest/internal/access"
	"skerry.dev/guest/internal/awake"
	"skerry.dev/guest/internal/control"
	"skerry.dev/guest/internal/gate"
	"skerry.dev/guest/internal/generation"
	"skerry.dev/guest/internal/hooks"
	"skerry.dev/guest/internal/journal"
	"skerry.dev/guest/internal/process"
	"skerry.dev/guest/internal/reaper"
	"skerry.dev/guest/internal/settings"
	"skerry.dev/guest/internal/users"
)

// version is stamped by the linker.
var version = "development"

// init keeps the first thread for main: other threads may give their rights away and end.
func init() { runtime.LockOSThread() }

func main() {
	showVersion := flag.Bool("version", false, "print the versions and end")
	publicAddress := flag.String("public", "0.0.0.0:49983", "where clients are answered")
	controlAddress := flag.String("control", "0.0.0.0:49982", "where the host is answered")
	stall := flag.Duration("stall", 60*time.Second, "how long an attached client may not read before it is detached")
	retain := flag.Duration("retain", 30*time.Second, "how long the end of a process is remembered")
	specEnviron := flag.String("spec-environ", control.SpecEnviron, "where the environment of a restore is found")
	hooksRoot := flag.String("hooks", hooks.Directory, "where the sandbox keeps its hooks")
	generationFile := flag.String("generation", generation.File, "where programs find the generation")
	flag.Parse()
	if *showVersion {
		fmt.Printf("skerry-guest %s (protocol %d, envd %s)\n", version, control.ProtocolVersion, control.EnvdVersion)
		return
	}
	log := journal.New()
	err := run(log, options{
		public: *publicAddress, control: *controlAddress, stall: *stall, retain: *retain,
		specEnviron: *specEnviron, hooksRoot: *hooksRoot, generationFile: *generationFile,
	})
	if err != nil {
		log.Error("Cannot run the guest", "error", err)
		os.Exit(1)
	}
}

// options are the flags; production uses none.
type options struct {
	public, control                        string
	stall, retain                          time.Duration
	specEnviron, hooksRoot, generationFile string
}

// run serves until the sandbox ends. It returns only to say why it cannot.
func run(log *slog.Logger, with options) error {
	secret, err := takeSecret()
	if err != nil {
		return err
	}
	syscall.Umask(0o022)
	children, err := reaper.Start()
	if err != nil {
		return fmt.Errorf("cannot collect orphans: %w", err)
	}
	current := &settings.Current{}
	clock, held := awake.New(), gate.New()
	table := process.NewTable(children, current, clock, with.stall, with.retain)
	guard := &access.Guard{Settings: current, Accounts: users.System}
	ending := control.NewEnding(current, table, held, children, log)

	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	go func() {
		<-terminated
		ending.Run(control.DefaultGrace)
		os.Exit(0)
	}()
	// A terminal's or a peer's end must not be the guest's. Ignoring the signals would be inherited by every process.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGINT)

	// Both are open before either answers: whoever reaches the one may rely on the other.
	publicListener, err := listen(with.public)
	if err != nil {
		return err
	}
	controlListener, err := listen(with.control)
	if err != nil {
		return err
	}
	lives := generation.New(with.generationFile)
	failed := make(chan error, 2)
	serve := func(listener net.Listener, handler http.Handler, public bool) {
		server := newServer(handler, log)
		held.Watch(server, public)
		go func() { failed <- server.Serve(listener) }()
	}
	serve(publicListener, publicHandler(guard, table, held, lives), true)
	serve(controlListener, control.NewServer(control.Parts{
		Version: version, Secret: secret, SpecEnviron: with.specEnviron, Settings: current, Table: table, Ending: ending, Gate: held, Clock: clock,
		Generation: lives, Hooks: &hooks.Runner{Root: with.hooksRoot, Table: table, Log: log}, Log: log,
	}).Handler(), false)
	log.Info("Ready", "version", version, "pid", os.Getpid(), "public", publicListener.Addr().String(), "control", controlListener.Addr().String())
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func listen(address string) (net.Listener, error) {
	resolved, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return nil, err
	}
	listener, err := net.ListenTCP("tcp4", resolved)
	if err != nil {
		return nil, err
	}
	return limitConnections(listener), nil
}

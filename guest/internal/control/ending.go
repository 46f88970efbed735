package control

import (
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"skerry.dev/guest/internal/gate"
	"skerry.dev/guest/internal/process"
	"skerry.dev/guest/internal/reaper"
	"skerry.dev/guest/internal/settings"
)

const (
	// DefaultGrace is how long processes may take to end when nobody says otherwise.
	DefaultGrace = 5 * time.Second
	maxGrace     = 10 * time.Minute
	// killPatience is how long the kernel may take to end what was killed.
	killPatience = 5 * time.Second
	// exitDelay leaves time for the last answer to reach the host.
	exitDelay = 100 * time.Millisecond
)

// Ending stops everything in the sandbox, once.
type Ending struct {
	settings *settings.Current
	table    *process.Table
	gate     *gate.Gate
	reaper   *reaper.Reaper
	log      *slog.Logger

	once   sync.Once
	killed int
}

// NewEnding makes the ending of the program.
func NewEnding(current *settings.Current, table *process.Table, held *gate.Gate, children *reaper.Reaper, log *slog.Logger) *Ending {
	return &Ending{settings: current, table: table, gate: held, reaper: children, log: log}
}

// Run refuses new work, asks all processes to end, kills what is left after grace, and syncs. It returns how many it killed.
// Further calls wait for the first and return the same.
func (e *Ending) Run(grace time.Duration) int {
	e.once.Do(func() {
		e.settings.Close()
		// Whoever waits learns that there is nothing to wait for.
		e.gate.Open()
		e.log.Info("Shutting down", "graceMs", grace.Milliseconds())
		e.signal(syscall.SIGTERM)
		// A stopped process cannot act on the signal.
		e.signal(syscall.SIGCONT)
		if !within(e.reaper.Childless(), grace) {
			e.killed = len(e.reaper.Descendants())
			e.signal(syscall.SIGKILL)
			e.reaper.KillDescendants()
			within(e.reaper.Childless(), killPatience)
		}
		unix.Sync()
	})
	return e.killed
}

// Exit ends the program soon.
func (e *Ending) Exit() {
	time.AfterFunc(exitDelay, func() { os.Exit(0) })
}

func (e *Ending) signal(sig syscall.Signal) {
	if os.Getpid() == 1 {
		_ = syscall.Kill(-1, sig)
		return
	}
	e.table.SignalAll(sig)
}

func within(done <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

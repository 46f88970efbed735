package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"skerry.dev/guest/internal/settings"
	"skerry.dev/guest/internal/users"
)

// errandQuiet is how long the last output of an errand may take to arrive after its end.
const errandQuiet = 100 * time.Millisecond

// errandKilled is how long the kernel may take to end what was killed.
const errandKilled = time.Second

// Outcome is how an errand went.
type Outcome struct {
	// ExitCode is as a shell would say it: 126 for what could not be started, 128 and the number for a signal.
	ExitCode int
	// Killed says that it ran too long and was ended with all its descendants.
	Killed bool
	// Output is the last of what it printed.
	Output []byte
}

// Errand runs one program of the sandbox as root to its end, or to that of ctx. It is no process of a client: nobody sees it
// in a list. Descendants that it leaves behind in time live on.
func (t *Table) Errand(ctx context.Context, program string, with *settings.Settings, variables map[string]string, outputLimit int) Outcome {
	root := &users.User{Name: "root", Home: "/root", Shell: "/bin/sh", Groups: []uint32{0}}
	mark := newMark()
	env, err := flatten(environment(root, with, variables, mark))
	if err != nil {
		return notStarted(err)
	}
	ours, theirs, err := pipe(true)
	if err != nil {
		return notStarted(err)
	}
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		_ = ours.Close()
		_ = unix.Close(theirs)
		return notStarted(err)
	}
	process := &Process{mark: mark, user: root, table: t}
	pid, status, err := t.reaper.Spawn(program, []string{program}, &syscall.ProcAttr{
		Dir: "/", Env: env, Files: []uintptr{uintptr(null), uintptr(theirs), uintptr(theirs)},
		Sys: &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Groups: root.Groups}},
	})
	_ = unix.Close(theirs)
	_ = unix.Close(null)
	if err != nil {
		_ = ours.Close()
		if errors.Is(err, syscall.ENOEXEC) {
			err = fmt.Errorf("%w: a script begins with a line such as #!/bin/sh", err)
		}
		return notStarted(err)
	}
	process.pid = pid
	printed := &tail{limit: outputLimit}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		printed.follow(ours)
	}()
	outcome := Outcome{}
	select {
	case ended := <-status:
		process.leaderGone.Store(true)
		outcome.ExitCode = exitCode(ended)
	case <-ctx.Done():
		outcome.Killed = true
		process.killTree()
		select {
		case <-status:
		case <-time.After(errandKilled):
		}
	}
	select {
	case <-drained:
	case <-time.After(errandQuiet):
	}
	outcome.Output = printed.bytes()
	return outcome
}

func notStarted(err error) Outcome {
	const cannotExecute = 126
	return Outcome{ExitCode: cannotExecute, Output: []byte("cannot be started: " + err.Error())}
}

func exitCode(status syscall.WaitStatus) int {
	const signalled = 128
	if status.Signaled() {
		return signalled + int(status.Signal())
	}
	return status.ExitStatus()
}

// tail keeps the last bytes that were printed.
type tail struct {
	limit int
	mu    sync.Mutex
	kept  []byte
}

// follow reads file to its end, also what nobody asks for any more: whoever holds the other side must not die of it.
func (l *tail) follow(file *os.File) {
	defer file.Close()
	buffer := make([]byte, 4<<10)
	for {
		count, err := file.Read(buffer)
		l.mu.Lock()
		l.kept = append(l.kept, buffer[:count]...)
		l.kept = l.kept[max(0, len(l.kept)-l.limit):]
		l.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (l *tail) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.kept)
}

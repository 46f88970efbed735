// Package process runs what clients ask for, and keeps it running when they go away.
package process

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"connectrpc.com/connect"

	"skerry.dev/guest/internal/awake"
	"skerry.dev/guest/internal/settings"
	"skerry.dev/guest/internal/users"
	processpb "skerry.dev/guest/proto/process"
)

const (
	// quietAfterExit is how long output may still come from what a process left behind before its stream ends.
	quietAfterExit = 300 * time.Millisecond
	// drainAfterExit and drainBytes bound that wait when the output never becomes quiet: both must be passed. A pipe holds less.
	drainAfterExit = 5 * time.Second
	drainBytes     = 4 << 20
)

// Process is one started program.
type Process struct {
	pid    int
	tag    *string
	config *processpb.ProcessConfig
	mark   string
	user   *users.User
	table  *Table
	output *output
	input  *input
	// terminal is the controlling side of the pseudo terminal, or nil.
	terminal *os.File

	leaderGone atomic.Bool
	timedOut   atomic.Bool
	killing    sync.Mutex
	deadline   *awake.Timer
	// lastRead is when output last came, in nanoseconds awake.
	lastRead atomic.Int64
	// bytesRead counts all output.
	bytesRead atomic.Int64
	// distributing counts the readers that hold output which a slow client has no room for.
	distributing atomic.Int32
}

// start runs the request's program as user and attaches the one who asked. After limit of time awake, unless it is zero,
// the whole tree ends.
func (t *Table) start(request *processpb.StartRequest, user *users.User, with *settings.Settings, limit time.Duration, onStall func()) (*Process, *subscriber, error) {
	config := request.GetProcess()
	mark := newMark()
	directory, err := workingDirectory(config.GetCwd(), user, with.DefaultWorkdir)
	if err != nil {
		return nil, nil, err
	}
	env := environment(user, with, config.GetEnvs(), mark)
	program, err := findProgram(config.GetCmd(), directory, env["PATH"])
	if err != nil {
		return nil, nil, err
	}
	variables, err := flatten(env)
	if err != nil {
		return nil, nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	stdio, err := openStdio(request, user)
	if err != nil {
		return nil, nil, connect.NewError(connect.CodeResourceExhausted, err)
	}
	defer stdio.closeChildEnds()

	process := &Process{
		tag: request.Tag, config: config, mark: mark, user: user, table: t,
		output: newOutput(t.clock, t.stall), input: stdio.input, terminal: stdio.terminal,
	}
	// The subscriber exists before the process, so that the one who started it gets the first byte.
	first := process.output.attach(onStall)
	attributes := &syscall.ProcAttr{
		Dir: directory, Env: variables, Files: stdio.childFiles(),
		Sys: &syscall.SysProcAttr{
			Setsid: true, Setctty: stdio.terminal != nil, Ctty: 0,
			Credential: &syscall.Credential{Uid: user.UID, Gid: user.GID, Groups: user.Groups},
		},
	}
	// Somebody may already be waiting for every process to end.
	if t.settings.Closing() {
		stdio.closeParentEnds()
		return nil, nil, connect.NewError(connect.CodeUnavailable, errClosing)
	}
	arguments := append([]string{config.GetCmd()}, config.GetArgs()...)
	pid, status, err := t.reaper.Spawn(program, arguments, attributes)
	if err != nil {
		stdio.closeParentEnds()
		return nil, nil, spawnError(program, directory, user, err)
	}
	process.pid = pid
	t.add(process)
	if limit != 0 {
		process.deadline = t.clock.AfterFunc(limit, process.expire)
	}
	go process.follow(stdio.outputs, status)
	return process, first, nil
}

// follow copies the output until the process has ended and its output with it.
func (p *Process) follow(outputs []outputPipe, status <-chan syscall.WaitStatus) {
	var readers sync.WaitGroup
	for _, pipe := range outputs {
		readers.Go(func() { p.copyOutput(pipe) })
	}
	drained := make(chan struct{})
	go func() {
		readers.Wait()
		close(drained)
	}()
	ended := <-status
	p.leaderGone.Store(true)
	// Of a terminal, input and output are one file: closed now, what was printed last would be lost unread.
	if p.terminal == nil {
		p.input.close()
	}
	p.noteRead()
	p.awaitQuiet(drained)
	p.input.close()
	if p.deadline != nil {
		p.deadline.Stop()
	}
	how := describe(ended)
	how.timedOut = p.timedOut.Load()
	p.table.retire(p)
	p.output.end(how)
	// What still holds the pipes open keeps running: its output is read on, and goes nowhere.
	<-drained
}

// awaitQuiet returns when all output was read, or when what the process left behind is silent or does not stop.
func (p *Process) awaitQuiet(drained <-chan struct{}) {
	clock := p.table.clock
	latest, most := clock.Now()+drainAfterExit, p.bytesRead.Load()+drainBytes
	for {
		now := clock.Now()
		wait := time.Duration(p.lastRead.Load()) + quietAfterExit - now
		if wait <= 0 || p.bytesRead.Load() > most && now > latest {
			if p.distributing.Load() == 0 {
				return
			}
			wait = quietAfterExit
		}
		timer := clock.NewTimer(wait)
		select {
		case <-drained:
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

func (p *Process) noteRead() { p.lastRead.Store(int64(p.table.clock.Now())) }

func (p *Process) copyOutput(pipe outputPipe) {
	defer pipe.file.Close()
	buffer := make([]byte, readSize)
	for {
		count, err := pipe.file.Read(buffer)
		if count > 0 {
			p.bytesRead.Add(int64(count))
			p.distributing.Add(1)
			p.output.write(pipe.from, buffer[:count])
			p.noteRead()
			p.distributing.Add(-1)
		}
		if err != nil {
			return
		}
	}
}

// expire ends the whole tree because the caller's time is over.
func (p *Process) expire() {
	p.timedOut.Store(true)
	p.killing.Lock()
	defer p.killing.Unlock()
	p.killTree()
}

func describe(status syscall.WaitStatus) ending {
	if status.Signaled() {
		text := "signal: " + status.Signal().String()
		if status.CoreDump() {
			text += " (core dumped)"
		}
		return ending{code: -1, status: text, failure: text}
	}
	code := status.ExitStatus()
	how := ending{code: int32(code), exited: true, status: "exit status " + strconv.Itoa(code)}
	if code != 0 {
		how.failure = how.status
	}
	return how
}

func newMark() string {
	var random [8]byte
	_, _ = rand.Read(random[:])
	return hex.EncodeToString(random[:])
}

package process

import (
	"errors"
	"strconv"
	"sync"
	"syscall"
	"time"

	"connectrpc.com/connect"

	"skerry.dev/guest/internal/awake"
	"skerry.dev/guest/internal/reaper"
	"skerry.dev/guest/internal/settings"
	processpb "skerry.dev/guest/proto/process"
)

var errClosing = errors.New("the sandbox is shutting down")

// Table knows the processes that clients started: the running ones, and for a while those that have ended.
type Table struct {
	reaper   *reaper.Reaper
	settings *settings.Current
	clock    *awake.Clock
	stall    time.Duration
	retain   time.Duration

	mu      sync.Mutex
	running map[int]*Process
	ended   map[int]*Process
}

// NewTable makes an empty table. An attached client that makes no progress for stall is detached, and how a process ended
// is known for retain; both count time awake, as do the timeouts of processes.
func NewTable(children *reaper.Reaper, current *settings.Current, clock *awake.Clock, stall, retain time.Duration) *Table {
	return &Table{
		reaper: children, settings: current, clock: clock, stall: stall, retain: retain,
		running: map[int]*Process{}, ended: map[int]*Process{},
	}
}

// Count is how many processes run.
func (t *Table) Count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.running)
}

// SignalAll sends to the group of every running process.
func (t *Table) SignalAll(sig syscall.Signal) {
	for _, process := range t.list() {
		_ = t.reaper.Signal(process.pid, sig)
	}
}

func (t *Table) list() []*Process {
	t.mu.Lock()
	defer t.mu.Unlock()
	processes := make([]*Process, 0, len(t.running))
	for _, process := range t.running {
		processes = append(processes, process)
	}
	return processes
}

func (t *Table) add(p *Process) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// The kernel gives a pid out again once its process was collected, although that one's output may still be read.
	if earlier, taken := t.running[p.pid]; taken {
		delete(t.running, p.pid)
		t.ended[p.pid] = earlier
	} else {
		delete(t.ended, p.pid)
	}
	t.running[p.pid] = p
}

// retire keeps an ended process for those who come late.
func (t *Table) retire(p *Process) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running[p.pid] == p {
		delete(t.running, p.pid)
		t.ended[p.pid] = p
	}
	t.clock.AfterFunc(t.retain, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.ended[p.pid] == p {
			delete(t.ended, p.pid)
		}
	})
}

// find returns the process that selector names. An ended one is found only with orEnded.
func (t *Table) find(selector *processpb.ProcessSelector, orEnded bool) (*Process, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tables := []map[int]*Process{t.running}
	if orEnded {
		tables = append(tables, t.ended)
	}
	switch by := selector.GetSelector().(type) {
	case *processpb.ProcessSelector_Pid:
		for _, table := range tables {
			if process, ok := table[int(by.Pid)]; ok {
				return process, nil
			}
		}
		return nil, connect.NewError(connect.CodeNotFound, errors.New("process with pid "+strconv.FormatUint(uint64(by.Pid), 10)+" not found"))
	case *processpb.ProcessSelector_Tag:
		for _, table := range tables {
			for _, process := range table {
				if process.tag != nil && *process.tag == by.Tag {
					return process, nil
				}
			}
		}
		return nil, connect.NewError(connect.CodeNotFound, errors.New("process with tag '"+by.Tag+"' not found"))
	}
	return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("name the process by `pid` or `tag`"))
}

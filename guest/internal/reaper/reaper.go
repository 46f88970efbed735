// Package reaper starts child processes and collects their exit statuses, and those of every orphan that the kernel hands
// to the guest. It is the only place that waits for children, so no status can be stolen.
package reaper

import (
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Reaper owns all children of this process. Only one may exist.
type Reaper struct {
	// mu is held while a child is made and while statuses are collected: a child that ends at once is registered before
	// anybody can collect it, and a pid cannot be given out again between a look-up and a signal.
	mu       sync.Mutex
	children map[int]chan<- syscall.WaitStatus
	// idle are those who wait until there is no child at all.
	idle []chan struct{}
}

// Start makes this process the parent of all orphans below it and collects until the program ends.
func Start() (*Reaper, error) {
	if os.Getpid() != 1 {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return nil, err
		}
	}
	reaper := &Reaper{children: map[int]chan<- syscall.WaitStatus{}}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	go func() {
		for {
			reaper.collect()
			<-ended
		}
	}()
	return reaper, nil
}

// Spawn starts a program and returns its pid and a channel that gets its status once.
func (r *Reaper) Spawn(path string, args []string, attributes *syscall.ProcAttr) (int, <-chan syscall.WaitStatus, error) {
	status := make(chan syscall.WaitStatus, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := syscall.ForkExec(path, args, attributes)
	if err != nil {
		return 0, nil, err
	}
	r.children[pid] = status
	return pid, status, nil
}

// Signal sends to the process group that the child pid leads. It returns ESRCH once the child's status was collected.
func (r *Reaper) Signal(pid int, sig syscall.Signal) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, alive := r.children[pid]; !alive {
		return syscall.ESRCH
	}
	return syscall.Kill(-pid, sig)
}

// Hold runs f while no direct child's pid can be given to another process.
func (r *Reaper) Hold(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// Children returns the pids of the processes that Spawn started and that have not ended.
func (r *Reaper) Children() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	pids := make([]int, 0, len(r.children))
	for pid := range r.children {
		pids = append(pids, pid)
	}
	return pids
}

// Childless returns a channel that is closed when this process has no child left, started or inherited.
func (r *Reaper) Childless() <-chan struct{} {
	idle := make(chan struct{})
	r.mu.Lock()
	r.idle = append(r.idle, idle)
	r.mu.Unlock()
	r.collect()
	return idle
}

func (r *Reaper) collect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.ECHILD:
			for _, idle := range r.idle {
				close(idle)
			}
			r.idle = nil
			return
		case err != nil || pid == 0:
			return
		}
		if child, ours := r.children[pid]; ours {
			delete(r.children, pid)
			child <- status
		}
	}
}

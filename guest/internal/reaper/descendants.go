package reaper

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// State is what the kernel says of a process.
type State struct {
	Parent  int
	Session int
	// Letter is the state's letter, `Z` for one that has ended and was not collected.
	Letter byte
}

// Ended reports whether only the status is left of the process.
func (s State) Ended() bool { return s.Letter == 'Z' || s.Letter == 'X' }

// States reads every process but this one.
func States() map[int]State {
	states := map[int]State{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return states
	}
	self := os.Getpid()
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == self {
			continue
		}
		text, err := os.ReadFile("/proc/" + entry.Name() + "/stat")
		if err != nil {
			continue
		}
		if state, ok := parseState(string(text)); ok {
			states[pid] = state
		}
	}
	return states
}

// parseState reads a line of /proc/PID/stat. The name in parentheses may hold anything, also parentheses.
func parseState(text string) (State, bool) {
	end := strings.LastIndexByte(text, ')')
	if end < 0 {
		return State{}, false
	}
	fields := strings.Fields(text[end+1:])
	if len(fields) < 4 || len(fields[0]) != 1 {
		return State{}, false
	}
	parent, parentErr := strconv.Atoi(fields[1])
	session, sessionErr := strconv.Atoi(fields[3])
	return State{Parent: parent, Session: session, Letter: fields[0][0]}, parentErr == nil && sessionErr == nil
}

// Descendants lists the living processes below this one. As PID 1 that is everybody.
func (r *Reaper) Descendants() []int {
	states := States()
	self := os.Getpid()
	below := map[int]bool{self: true}
	for grown := true; grown; {
		grown = false
		for pid, state := range states {
			if !below[pid] && (below[state.Parent] || self == 1) {
				below[pid] = true
				grown = true
			}
		}
	}
	var pids []int
	for pid := range below {
		if pid != self && !states[pid].Ended() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// killRounds bounds the hunt for processes that fork while they are being killed.
const killRounds = 20

// KillDescendants kills everything below this process.
func (r *Reaper) KillDescendants() {
	for range killRounds {
		found := false
		r.Hold(func() {
			for _, pid := range r.Descendants() {
				found = syscall.Kill(pid, syscall.SIGKILL) == nil || found
			}
		})
		if !found {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

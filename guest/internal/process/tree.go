package process

import (
	"syscall"

	"skerry.dev/guest/internal/reaper"
)

// markVariable is set in the environment of every process that the guest starts, so that its descendants are found even when
// they left its session and lost their parent.
const markVariable = "SKERRY_PROCESS"

// treeRounds bounds the hunt for processes that fork while they are looked for.
const treeRounds = 50

// killTree ends the process group of the leader, everything below it and everything that carries its mark. All are stopped
// before the first is killed: a child whose parent died would no longer be found below it.
func (p *Process) killTree() {
	stopped := map[int]bool{}
	for range treeRounds {
		found := false
		p.table.reaper.Hold(func() {
			for _, pid := range p.tree() {
				if !stopped[pid] {
					stopped[pid] = true
					found = syscall.Kill(pid, syscall.SIGSTOP) == nil || found
				}
			}
		})
		if !found {
			break
		}
	}
	p.table.reaper.Hold(func() {
		for _, pid := range p.tree() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if !p.leaderGone.Load() {
			_ = syscall.Kill(-p.pid, syscall.SIGKILL)
		}
	})
}

// tree lists the living processes of this tree, without the zombies.
func (p *Process) tree() []int {
	// Once the leader's status is collected its pid may name somebody else: only the mark is proof then.
	leading := !p.leaderGone.Load()
	members := map[int]bool{}
	if leading {
		members[p.pid] = true
	}
	states := reaper.States()
	for pid, state := range states {
		if leading && state.Session == p.pid {
			members[pid] = true
		}
	}
	for _, pid := range marked(markVariable+"="+p.mark, p.user, states) {
		members[pid] = true
	}
	for grown := true; grown; {
		grown = false
		for pid, state := range states {
			if !members[pid] && members[state.Parent] {
				members[pid] = true
				grown = true
			}
		}
	}
	var pids []int
	for pid := range members {
		if state, known := states[pid]; known && !state.Ended() {
			pids = append(pids, pid)
		}
	}
	return pids
}

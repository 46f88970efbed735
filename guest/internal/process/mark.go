package process

import (
	"bytes"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"skerry.dev/guest/internal/reaper"
	"skerry.dev/guest/internal/users"
)

// marked returns the processes whose environment holds variable. In a sandbox root may not read that of another user's
// process (there is no CAP_SYS_PTRACE), so what is refused is read once more as user.
func marked(variable string, user *users.User, states map[int]reaper.State) []int {
	var found, refused []int
	for pid := range states {
		switch carries, err := carriesMark(pid, variable); {
		case carries:
			found = append(found, pid)
		case os.IsPermission(err):
			refused = append(refused, pid)
		}
	}
	if len(refused) > 0 && user.UID != 0 {
		found = append(found, markedAs(user, variable, refused)...)
	}
	return found
}

// markedAs looks with the rights of user, on a thread that has no others and ends with this call.
func markedAs(user *users.User, variable string, pids []int) []int {
	answer := make(chan []int)
	go func() {
		// Never unlocked: the thread that gave its rights away is thrown away with the goroutine.
		runtime.LockOSThread()
		var found []int
		defer func() { answer <- found }()
		uid, gid := uintptr(user.UID), uintptr(user.GID)
		// The library's calls change all threads, the bare ones only this.
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, gid, gid, gid); errno != 0 {
			return
		}
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); errno != 0 {
			return
		}
		for _, pid := range pids {
			if carries, _ := carriesMark(pid, variable); carries {
				found = append(found, pid)
			}
		}
	}()
	return <-answer
}

func carriesMark(pid int, variable string) (bool, error) {
	environment, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false, err
	}
	for present := range bytes.SplitSeq(environment, []byte{0}) {
		if string(present) == variable {
			return true, nil
		}
	}
	return false, nil
}

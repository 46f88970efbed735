package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"connectrpc.com/connect"
	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"skerry.dev/guest/internal/users"
	processpb "skerry.dev/guest/proto/process"
)

// outputPipe is one stream that the guest reads.
type outputPipe struct {
	from source
	file *os.File
}

// stdio is both sides of a process's standard streams.
type stdio struct {
	child    [3]int
	outputs  []outputPipe
	input    *input
	terminal *os.File
	opened   []int
}

// openStdio makes a pseudo terminal, or a pipe for each stream.
func openStdio(request *processpb.StartRequest, user *users.User) (*stdio, error) {
	streams := &stdio{child: [3]int{-1, -1, -1}, input: newInput(nil)}
	var err error
	if request.Pty != nil {
		err = streams.openTerminal(request.GetPty().GetSize(), user)
	} else {
		err = streams.openPipes(request.Stdin == nil || request.GetStdin())
	}
	if err != nil {
		streams.closeChildEnds()
		streams.closeParentEnds()
		return nil, fmt.Errorf("cannot start process: its streams could not be opened: %w", err)
	}
	return streams, nil
}

func (s *stdio) openTerminal(size *processpb.PTY_Size, user *users.User) error {
	controller, terminal, err := pty.Open()
	if err != nil {
		return err
	}
	defer controller.Close()
	defer terminal.Close()
	// The library leaves its files blocking: a read would hold a thread, and closing would not end it.
	own, err := unix.FcntlInt(controller.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(own, true); err != nil {
		_ = unix.Close(own)
		return err
	}
	s.terminal = os.NewFile(uintptr(own), "terminal")
	s.outputs = []outputPipe{{from: fromTerminal, file: s.terminal}}
	s.input = newInput(s.terminal)
	child, err := unix.FcntlInt(terminal.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	s.opened = append(s.opened, child)
	s.child = [3]int{child, child, child}
	// Programs such as sudo and tmux open their terminal again by name.
	_ = unix.Fchown(child, int(user.UID), int(user.GID))
	return resize(s.terminal, size)
}

func (s *stdio) openPipes(withInput bool) error {
	for index, from := range []source{fromStdout, fromStderr} {
		ours, theirs, err := pipe(true)
		if err != nil {
			return err
		}
		s.opened = append(s.opened, theirs)
		s.child[index+1] = theirs
		s.outputs = append(s.outputs, outputPipe{from: from, file: ours})
	}
	if !withInput {
		null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		s.opened = append(s.opened, null)
		s.child[0] = null
		return nil
	}
	ours, theirs, err := pipe(false)
	if err != nil {
		return err
	}
	s.opened = append(s.opened, theirs)
	s.child[0] = theirs
	s.input = newInput(ours)
	return nil
}

// pipe makes a pipe of which the guest has the reading or the writing end. Only that end does not block.
func pipe(reading bool) (*os.File, int, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, -1, err
	}
	ours, theirs := ends[1], ends[0]
	if reading {
		ours, theirs = theirs, ours
	}
	if err := unix.SetNonblock(ours, true); err != nil {
		_ = unix.Close(ours)
		_ = unix.Close(theirs)
		return nil, -1, err
	}
	return os.NewFile(uintptr(ours), "pipe"), theirs, nil
}

func (s *stdio) childFiles() []uintptr {
	return []uintptr{uintptr(s.child[0]), uintptr(s.child[1]), uintptr(s.child[2])}
}

func (s *stdio) closeChildEnds() {
	for _, descriptor := range s.opened {
		_ = unix.Close(descriptor)
	}
	s.opened = nil
}

func (s *stdio) closeParentEnds() {
	for _, pipe := range s.outputs {
		_ = pipe.file.Close()
	}
	s.input.close()
}

// resize sets the terminal's size. A size that was not given is 80 by 24.
func resize(terminal *os.File, size *processpb.PTY_Size) error {
	columns, rows := size.GetCols(), size.GetRows()
	if columns == 0 {
		columns = 80
	}
	if rows == 0 {
		rows = 24
	}
	connection, err := terminal.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = connection.Control(func(descriptor uintptr) {
		failure = unix.IoctlSetWinsize(int(descriptor), unix.TIOCSWINSZ,
			&unix.Winsize{Col: uint16(min(columns, 65535)), Row: uint16(min(rows, 65535))})
	})
	return errors.Join(err, failure)
}

// input is a process's standard input. One writer at a time, and a writer that waits for room can give up.
type input struct {
	turn chan struct{}
	file *os.File
}

func newInput(file *os.File) *input {
	return &input{turn: make(chan struct{}, 1), file: file}
}

func (i *input) write(ctx context.Context, data []byte) error {
	if i.file == nil {
		return connect.NewError(connect.CodeFailedPrecondition, errors.New("the process was started without stdin"))
	}
	select {
	case i.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-i.turn }()
	_ = i.file.SetWriteDeadline(time.Time{})
	stop := context.AfterFunc(ctx, func() { _ = i.file.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err := i.file.Write(data)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return context.Cause(ctx)
	case errors.Is(err, os.ErrClosed), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.EIO):
		return connect.NewError(connect.CodeFailedPrecondition, errors.New("the process's stdin is closed"))
	}
	return connect.NewError(connect.CodeInternal, fmt.Errorf("cannot write to the process: %w", err))
}

// close gives the process the end of its input. It may be called again.
func (i *input) close() {
	if i.file != nil {
		_ = i.file.Close()
	}
}

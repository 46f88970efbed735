package files

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"skerry.dev/guest/internal/owned"
	"skerry.dev/guest/internal/replaced"
	"skerry.dev/guest/internal/users"
)

// newFileMode is the mode of a file that was not there.
const newFileMode = 0o644

// copySize is how much of a body is written at once: calls are dear in a sandbox.
const copySize = 256 << 10

// place writes content to path at once: until it is complete, what was there stays. An existing file keeps its mode and
// owner, a new one and the directories above it belong to user.
func (s *Service) place(path string, content io.Reader, user *users.User, metadata map[string]string) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	present, err := presentFile(path)
	if err != nil {
		return err
	}
	directory := filepath.Dir(path)
	if err := owned.MakeDirectories(directory, user); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(directory, replaced.TemporaryPrefix+"*")
	if err != nil {
		return err
	}
	complete := false
	defer func() {
		_ = temporary.Close()
		if !complete {
			_ = os.Remove(temporary.Name())
		}
	}()
	buffered := bufio.NewWriterSize(struct{ io.Writer }{temporary}, copySize)
	if _, err := buffered.ReadFrom(content); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	descriptor := int(temporary.Fd())
	if err := storeMetadata(descriptor, metadata); err != nil {
		return err
	}
	uid, gid, mode := int(user.UID), int(user.GID), uint32(newFileMode)
	if present != nil {
		uid, gid, mode = int(present.Uid), int(present.Gid), present.Mode&0o777
	}
	if err := unix.Fchown(descriptor, uid, gid); err != nil {
		return err
	}
	if err := unix.Fchmod(descriptor, mode); err != nil {
		return err
	}
	var made unix.Stat_t
	if err := unix.Fstat(descriptor, &made); err != nil {
		return err
	}
	// Some file systems learn only now that there is no room.
	if err := temporary.Close(); err != nil {
		return err
	}
	s.uploads.Add(replaced.Upload{
		Path: path, Device: made.Dev, Inode: made.Ino, ModifiedNs: made.Mtim.Nano(), Existed: present != nil,
	})
	if err := os.Rename(temporary.Name(), path); err != nil {
		return err
	}
	complete = true
	return nil
}

// presentFile returns the file that path names, or nil when there is none. Only a regular file can be replaced.
func presentFile(path string) (*syscall.Stat_t, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fail(http.StatusBadRequest, "path '%s' is a directory", path)
	case info.Mode()&fs.ModeSymlink != 0:
		// It leads nowhere: the new file takes its place.
		return nil, nil
	case !info.Mode().IsRegular():
		return nil, fail(http.StatusBadRequest, "path '%s' is not a regular file", path)
	}
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, nil
	}
	return status, nil
}

// Package owned makes directories that belong to the one who asked for them.
package owned

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"skerry.dev/guest/internal/users"
)

// MakeDirectories makes path and the parents that are missing, and gives what it made to user. What is there stays as it is.
func MakeDirectories(path string, user *users.User) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if parent := filepath.Dir(path); parent != path {
		if err := MakeDirectories(parent, user); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		if errors.Is(err, fs.ErrExist) {
			// Somebody else has just made it, or it is a link to nowhere.
			if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
				return nil
			}
		}
		return err
	}
	return os.Lchown(path, int(user.UID), int(user.GID))
}

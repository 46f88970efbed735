package users

import (
	"errors"
	"path/filepath"
	"strings"
)

// ErrPath says that a path can name nothing.
var ErrPath = errors.New("invalid path")

// Resolve makes path absolute and clean: empty means workdir, or the home when there is none; `~` is the home; what is
// relative starts at the home.
func (u *User) Resolve(path, workdir string) (string, error) {
	if strings.ContainsRune(path, 0) {
		return "", errors.Join(ErrPath, errors.New("the path contains a NUL byte"))
	}
	if path == "" {
		path = workdir
	}
	if path == "~" || strings.HasPrefix(path, "~/") {
		path = u.Home + path[1:]
	} else if strings.HasPrefix(path, "~") {
		return "", errors.Join(ErrPath, errors.New("only `~` and `~/…` are expanded, not the home of another user"))
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(u.Home, path)
	}
	return filepath.Clean(path), nil
}

// Package files answers the plain HTTP routes for whole files.
package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"mime/multipart"
	"net/http"
	"syscall"

	"connectrpc.com/connect"

	"skerry.dev/guest/internal/access"
	"skerry.dev/guest/internal/replaced"
	"skerry.dev/guest/internal/users"
)

// Service moves files between clients and the disk without holding them in memory.
type Service struct {
	guard   *access.Guard
	uploads *replaced.Recent
}

// NewService serves those whom guard lets in, and tells uploads of each file that it puts in place.
func NewService(guard *access.Guard, uploads *replaced.Recent) *Service {
	return &Service{guard: guard, uploads: uploads}
}

// Register adds the routes.
func (s *Service) Register(routes *http.ServeMux) {
	routes.HandleFunc("GET /files", s.download)
	routes.HandleFunc("POST /files", s.upload)
	routes.HandleFunc("POST /files/compose", s.compose)
}

// failure is an error with the status that it is answered with.
type failure struct {
	status  int
	message string
}

func (f *failure) Error() string { return f.message }

func fail(status int, format string, arguments ...any) error {
	return &failure{status: status, message: fmt.Sprintf(format, arguments...)}
}

// user finds the account that a request means: the query's, or the one of its credentials, or the default.
func (s *Service) user(r *http.Request, named string) (*users.User, string, error) {
	with := s.guard.Settings.Load()
	if with == nil {
		return nil, "", fail(http.StatusServiceUnavailable, "the sandbox is shutting down")
	}
	var user *users.User
	var err error
	if named != "" {
		user, err = s.guard.Account(named, with)
	} else {
		user, _, err = s.guard.User(r.Header)
	}
	if connected := new(connect.Error); errors.As(err, &connected) {
		status := http.StatusInternalServerError
		if connected.Code() == connect.CodeUnauthenticated {
			status = http.StatusUnauthorized
		}
		return nil, "", fail(status, "%s", connected.Message())
	}
	return user, with.DefaultWorkdir, err
}

func resolve(user *users.User, path, workdir string) (string, error) {
	resolved, err := user.Resolve(path, workdir)
	if err != nil {
		return "", fail(http.StatusBadRequest, "%s", err)
	}
	return resolved, nil
}

// writeError answers with the status that fits what went wrong.
func writeError(w http.ResponseWriter, err error) {
	access.WriteError(w, statusOf(err), err.Error())
}

func statusOf(err error) int {
	var known *failure
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return known.status
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, fs.ErrNotExist):
		return http.StatusNotFound
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return http.StatusInsufficientStorage
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return http.StatusForbidden
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENAMETOOLONG),
		errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.EINVAL), errors.Is(err, multipart.ErrMessageTooLarge),
		errors.Is(err, context.Canceled):
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

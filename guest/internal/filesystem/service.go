// Package filesystem answers the filesystem service of the envd protocol.
package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"connectrpc.com/connect"

	"skerry.dev/guest/internal/access"
	"skerry.dev/guest/internal/entry"
	"skerry.dev/guest/internal/owned"
	"skerry.dev/guest/internal/replaced"
	"skerry.dev/guest/internal/users"
	filesystempb "skerry.dev/guest/proto/filesystem"
)

// Service works with the guest's own rights and gives what it makes to the request's user.
type Service struct {
	guard    *access.Guard
	uploads  *replaced.Recent
	watchers *watchers
	// listing has room for the listings that may be held in memory at once.
	listing chan struct{}
}

// NewService serves those whom guard lets in. uploads tells watchers of the guest's own renames.
func NewService(guard *access.Guard, uploads *replaced.Recent) *Service {
	return &Service{guard: guard, uploads: uploads, watchers: newWatchers(), listing: make(chan struct{}, 2)}
}

// resolve finds the user and the absolute path that a request means.
func (s *Service) resolve(header interface{ Get(string) string }, path string) (*users.User, string, error) {
	user, with, err := s.guard.User(header)
	if err != nil {
		return nil, "", err
	}
	resolved, err := user.Resolve(path, with.DefaultWorkdir)
	if err != nil {
		return nil, "", connect.NewError(connect.CodeInvalidArgument, err)
	}
	return user, resolved, nil
}

func (s *Service) Stat(_ context.Context, request *connect.Request[filesystempb.StatRequest]) (*connect.Response[filesystempb.StatResponse], error) {
	_, path, err := s.resolve(request.Header(), request.Msg.GetPath())
	if err != nil {
		return nil, err
	}
	found, err := s.read(path)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&filesystempb.StatResponse{Entry: found}), nil
}

func (s *Service) read(path string) (*filesystempb.EntryInfo, error) {
	found, err := entry.Read(path, s.guard.Accounts.ReadNames())
	if err != nil {
		return nil, fileError("read", path, err)
	}
	return found, nil
}

func (s *Service) MakeDir(_ context.Context, request *connect.Request[filesystempb.MakeDirRequest]) (*connect.Response[filesystempb.MakeDirResponse], error) {
	user, path, err := s.resolve(request.Header(), request.Msg.GetPath())
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err == nil {
		if info.IsDir() {
			return nil, connect.NewError(connect.CodeAlreadyExists, fmt.Errorf("directory '%s' already exists", path))
		}
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("path '%s' exists and is not a directory", path))
	}
	if err := owned.MakeDirectories(path, user); err != nil {
		return nil, fileError("make", path, err)
	}
	made, err := s.read(path)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&filesystempb.MakeDirResponse{Entry: made}), nil
}

func (s *Service) Move(ctx context.Context, request *connect.Request[filesystempb.MoveRequest]) (*connect.Response[filesystempb.MoveResponse], error) {
	user, source, err := s.resolve(request.Header(), request.Msg.GetSource())
	if err != nil {
		return nil, err
	}
	_, destination, err := s.resolve(request.Header(), request.Msg.GetDestination())
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(source); err != nil {
		return nil, fileError("move", source, err)
	}
	if err := owned.MakeDirectories(filepath.Dir(destination), user); err != nil {
		return nil, fileError("make", filepath.Dir(destination), err)
	}
	if err := move(ctx, source, destination); err != nil {
		return nil, fileError("move", source, err)
	}
	moved, err := s.read(destination)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&filesystempb.MoveResponse{Entry: moved}), nil
}

func (s *Service) ListDir(ctx context.Context, request *connect.Request[filesystempb.ListDirRequest]) (*connect.Response[filesystempb.ListDirResponse], error) {
	_, path, err := s.resolve(request.Header(), request.Msg.GetPath())
	if err != nil {
		return nil, err
	}
	select {
	case s.listing <- struct{}{}:
		defer func() { <-s.listing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	entries, err := list(ctx, path, max(request.Msg.GetDepth(), 1), s.guard.Accounts.ReadNames())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&filesystempb.ListDirResponse{Entries: entries}), nil
}

func (s *Service) Remove(_ context.Context, request *connect.Request[filesystempb.RemoveRequest]) (*connect.Response[filesystempb.RemoveResponse], error) {
	_, path, err := s.resolve(request.Header(), request.Msg.GetPath())
	if err != nil {
		return nil, err
	}
	if path == "/" {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("the root directory is not removed"))
	}
	if err := os.RemoveAll(path); err != nil {
		return nil, fileError("remove", path, err)
	}
	return connect.NewResponse(&filesystempb.RemoveResponse{}), nil
}

// fileError gives the kernel's answer Connect's class.
func fileError(verb, path string, err error) error {
	if connected := new(connect.Error); errors.As(err, &connected) {
		return err
	}
	code := connect.CodeInternal
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return connect.NewError(connect.CodeNotFound, fmt.Errorf("path not found: '%s' does not exist", path))
	case errors.Is(err, fs.ErrExist), errors.Is(err, syscall.ENOTEMPTY):
		code = connect.CodeAlreadyExists
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.EINVAL),
		errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.EXDEV):
		code = connect.CodeInvalidArgument
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		code = connect.CodePermissionDenied
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EMFILE):
		code = connect.CodeResourceExhausted
	case errors.Is(err, context.Canceled):
		code = connect.CodeCanceled
	case errors.Is(err, context.DeadlineExceeded):
		code = connect.CodeDeadlineExceeded
	case errors.Is(err, syscall.EBUSY):
		code = connect.CodeFailedPrecondition
	}
	return connect.NewError(code, fmt.Errorf("cannot %s '%s': %w", verb, path, err))
}

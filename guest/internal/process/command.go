package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"connectrpc.com/connect"

	"skerry.dev/guest/internal/settings"
	"skerry.dev/guest/internal/users"
)

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// mallocEnv makes glibc map less memory: under gVisor a map and unmap costs a hundred times what it does natively.
var mallocEnv = map[string]string{
	"MALLOC_MMAP_THRESHOLD_": "33554432",
	"MALLOC_TRIM_THRESHOLD_": "67108864",
	"MALLOC_TOP_PAD_":        "1048576",
}

// environment lays the layers over each other: login, certificate authorities, the sandbox's own, the request's.
func environment(user *users.User, with *settings.Settings, request map[string]string, mark string) map[string]string {
	path := os.Getenv("PATH")
	if path == "" {
		path = defaultPath
	}
	env := map[string]string{
		"PATH": path, "HOME": user.Home, "USER": user.Name, "LOGNAME": user.Name, "SHELL": user.Shell,
	}
	for _, layer := range []map[string]string{mallocEnv, with.TrustEnv, with.Env, request} {
		for name, value := range layer {
			env[name] = value
		}
	}
	env[markVariable] = mark
	return env
}

func flatten(env map[string]string) ([]string, error) {
	list := make([]string, 0, len(env))
	for name, value := range env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) {
			return nil, fmt.Errorf("invalid environment variable %q: a name has no `=`, and neither has a NUL byte", name)
		}
		list = append(list, name+"="+value)
	}
	return list, nil
}

// workingDirectory resolves the request's directory. A home that does not exist is replaced by `/`, a directory that was
// asked for is not.
func workingDirectory(requested string, user *users.User, workdir string) (string, error) {
	directory, err := user.Resolve(requested, workdir)
	if err != nil {
		return "", connect.NewError(connect.CodeInvalidArgument, err)
	}
	info, err := os.Stat(directory)
	switch {
	case err == nil && info.IsDir():
		return directory, nil
	case requested == "" && workdir == "":
		return "/", nil
	case err == nil:
		return "", connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("cwd '%s' is not a directory", directory))
	case errors.Is(err, os.ErrNotExist):
		return "", connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("cwd '%s' does not exist", directory))
	}
	return "", connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("cwd '%s' cannot be used: %w", directory, err))
}

// findProgram looks a command up as a shell does, in the PATH that the process will have.
func findProgram(command, directory, path string) (string, error) {
	if command == "" {
		return "", connect.NewError(connect.CodeInvalidArgument, errors.New("the command is empty"))
	}
	if strings.ContainsRune(command, 0) {
		return "", connect.NewError(connect.CodeInvalidArgument, errors.New("the command contains a NUL byte"))
	}
	if strings.Contains(command, "/") {
		if !filepath.IsAbs(command) {
			command = filepath.Join(directory, command)
		}
		return command, nil
	}
	for _, folder := range filepath.SplitList(path) {
		if !filepath.IsAbs(folder) {
			folder = filepath.Join(directory, folder)
		}
		candidate := filepath.Join(folder, command)
		if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return candidate, nil
		}
	}
	return "", connect.NewError(connect.CodeInvalidArgument,
		fmt.Errorf("cannot start process: command '%s' was not found in PATH (%s)", command, path))
}

// spawnError says why the kernel refused to start program.
func spawnError(program, directory string, user *users.User, err error) error {
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return connect.NewError(connect.CodeResourceExhausted,
			fmt.Errorf("cannot start process '%s': fork failed, the sandbox or user '%s' has too many processes (%w)", program, user.Name, err))
	case errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("cannot start process '%s': fork failed: %w", program, err))
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return connect.NewError(connect.CodeInvalidArgument,
			fmt.Errorf("cannot start process: user '%s' may not execute '%s' in '%s' (%w)", user.Name, program, directory, err))
	}
	return connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("cannot start process '%s': %w", program, err))
}

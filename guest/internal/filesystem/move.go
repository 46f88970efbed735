package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"skerry.dev/guest/internal/replaced"
)

// move renames, or copies and removes when the two lie on different file systems, as /tmp and / do in a sandbox.
func move(ctx context.Context, source, destination string) error {
	err := os.Rename(source, destination)
	if !errors.Is(err, syscall.EXDEV) {
		return err
	}
	if strings.HasPrefix(destination+"/", source+"/") {
		return &fs.PathError{Op: "move", Path: source, Err: syscall.EINVAL}
	}
	present, statErr := os.Lstat(destination)
	if statErr == nil && present.IsDir() {
		// As rename does: only an empty directory is replaced. Removing it proves that.
		if err := os.Remove(destination); err != nil {
			return err
		}
	}
	temporary, err := os.MkdirTemp(filepath.Dir(destination), replaced.TemporaryPrefix+"*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	copied := filepath.Join(temporary, filepath.Base(source))
	if err := copyTree(ctx, source, copied); err != nil {
		return err
	}
	if err := os.Rename(copied, destination); err != nil {
		return err
	}
	return os.RemoveAll(source)
}

// copyTree copies files, directories and links with their modes, owners, times and attributes.
func copyTree(ctx context.Context, source, destination string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	info, err := os.Lstat(source)
	if err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case mode.IsRegular():
		err = copyFile(ctx, source, destination)
	case mode.IsDir():
		err = copyDirectory(ctx, source, destination)
	case mode&fs.ModeSymlink != 0:
		var target string
		if target, err = os.Readlink(source); err == nil {
			err = os.Symlink(target, destination)
		}
	default:
		return fmt.Errorf("'%s' is neither file, directory nor link and cannot be moved to another file system: %w", source, syscall.EXDEV)
	}
	if err != nil {
		return err
	}
	return copyAttributes(source, destination, info)
}

func copyDirectory(ctx context.Context, source, destination string) error {
	if err := os.Mkdir(destination, 0o700); err != nil {
		return err
	}
	directory, err := os.Open(source)
	if err != nil {
		return err
	}
	defer directory.Close()
	for {
		names, err := directory.Readdirnames(readAhead)
		for _, name := range names {
			if err := copyTree(ctx, filepath.Join(source, name), filepath.Join(destination, name)); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func copyFile(ctx context.Context, source, destination string) error {
	from, err := os.OpenFile(source, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(destination, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer to.Close()
	for {
		const piece = 64 << 20
		count, err := io.CopyN(to, from, piece)
		if err == io.EOF {
			return to.Close()
		}
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if count == 0 {
			return to.Close()
		}
	}
}

func copyAttributes(source, destination string, info fs.FileInfo) error {
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if err := os.Lchown(destination, int(status.Uid), int(status.Gid)); err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		// After the owner, since changing that takes setuid bits away.
		if err := unix.Chmod(destination, status.Mode&0o7777); err != nil {
			return err
		}
	}
	copyExtended(source, destination)
	times := []unix.Timespec{
		{Sec: status.Atim.Sec, Nsec: status.Atim.Nsec},
		{Sec: status.Mtim.Sec, Nsec: status.Mtim.Nsec},
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, destination, times, unix.AT_SYMLINK_NOFOLLOW)
}

// copyExtended copies what the destination's file system takes.
func copyExtended(source, destination string) {
	size, err := unix.Llistxattr(source, nil)
	if err != nil || size == 0 {
		return
	}
	list := make([]byte, size)
	if size, err = unix.Llistxattr(source, list); err != nil {
		return
	}
	value := make([]byte, 64<<10)
	for name := range strings.SplitSeq(strings.TrimRight(string(list[:size]), "\x00"), "\x00") {
		if count, err := unix.Lgetxattr(source, name, value); err == nil {
			_ = unix.Lsetxattr(destination, name, value[:count], 0)
		}
	}
}

package filesystem

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"connectrpc.com/connect"

	"skerry.dev/guest/internal/entry"
	"skerry.dev/guest/internal/users"
	filesystempb "skerry.dev/guest/proto/filesystem"
)

const (
	// listLimit is the most entries of one answer, which is held in memory as a whole.
	listLimit = 100_000
	// readAhead is how many names are read of a directory at once.
	readAhead = 1024
)

// list describes what is in path, down to depth levels, each directory followed by its content, in the order of names.
func list(ctx context.Context, path string, depth uint32, names users.Names) ([]*filesystempb.EntryInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fileError("list", path, err)
	}
	if !info.IsDir() {
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("path '%s' is not a directory", path))
	}
	var entries []*filesystempb.EntryInfo
	var walk func(directory string, left uint32) error
	walk = func(directory string, left uint32) error {
		children, err := readNames(ctx, directory, listLimit-len(entries))
		if err != nil {
			if directory != path && ctx.Err() == nil && !isLimit(err) {
				// It has gone, or may not be read: the rest is still worth listing.
				return nil
			}
			return err
		}
		for _, name := range children {
			child := filepath.Join(directory, name)
			described, err := entry.Read(child, names)
			if err != nil {
				continue
			}
			if len(entries) == listLimit {
				return tooMany(path)
			}
			entries = append(entries, described)
			descends := described.Type == filesystempb.FileType_FILE_TYPE_DIRECTORY && described.SymlinkTarget == nil
			if left > 1 && descends {
				if err := walk(child, left-1); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := walk(path, depth); err != nil {
		if isLimit(err) {
			return nil, tooMany(path)
		}
		return nil, fileError("list", path, err)
	}
	return entries, nil
}

// readNames returns the sorted names in directory, or an error when there are more than limit.
func readNames(ctx context.Context, directory string, limit int) ([]string, error) {
	opened, err := os.Open(directory)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	var names []string
	for {
		more, err := opened.Readdirnames(readAhead)
		names = append(names, more...)
		switch {
		case err == io.EOF:
			slices.SortFunc(names, strings.Compare)
			return names, nil
		case err != nil:
			return nil, err
		case len(names) > limit:
			return nil, tooMany(directory)
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
	}
}

func tooMany(path string) error {
	return connect.NewError(connect.CodeResourceExhausted,
		fmt.Errorf("'%s' has more than %d entries: ask for a smaller depth, or list it with a command", path, listLimit))
}

func isLimit(err error) bool { return connect.CodeOf(err) == connect.CodeResourceExhausted }

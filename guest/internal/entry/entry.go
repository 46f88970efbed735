// Package entry describes one file, directory or link as the envd protocol does.
package entry

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/timestamppb"

	"skerry.dev/guest/internal/users"
	filesystempb "skerry.dev/guest/proto/filesystem"
)

// MetadataPrefix is the namespace of extended attributes that clients keep their metadata in.
const MetadataPrefix = "user.e2b."

// Read describes path without following it. A link has its target's type, or that of a link when the target is missing.
func Read(path string, names users.Names) (*filesystempb.EntryInfo, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	return describe(path, info, names), nil
}

func describe(path string, info fs.FileInfo, names users.Names) *filesystempb.EntryInfo {
	described := &filesystempb.EntryInfo{
		Name: text(filepath.Base(path)), Type: typeOf(info.Mode()), Path: text(path), Size: info.Size(),
		Mode: permissionBits(info.Mode()), Permissions: info.Mode().String(), ModifiedTime: timestamp(info.ModTime()),
	}
	if status, ok := info.Sys().(*syscall.Stat_t); ok {
		described.Owner, described.Group = text(names.User(status.Uid)), text(names.Group(status.Gid))
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		describeLink(path, described)
	} else if info.Mode().IsRegular() || info.IsDir() {
		described.Metadata = Metadata(path)
	}
	return described
}

func describeLink(path string, described *filesystempb.EntryInfo) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		described.SymlinkTarget = pointer(text(target))
		if info, err := os.Stat(target); err == nil {
			described.Type, described.Mode = typeOf(info.Mode()), permissionBits(info.Mode())
		}
	} else if target, err := os.Readlink(path); err == nil {
		described.SymlinkTarget = pointer(text(target))
	}
}

// text makes valid text of a name: a file's may be any bytes, and the protocol carries only text.
func text(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }

func pointer(target string) *string { return &target }

func typeOf(mode fs.FileMode) filesystempb.FileType {
	switch {
	case mode.IsRegular():
		return filesystempb.FileType_FILE_TYPE_FILE
	case mode.IsDir():
		return filesystempb.FileType_FILE_TYPE_DIRECTORY
	case mode&fs.ModeSymlink != 0:
		return filesystempb.FileType_FILE_TYPE_SYMLINK
	}
	return filesystempb.FileType_FILE_TYPE_UNSPECIFIED
}

func permissionBits(mode fs.FileMode) uint32 { return uint32(mode.Perm()) }

// timestamp leaves out times that the protocol cannot carry.
func timestamp(at time.Time) *timestamppb.Timestamp {
	if stamp := timestamppb.New(at); stamp.CheckValid() == nil {
		return stamp
	}
	return nil
}

// Metadata reads what a client stored with a file. It is nil when there is none.
func Metadata(path string) map[string]string {
	var metadata map[string]string
	for _, name := range attributes(path) {
		var value [8192]byte
		count, err := unix.Lgetxattr(path, name, value[:])
		if err != nil {
			continue
		}
		if metadata == nil {
			metadata = map[string]string{}
		}
		metadata[text(strings.TrimPrefix(name, MetadataPrefix))] = text(string(value[:count]))
	}
	return metadata
}

func attributes(path string) []string {
	size, err := unix.Llistxattr(path, nil)
	if err != nil || size == 0 {
		return nil
	}
	list := make([]byte, size)
	if size, err = unix.Llistxattr(path, list); err != nil {
		return nil
	}
	var names []string
	for name := range strings.SplitSeq(string(list[:size]), "\x00") {
		if strings.HasPrefix(name, MetadataPrefix) {
			names = append(names, name)
		}
	}
	return names
}

// TypeName is the type as the HTTP endpoints spell it.
func TypeName(kind filesystempb.FileType) string {
	switch kind {
	case filesystempb.FileType_FILE_TYPE_FILE:
		return "file"
	case filesystempb.FileType_FILE_TYPE_DIRECTORY:
		return "dir"
	case filesystempb.FileType_FILE_TYPE_SYMLINK:
		return "symlink"
	}
	return ""
}

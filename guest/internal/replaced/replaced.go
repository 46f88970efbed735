// Package replaced remembers which files the guest itself has just put in place of others. An upload is written beside its
// destination and renamed; those who watch a directory are told of a written file, not of that detour.
package replaced

import (
	"strings"
	"sync"
)

// TemporaryPrefix begins the names of files that are still being uploaded.
const TemporaryPrefix = ".skerry-upload-"

// IsTemporary reports whether a file's name is that of an upload under way.
func IsTemporary(name string) bool { return strings.HasPrefix(name, TemporaryPrefix) }

// Upload is one file that was renamed into place.
type Upload struct {
	Path          string
	Device, Inode uint64
	// ModifiedNs tells the file from a later one with the same inode.
	ModifiedNs int64
	// Existed says that there was a file of that name before.
	Existed bool
}

// remembered bounds the list: watchers see an event within moments.
const remembered = 512

// Recent is the list of the latest uploads.
type Recent struct {
	mu      sync.Mutex
	uploads []Upload
}

// Add remembers upload. It is called before the rename, so that nobody sees the file earlier.
func (r *Recent) Add(upload Upload) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.uploads) >= remembered {
		r.uploads = append(r.uploads[:0], r.uploads[remembered/2:]...)
	}
	r.uploads = append(r.uploads, upload)
}

// Find returns the upload that made file, of which Existed does not count.
func (r *Recent) Find(file Upload) (Upload, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for index := len(r.uploads) - 1; index >= 0; index-- {
		if upload := r.uploads[index]; upload == file || upload == file.existing() {
			return upload, true
		}
	}
	return Upload{}, false
}

func (u Upload) existing() Upload {
	u.Existed = true
	return u
}

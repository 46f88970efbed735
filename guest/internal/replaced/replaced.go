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
	// first is the number of the first upload in the list; they are numbered from 1.
	first uint64
}

// Add remembers upload. It is called before the rename, so that nobody sees the file earlier.
func (r *Recent) Add(upload Upload) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first == 0 {
		r.first = 1
	}
	if len(r.uploads) >= remembered {
		r.uploads = append(r.uploads[:0], r.uploads[remembered/2:]...)
		r.first += remembered / 2
	}
	r.uploads = append(r.uploads, upload)
}

// Find returns the upload that a watcher's event about file tells of, with its number; Existed does not count. The file may have been replaced
// again before the watcher looked: what it is told of is the first upload to that path after number seen.
func (r *Recent) Find(file Upload, seen uint64) (Upload, uint64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for index := len(r.uploads) - 1; index >= 0; index-- {
		if upload := r.uploads[index]; upload == file || upload == file.existing() {
			for earlier := range index {
				if number := r.first + uint64(earlier); number > seen && r.uploads[earlier].Path == file.Path {
					return r.uploads[earlier], number, true
				}
			}
			return upload, r.first + uint64(index), true
		}
	}
	return Upload{}, 0, false
}

// Last returns the number of the latest upload.
func (r *Recent) Last() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.uploads) == 0 {
		return 0
	}
	return r.first + uint64(len(r.uploads)) - 1
}

func (u Upload) existing() Upload {
	u.Existed = true
	return u
}

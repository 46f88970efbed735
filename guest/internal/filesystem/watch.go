package filesystem

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"connectrpc.com/connect"
	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"skerry.dev/guest/internal/entry"
	"skerry.dev/guest/internal/replaced"
	"skerry.dev/guest/internal/users"
	filesystempb "skerry.dev/guest/proto/filesystem"
)

const (
	// watchedDirectories bounds one recursive watch.
	watchedDirectories = 16384
	// eventLimit bounds the events that wait for one client.
	eventLimit = 16384
	// mostSeen bounds the paths of uploads that one watch remembers.
	mostSeen = 1024
)

// watch follows what happens in one directory.
type watch struct {
	root      string
	recursive bool
	detailed  bool
	accounts  users.Databases
	uploads   *replaced.Recent
	notifier  *fsnotify.Watcher
	// startedAt is the number of the last upload before this watch, and seen of the last one to each path that was told.
	startedAt uint64
	seen      map[string]uint64

	mu sync.Mutex
	// directories counts those that are watched.
	directories int
	events      []*filesystempb.FilesystemEvent
	// lost counts the events that nobody fetched in time.
	lost    int
	failure error
	// ready has room for one wake-up.
	ready chan struct{}
}

// watchRequest is what the two ways to watch have in common.
type watchRequest interface {
	GetPath() string
	GetRecursive() bool
	GetIncludeEntry() bool
	GetAllowNetworkMounts() bool
}

func (s *Service) openWatch(header interface{ Get(string) string }, request watchRequest) (*watch, error) {
	_, path, err := s.resolve(header, request.GetPath())
	if err != nil {
		return nil, err
	}
	root, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fileError("watch", path, err)
	}
	info, err := os.Stat(root)
	if err != nil {
		return nil, fileError("watch", path, err)
	}
	if !info.IsDir() {
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("path '%s' is not a directory", path))
	}
	if !request.GetAllowNetworkMounts() && onNetwork(root) {
		return nil, connect.NewError(connect.CodeInvalidArgument,
			fmt.Errorf("path '%s' is on a network mount, where changes made elsewhere are not seen: allow network mounts to watch it all the same", path))
	}
	notifier, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fileError("watch", path, err)
	}
	opened := &watch{
		root: root, recursive: request.GetRecursive(), detailed: request.GetIncludeEntry(),
		accounts: s.guard.Accounts, uploads: s.uploads, startedAt: s.uploads.Last(), seen: map[string]uint64{}, notifier: notifier, ready: make(chan struct{}, 1),
	}
	if err := opened.add(root, false); err != nil {
		_ = notifier.Close()
		return nil, fileError("watch", path, err)
	}
	go opened.follow()
	return opened, nil
}

func (w *watch) close() { _ = w.notifier.Close() }

// add watches directory and, in a recursive watch, what is below it. With announce it reports what it finds there: that was
// made before the watch could see it.
func (w *watch) add(directory string, announce bool) error {
	w.mu.Lock()
	w.directories++
	full := w.directories > watchedDirectories
	w.mu.Unlock()
	if full {
		return connect.NewError(connect.CodeResourceExhausted,
			fmt.Errorf("'%s' has more than %d directories: watch fewer of them", w.root, watchedDirectories))
	}
	if err := w.notifier.Add(directory); err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			return connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("the kernel's limit on watches is reached: %w", err))
		}
		return err
	}
	if !w.recursive {
		return nil
	}
	children, err := os.ReadDir(directory)
	if err != nil {
		return err
	}
	for _, child := range children {
		path := filepath.Join(directory, child.Name())
		if announce && !replaced.IsTemporary(child.Name()) {
			w.push(path, filesystempb.EventType_EVENT_TYPE_CREATE)
		}
		if child.IsDir() {
			if err := w.add(path, announce); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

func (w *watch) follow() {
	for {
		select {
		case event, open := <-w.notifier.Events:
			if !open {
				return
			}
			w.handle(event)
		case err, open := <-w.notifier.Errors:
			if !open {
				return
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				w.fail(connect.NewError(connect.CodeResourceExhausted, errors.New("more changes happened than the kernel could report: list the directory and watch again")))
			}
		}
	}
}

func (w *watch) handle(event fsnotify.Event) {
	if replaced.IsTemporary(filepath.Base(event.Name)) {
		return
	}
	if event.Has(fsnotify.Create) {
		w.handleCreated(event.Name)
	}
	for _, kind := range []struct {
		operation fsnotify.Op
		event     filesystempb.EventType
	}{
		{fsnotify.Rename, filesystempb.EventType_EVENT_TYPE_RENAME},
		{fsnotify.Chmod, filesystempb.EventType_EVENT_TYPE_CHMOD},
		{fsnotify.Write, filesystempb.EventType_EVENT_TYPE_WRITE},
		{fsnotify.Remove, filesystempb.EventType_EVENT_TYPE_REMOVE},
	} {
		if event.Has(kind.operation) {
			w.push(event.Name, kind.event)
		}
	}
	if event.Has(fsnotify.Remove) || event.Has(fsnotify.Rename) {
		w.forget(event.Name)
	}
}

func (w *watch) handleCreated(path string) {
	info, err := os.Lstat(path)
	if err == nil {
		if status, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().IsRegular() {
			if upload, number, ours := w.uploads.Find(replaced.Upload{
				Path: path, Device: uint64(status.Dev), Inode: status.Ino, ModifiedNs: status.Mtim.Nano(),
			}, max(w.startedAt, w.seen[path])); ours {
				w.see(path, number)
				if !upload.Existed {
					w.push(path, filesystempb.EventType_EVENT_TYPE_CREATE)
				}
				w.push(path, filesystempb.EventType_EVENT_TYPE_WRITE)
				return
			}
		}
	}
	w.push(path, filesystempb.EventType_EVENT_TYPE_CREATE)
	if err == nil && info.IsDir() && w.recursive {
		if err := w.add(path, true); err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.fail(fileError("watch", path, err))
		}
	}
}

// forget stops watching a directory that is no longer where it was, and those below it.
func (w *watch) forget(path string) {
	if !w.recursive {
		return
	}
	for _, watched := range w.notifier.WatchList() {
		if watched == path || strings.HasPrefix(watched, path+"/") {
			_ = w.notifier.Remove(watched)
		}
	}
	w.mu.Lock()
	w.directories = len(w.notifier.WatchList())
	w.mu.Unlock()
}

// push queues an event. The name is relative to what is watched.
// see remembers the last upload to path that was told. What it forgets is older than every upload that is told later.
func (w *watch) see(path string, number uint64) {
	if len(w.seen) >= mostSeen {
		clear(w.seen)
		w.startedAt = number
	}
	w.seen[path] = number
}

func (w *watch) push(path string, kind filesystempb.EventType) {
	name, err := filepath.Rel(w.root, path)
	if err != nil {
		return
	}
	event := &filesystempb.FilesystemEvent{Name: strings.ToValidUTF8(name, "\uFFFD"), Type: kind}
	if w.detailed && kind != filesystempb.EventType_EVENT_TYPE_REMOVE && kind != filesystempb.EventType_EVENT_TYPE_RENAME {
		if described, err := entry.Read(path, w.accounts.ReadNames()); err == nil {
			event.Entry = described
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events) >= eventLimit {
		w.events[0] = nil
		w.events = w.events[1:]
		w.lost++
	}
	w.events = append(w.events, event)
	w.wake()
}

func (w *watch) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failure == nil {
		w.failure = err
	}
	w.wake()
}

func (w *watch) wake() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// take returns the events that wait, or why some are missing: that is said once, and what is left comes with the next call.
func (w *watch) take() ([]*filesystempb.FilesystemEvent, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost > 0 {
		lost := w.lost
		w.lost = 0
		return nil, connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("%d events were dropped since they were not fetched: list the directory", lost))
	}
	if len(w.events) == 0 && w.failure != nil {
		return nil, w.failure
	}
	events := w.events
	w.events = nil
	return events, nil
}

// onNetwork reports whether path lies on a file system whose changes may be made by others.
func onNetwork(path string) bool {
	var system unix.Statfs_t
	if unix.Statfs(path, &system) != nil {
		return false
	}
	const smb2, cifs = 0xFE534D42, 0xFF534D42
	switch uint32(system.Type) {
	case unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.FUSE_SUPER_MAGIC, smb2, cifs:
		return true
	}
	return false
}

// Package generation tells programs in the sandbox which life they are in: whoever compares `generationId` learns that its
// memory was restored, and perhaps as another sandbox.
package generation

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"skerry.dev/guest/internal/access"
	"skerry.dev/guest/internal/trust"
)

// File is where the document lies.
const File = "/run/skerry/generation.json"

// As says how this life began.
type As string

const (
	Boot   As = "boot"
	Resume As = "resume"
	Fork   As = "fork"
)

// Document is one life of the sandbox.
type Document struct {
	// GenerationID is 32 hex digits, new at every boot and every restore.
	GenerationID string `json:"generationId"`
	BootID       string `json:"bootId"`
	SandboxID    string `json:"sandboxId"`
	Generation   int64  `json:"generation"`
	// ResumedAtUnixMs is when this life began, by the sandbox's clock.
	ResumedAtUnixMs int64 `json:"resumedAtUnixMs"`
	As              As    `json:"as"`
}

const (
	// waitingLimit bounds those who ask while nobody knows the answer, waitingPatience how long each waits.
	waitingLimit    = 256
	waitingPatience = time.Minute
)

// Current is the present document. While memory is being saved nobody is told the old one: the answer could come from it in
// another life.
type Current struct {
	// Path is File but in tests.
	Path string

	mu       sync.Mutex
	document *Document
	held     bool
	waiting  int
	changed  chan struct{}
}

// New returns a state without a document: those who ask are refused.
func New(path string) *Current { return &Current{Path: path, changed: make(chan struct{})} }

// Load returns the document, or nil before the first.
func (c *Current) Load() *Document {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.document
}

// Hold makes those who ask wait until Release or Set.
func (c *Current) Hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = true
}

// Release says that the same life goes on.
func (c *Current) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.release()
}

func (c *Current) release() {
	c.held = false
	close(c.changed)
	c.changed = make(chan struct{})
}

// Set begins a life. When the file cannot be written the old one is removed, since a program would believe it, and the error
// says so; the document holds all the same.
func (c *Current) Set(document Document) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.document = &document
	defer c.release()
	text, err := json.Marshal(document)
	if err != nil {
		return err
	}
	err = trust.WriteFile(c.Path, append(text, '\n'))
	if err == nil {
		return nil
	}
	// A full disk has room for it where the old one was.
	if errors.Join(os.RemoveAll(c.Path), os.MkdirAll(filepath.Dir(c.Path), 0o755)) == nil {
		if err = os.WriteFile(c.Path, append(text, '\n'), 0o644); err != nil {
			_ = os.Remove(c.Path)
		}
	}
	return err
}

// ServeHTTP answers anybody with the document.
func (c *Current) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	document, ok := c.await(r)
	if !ok {
		w.Header().Set("Retry-After", "1")
		access.WriteError(w, http.StatusServiceUnavailable, "the sandbox has not been initialised yet, or is being saved: try again shortly")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(document)
}

func (c *Current) await(r *http.Request) (Document, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held && c.waiting >= waitingLimit {
		return Document{}, false
	}
	c.waiting++
	defer func() { c.waiting-- }()
	patience := time.NewTimer(waitingPatience)
	defer patience.Stop()
	for c.held {
		changed := c.changed
		c.mu.Unlock()
		over := false
		select {
		case <-changed:
		case <-patience.C:
			over = true
		case <-r.Context().Done():
			over = true
		}
		c.mu.Lock()
		if over {
			return Document{}, false
		}
	}
	if c.document == nil {
		return Document{}, false
	}
	return *c.document, true
}

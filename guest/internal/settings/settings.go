// Package settings holds what the host told the guest about this sandbox, and whether it has done so yet.
package settings

import (
	"maps"
	"sync/atomic"
)

// Settings is one initialisation. It is never changed once stored.
type Settings struct {
	SandboxID      string
	BootID         string
	Generation     int64
	AccessToken    string
	DefaultUser    string
	DefaultWorkdir string
	// Env is the user's own environment of every process.
	Env map[string]string
	// TrustEnv points the usual programs at the machine's certificate authorities. A user's variable wins over it.
	TrustEnv map[string]string
}

// Current is the present settings. The zero value has none: the guest then serves nobody.
type Current struct {
	settings atomic.Pointer[Settings]
	closing  atomic.Bool
}

// Load returns the settings, or nil before the first Store and during a shutdown.
func (c *Current) Load() *Settings {
	if c.closing.Load() {
		return nil
	}
	return c.settings.Load()
}

// Store replaces the settings. It keeps copies of the maps.
func (c *Current) Store(settings Settings) {
	settings.Env = maps.Clone(settings.Env)
	settings.TrustEnv = maps.Clone(settings.TrustEnv)
	c.settings.Store(&settings)
}

// Close makes Load return nil for good, since the sandbox is ending. It reports whether this call did it.
func (c *Current) Close() bool { return c.closing.CompareAndSwap(false, true) }

// Closing reports whether Close was called.
func (c *Current) Closing() bool { return c.closing.Load() }

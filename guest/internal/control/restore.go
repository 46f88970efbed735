package control

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"time"

	"skerry.dev/guest/internal/generation"
	"skerry.dev/guest/internal/hooks"
)

const (
	// restoreHooksLimit is how long the hooks after a restore may take together.
	restoreHooksLimit = 10 * time.Second
	// settleRestore bounds the wait until requests of the earlier life have ended.
	settleRestore = 2 * time.Second
)

// restoration is how the host says that the memory is from an earlier life.
type restoration struct {
	As            generation.As `json:"as"`
	SavedAtUnixMs int64         `json:"savedAtUnixMs"`
}

// begin starts a life with the settings that were applied, and opens the guest in it. It returns the hooks that ran.
func (s *Server) begin(given *initialisation) []hooks.Result {
	document := generation.Document{
		GenerationID: given.GenerationID, BootID: given.BootID, SandboxID: given.SandboxID, Generation: given.Generation,
		ResumedAtUnixMs: time.Now().UnixMilli(), As: generation.Boot,
	}
	if given.Restored != nil {
		document.As = given.Restored.As
		s.reseed(given.GenerationID)
		// What the earlier life's clients did not get goes back to the buffers before anybody can ask for it.
		s.gate.Restart(given.context)
		if left := s.settle(settleRestore); left > 0 {
			s.log.Warn("Some requests of the earlier life have not ended", "count", left)
		}
		s.clock.Start()
	}
	if err := s.generation.Set(document); err != nil {
		s.log.Warn("The generation could not be written: programs find it at /generation alone", "path", s.generation.Path, "error", err)
	}
	if given.Restored == nil {
		return nil
	}
	ran := s.runRestoreHooks(given)
	s.secrets.settle()
	s.open()
	return ran
}

func (s *Server) runRestoreHooks(given *initialisation) []hooks.Result {
	moments := []hooks.Moment{hooks.PostResume}
	if given.Restored.As == generation.Fork {
		moments = append(moments, hooks.PostFork)
	}
	// The host may ask again while they run; it then gets the answer of this call.
	ctx, cancel := context.WithTimeout(context.Background(), restoreHooksLimit)
	defer cancel()
	return s.hooks.Run(ctx, s.settings.Load(), map[string]string{
		"SKERRY_GENERATION_ID": given.GenerationID, "SKERRY_RESTORED_AS": string(given.Restored.As), "SKERRY_SANDBOX_ID": given.SandboxID,
	}, moments...)
}

// reseed stirs the kernel's generator with what no other life has. Generators in user space are their programs' own: hooks are
// for them.
func (s *Server) reseed(generationID string) {
	seed := make([]byte, 64)
	_, _ = rand.Read(seed)
	seed = append(seed, generationID...)
	device, err := os.OpenFile("/dev/urandom", os.O_WRONLY, 0)
	if err == nil {
		_, err = device.Write(seed)
		_ = device.Close()
	}
	if err != nil {
		s.log.Warn("The kernel's random generator could not be stirred", "error", err)
	}
}

// newGenerationID is for a host that gives none at a boot.
func newGenerationID() string {
	var random [16]byte
	_, _ = rand.Read(random[:])
	return hex.EncodeToString(random[:])
}

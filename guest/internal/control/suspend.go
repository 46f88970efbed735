package control

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"skerry.dev/guest/internal/access"
	"skerry.dev/guest/internal/hooks"
)

const (
	// maxHooksDeadline bounds what the host may allow hooks.
	maxHooksDeadline = time.Minute
	// settlePause and settleSnapshot bound the wait for answers that are on their way. A client that does not read is not
	// waited for longer, and a snapshot is to be noticed by nobody.
	settlePause    = 2 * time.Second
	settleSnapshot = 250 * time.Millisecond
)

// suspension is what the memory is to be saved for.
type suspension struct {
	For             string `json:"for"`
	HooksDeadlineMs int64  `json:"hooksDeadlineMs"`
}

const (
	forPause    = "pause"
	forSnapshot = "snapshot"
)

type suspended struct {
	versions
	Hooks []hooks.Result `json:"hooks"`
}

// suspend brings the guest into a state that may be saved: it serves nobody, until /resume in this life or /init in another.
func (s *Server) suspend(w http.ResponseWriter, r *http.Request) {
	var given suspension
	if err := json.NewDecoder(r.Body).Decode(&given); err != nil {
		access.WriteError(w, http.StatusBadRequest, "the body is not valid: "+err.Error())
		return
	}
	limit := time.Duration(given.HooksDeadlineMs) * time.Millisecond
	switch {
	case given.For != forPause && given.For != forSnapshot:
		access.WriteError(w, http.StatusBadRequest, "`for` must be \"pause\" or \"snapshot\"")
		return
	case given.HooksDeadlineMs < 0 || given.HooksDeadlineMs > maxHooksDeadline.Milliseconds():
		access.WriteError(w, http.StatusBadRequest, "`hooksDeadlineMs` must be 0 to 60000")
		return
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	with := s.settings.Load()
	switch {
	case with == nil:
		access.WriteError(w, http.StatusServiceUnavailable, "the sandbox has not been initialised yet, or is shutting down")
		return
	case s.secrets.isRenewed():
		access.WriteError(w, http.StatusConflict, "this memory was restored: it needs /init first")
		return
	}
	answer := suspended{versions: s.versions(), Hooks: []hooks.Result{}}
	if !s.gate.Held() {
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		answer.Hooks = s.hooks.Run(ctx, with, map[string]string{"SKERRY_SUSPEND_FOR": given.For, "SKERRY_SANDBOX_ID": with.SandboxID}, hooks.PrePause)
		cancel()
	}
	// Whoever asked has died: a guest that is held would wait for somebody who does not come.
	if r.Context().Err() != nil {
		s.log.Warn("The host went away while the sandbox was being suspended: it goes on")
		return
	}
	s.hold(given.For == forPause)
	s.log.Info("Suspended", "for", given.For)
	writeJSON(w, answer)
}

// hold stops the service so that nothing is half done: streams end at a pause, what is on its way to clients arrives, timeouts
// stand still, files are on the disk.
func (s *Server) hold(pause bool) {
	s.gate.Hold()
	s.generation.Hold()
	limit := settleSnapshot
	if pause {
		limit = settlePause
		s.gate.EndStreams()
	}
	if left := s.settle(limit); left > 0 {
		s.log.Warn("Some answers are not finished", "count", left, "cut", pause)
		if pause {
			// Their clients learn it now, and not when their connection is found dead; what was not sent is kept.
			s.gate.CutVisits()
			s.settle(settleSnapshot)
		}
	}
	s.clock.Stop()
	unix.Sync()
}

func (s *Server) settle(limit time.Duration) int {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return s.gate.Settle(ctx)
}

// resume lets the same life go on.
func (s *Server) resume(w http.ResponseWriter, _ *http.Request) {
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.secrets.isRenewed() {
		access.WriteError(w, http.StatusConflict, "this memory was restored: it needs /init, not /resume")
		return
	}
	if s.gate.Held() {
		s.open()
		s.log.Info("Goes on after a suspension")
	}
	writeJSON(w, s.versions())
}

func (s *Server) open() {
	s.clock.Start()
	s.generation.Release()
	s.gate.Open()
}

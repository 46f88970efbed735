// Package control is the host's way into the guest: everything privileged, on a port that clients cannot be routed to.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"skerry.dev/guest/internal/access"
	"skerry.dev/guest/internal/awake"
	"skerry.dev/guest/internal/gate"
	"skerry.dev/guest/internal/generation"
	"skerry.dev/guest/internal/hooks"
	"skerry.dev/guest/internal/process"
	"skerry.dev/guest/internal/settings"
	"skerry.dev/guest/internal/trust"
)

const (
	// ProtocolVersion is the version of this port's protocol.
	ProtocolVersion = 1
	// EnvdVersion is the version of E2B's protocol that the public port speaks. Clients choose their features by it.
	EnvdVersion = "0.6.13"
	// bodyLimit bounds a request's body, in bytes. Certificates are the largest thing in it.
	bodyLimit = 8 << 20
)

// Server answers the host.
type Server struct {
	version    string
	secrets    secrets
	settings   *settings.Current
	table      *process.Table
	ending     *Ending
	gate       *gate.Gate
	clock      *awake.Clock
	generation *generation.Current
	hooks      *hooks.Runner
	log        *slog.Logger
	// insidersRefused says that callers from inside the sandbox cannot be the host.
	insidersRefused bool

	// turn is held by whoever changes the life of the guest: /init, /suspend and /resume come one after the other.
	turn sync.Mutex
	// restored is the answer to the latest /init of a restored guest, guarded by turn.
	restored *initialised
}

// Parts are what the control port acts on.
type Parts struct {
	Version string
	// Secret is what the host must send with each request; SpecEnviron, where the one of a restored guest is found.
	Secret, SpecEnviron string
	Settings            *settings.Current
	Table               *process.Table
	Ending              *Ending
	Gate                *gate.Gate
	Clock               *awake.Clock
	Generation          *generation.Current
	Hooks               *hooks.Runner
	Log                 *slog.Logger
}

// NewServer makes the control port's server.
func NewServer(parts Parts) *Server {
	// Where the secret can be read inside, it is no proof for a caller from inside.
	_, err := os.Stat(SpecEnviron)
	return &Server{
		version: parts.Version, settings: parts.Settings, table: parts.Table, ending: parts.Ending, gate: parts.Gate, clock: parts.Clock,
		generation: parts.Generation, hooks: parts.Hooks, log: parts.Log, insidersRefused: err == nil,
		secrets: secrets{environ: parts.SpecEnviron, boot: parts.Secret, valid: parts.Secret},
	}
}

// Handler returns the routes behind the check of the secret.
func (s *Server) Handler() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("POST /init", s.initialise)
	routes.HandleFunc("GET /info", s.info)
	routes.HandleFunc("POST /shutdown", s.shutdown)
	routes.HandleFunc("POST /sync", s.sync)
	routes.HandleFunc("POST /suspend", s.suspend)
	routes.HandleFunc("POST /resume", s.resume)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		same, err := s.secrets.same(r.Header.Get("X-Skerry-Boot-Secret"), s.gate.Held())
		if err != nil {
			s.log.Error("The environment of the start cannot be read", "error", err)
		}
		if !same || s.insidersRefused && fromInside(r) {
			access.WriteError(w, http.StatusUnauthorized, "unauthorized")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
		routes.ServeHTTP(w, r)
	})
}

// fromInside reports whether the caller is a program of the sandbox.
func fromInside(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	remote, err := net.ResolveTCPAddr("tcp", r.RemoteAddr)
	return !ok || err != nil || remote.IP.IsLoopback() || remote.IP.Equal(local.IP)
}

type versions struct {
	GuestVersion    string `json:"guestVersion"`
	ProtocolVersion int    `json:"protocolVersion"`
	EnvdVersion     string `json:"envdVersion"`
}

func (s *Server) versions() versions {
	return versions{GuestVersion: s.version, ProtocolVersion: ProtocolVersion, EnvdVersion: EnvdVersion}
}

type initialisation struct {
	ProtocolVersion int               `json:"protocolVersion"`
	BootID          string            `json:"bootId"`
	SandboxID       string            `json:"sandboxId"`
	Generation      int64             `json:"generation"`
	AccessToken     string            `json:"accessToken"`
	Hostname        string            `json:"hostname"`
	DefaultUser     string            `json:"defaultUser"`
	DefaultWorkdir  string            `json:"defaultWorkdir"`
	Env             map[string]string `json:"env"`
	CABundle        string            `json:"caBundle"`
	TimeUnixMs      int64             `json:"timeUnixMs"`
	// ControlSecret, when given, takes the place of the boot secret: gVisor shows the environment of a start to every user
	// of the sandbox, in /proc/gvisor/spec_environ.
	ControlSecret string `json:"controlSecret"`
	// GenerationID is 32 hex digits; the guest makes one of its own when a boot has none.
	GenerationID string `json:"generationId"`
	// Restored is given when the memory is from an earlier life.
	Restored *restoration `json:"restored"`

	// context is that of the request.
	context context.Context
}

var generationPattern = regexp.MustCompile(`^[0-9a-f]{32}$`)

// initialised is the answer to /init.
type initialised struct {
	versions
	Hooks []hooks.Result `json:"hooks,omitempty"`

	// generationID tells the same call made again from another restore.
	generationID string
}

func (given *initialisation) check() error {
	switch {
	case given.ProtocolVersion != ProtocolVersion:
		return fmt.Errorf("unsupported protocolVersion %d: this guest supports [%d]", given.ProtocolVersion, ProtocolVersion)
	case given.AccessToken == "":
		return errors.New("`accessToken` is missing: the public port is never open to everybody")
	case given.Hostname != "" && !hostnamePattern.MatchString(given.Hostname):
		return errors.New("`hostname` is no host name of at most 64 letters, digits, dots and dashes")
	case given.CABundle != "" && !strings.Contains(given.CABundle, "-----BEGIN CERTIFICATE-----"):
		return errors.New("`caBundle` holds no PEM certificate")
	case given.GenerationID != "" && !generationPattern.MatchString(given.GenerationID):
		return errors.New("`generationId` must be 32 digits of 0-9 and a-f")
	case given.Restored != nil && given.GenerationID == "":
		return errors.New("`generationId` is missing: a restored guest is told a new one")
	case given.Restored != nil && given.Restored.As != generation.Resume && given.Restored.As != generation.Fork:
		return errors.New("`restored.as` must be \"resume\" or \"fork\"")
	}
	for name, value := range given.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) {
			return fmt.Errorf("`env` has an invalid variable %q", name)
		}
	}
	return nil
}

func (s *Server) initialise(w http.ResponseWriter, r *http.Request) {
	var given initialisation
	if err := json.NewDecoder(r.Body).Decode(&given); err != nil {
		access.WriteError(w, http.StatusBadRequest, "the body is not valid: "+err.Error())
		return
	}
	if err := given.check(); err != nil {
		access.WriteError(w, http.StatusBadRequest, err.Error())
		return
	}
	given.context = r.Context()
	s.turn.Lock()
	defer s.turn.Unlock()
	switch {
	case s.settings.Closing():
		access.WriteError(w, http.StatusServiceUnavailable, "the sandbox is shutting down")
		return
	case given.Restored == nil && s.secrets.isRenewed():
		access.WriteError(w, http.StatusConflict, "this memory was restored: `restored` is missing")
		return
	case given.Restored != nil && s.restored != nil && s.restored.generationID == given.GenerationID && !s.gate.Held():
		// The host did not hear the answer. What was done is not done twice.
		writeJSON(w, s.restored)
		return
	}
	if given.Restored != nil {
		s.gate.Hold()
		s.generation.Hold()
	}
	if err := s.apply(&given); err != nil {
		s.log.Error("The initialisation failed", "error", err)
		access.WriteError(w, http.StatusInternalServerError, err.Error())
		return
	}
	answer := initialised{versions: s.versions(), Hooks: s.begin(&given), generationID: given.GenerationID}
	as := generation.Boot
	if given.Restored != nil {
		as, s.restored = given.Restored.As, &answer
	}
	s.log.Info("Initialised", "sandboxId", given.SandboxID, "bootId", given.BootID, "generation", given.Generation, "as", as)
	writeJSON(w, answer)
}

// apply changes the machine first and stores the settings last. A disk that is full must not keep a sandbox from coming back:
// nobody could make room in it then.
func (s *Server) apply(given *initialisation) error {
	if given.Hostname != "" {
		renamed, err := setHostname(given.Hostname)
		switch {
		case noRoom(err):
			s.log.Warn("The host name cannot be written, since the disk is full", "error", err)
		case err != nil:
			return err
		case !renamed:
			s.log.Warn("The hostname could not be set: the engine must give it at the start", "hostname", given.Hostname)
		}
	}
	var trustEnv map[string]string
	if given.CABundle != "" {
		err := trust.Install(given.CABundle)
		if err != nil && !noRoom(err) {
			return fmt.Errorf("cannot install the machine's certificates: %w", err)
		}
		if err != nil {
			s.log.Warn("The machine's certificates cannot be installed, since the disk is full", "error", err)
		}
		trustEnv = trust.Environment
	}
	if given.TimeUnixMs != 0 {
		s.setClock(time.UnixMilli(given.TimeUnixMs))
	}
	user := given.DefaultUser
	if user == "" {
		user = "root"
	}
	if given.ControlSecret != "" {
		s.secrets.replace(given.ControlSecret)
	}
	if given.GenerationID == "" {
		given.GenerationID = newGenerationID()
	}
	s.settings.Store(settings.Settings{
		SandboxID: given.SandboxID, BootID: given.BootID, Generation: given.Generation, AccessToken: given.AccessToken,
		DefaultUser: user, DefaultWorkdir: given.DefaultWorkdir, Env: given.Env, TrustEnv: trustEnv,
	})
	return nil
}

func noRoom(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// setClock follows the host's clock where the engine lets a guest have one of its own.
func (s *Server) setClock(now time.Time) {
	if skew := time.Until(now).Abs(); skew < time.Second {
		return
	}
	at := unix.NsecToTimespec(now.UnixNano())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &at); err != nil {
		s.log.Warn("The clock could not be set", "error", err)
	}
}

func (s *Server) info(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, struct {
		versions
		Initialised bool `json:"initialised"`
		Held        bool `json:"held"`
		Processes   int  `json:"processes"`
	}{s.versions(), s.settings.Load() != nil, s.gate.Held(), s.table.Count()})
}

func (s *Server) sync(w http.ResponseWriter, _ *http.Request) {
	unix.Sync()
	writeJSON(w, struct{}{})
}

func (s *Server) shutdown(w http.ResponseWriter, r *http.Request) {
	given := struct {
		GraceMs int64 `json:"graceMs"`
	}{GraceMs: DefaultGrace.Milliseconds()}
	if err := json.NewDecoder(r.Body).Decode(&given); err != nil && r.ContentLength != 0 {
		access.WriteError(w, http.StatusBadRequest, "the body is not valid: "+err.Error())
		return
	}
	if given.GraceMs < 0 || given.GraceMs > maxGrace.Milliseconds() {
		access.WriteError(w, http.StatusBadRequest, fmt.Sprintf("`graceMs` must be 0 to %d", maxGrace.Milliseconds()))
		return
	}
	killed := s.ending.Run(time.Duration(given.GraceMs) * time.Millisecond)
	writeJSON(w, struct {
		Killed int `json:"killed"`
	}{killed})
	_ = http.NewResponseController(w).Flush()
	s.ending.Exit()
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value)
}

// Package control is the host's way into the guest: everything privileged, on a port that clients cannot be routed to.
package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"skerry.dev/guest/internal/access"
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
	version  string
	secret   atomic.Pointer[string]
	settings *settings.Current
	table    *process.Table
	ending   *Ending
	log      *slog.Logger
}

// NewServer makes the control port's server. secret is what the host must send with each request.
func NewServer(version, secret string, current *settings.Current, table *process.Table, ending *Ending, log *slog.Logger) *Server {
	server := &Server{version: version, settings: current, table: table, ending: ending, log: log}
	server.secret.Store(&secret)
	return server
}

// Handler returns the routes behind the check of the secret.
func (s *Server) Handler() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("POST /init", s.initialise)
	routes.HandleFunc("GET /info", s.info)
	routes.HandleFunc("POST /shutdown", s.shutdown)
	routes.HandleFunc("POST /sync", s.sync)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !access.Same(r.Header.Get("X-Skerry-Boot-Secret"), *s.secret.Load()) {
			access.WriteError(w, http.StatusUnauthorized, "unauthorized")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
		routes.ServeHTTP(w, r)
	})
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
	if s.settings.Closing() {
		access.WriteError(w, http.StatusServiceUnavailable, "the sandbox is shutting down")
		return
	}
	if err := s.apply(&given); err != nil {
		s.log.Error("The initialisation failed", "error", err)
		access.WriteError(w, http.StatusInternalServerError, err.Error())
		return
	}
	s.log.Info("Initialised", "sandboxId", given.SandboxID, "bootId", given.BootID, "generation", given.Generation)
	writeJSON(w, s.versions())
}

// apply changes the machine first and opens the public port last.
func (s *Server) apply(given *initialisation) error {
	if given.Hostname != "" {
		renamed, err := setHostname(given.Hostname)
		if err != nil {
			return err
		}
		if !renamed {
			s.log.Warn("The hostname could not be set: the engine must give it at the start", "hostname", given.Hostname)
		}
	}
	var trustEnv map[string]string
	if given.CABundle != "" {
		if err := trust.Install(given.CABundle); err != nil {
			return fmt.Errorf("cannot install the machine's certificates: %w", err)
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
		s.secret.Store(&given.ControlSecret)
	}
	s.settings.Store(settings.Settings{
		SandboxID: given.SandboxID, BootID: given.BootID, Generation: given.Generation, AccessToken: given.AccessToken,
		DefaultUser: user, DefaultWorkdir: given.DefaultWorkdir, Env: given.Env, TrustEnv: trustEnv,
	})
	return nil
}

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
		Processes   int  `json:"processes"`
	}{s.versions(), s.settings.Load() != nil, s.table.Count()})
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
	_ = json.NewEncoder(w).Encode(value)
}

// Package access decides who may ask the guest for what, and as which user.
package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	"skerry.dev/guest/internal/settings"
	"skerry.dev/guest/internal/users"
)

// Guard answers questions about a request's rights.
type Guard struct {
	Settings *settings.Current
	Accounts users.Databases
}

var errUnavailable = errors.New("the sandbox has not been initialised yet, or is shutting down: try again shortly")

// User returns the account that the request wants to act as, and the settings that hold for it. Its errors are Connect's.
func (g *Guard) User(header interface{ Get(string) string }) (*users.User, *settings.Settings, error) {
	with := g.Settings.Load()
	if with == nil {
		return nil, nil, connect.NewError(connect.CodeUnavailable, errUnavailable)
	}
	name, err := userName(header.Get("Authorization"))
	if err != nil {
		return nil, nil, connect.NewError(connect.CodeUnauthenticated, err)
	}
	user, err := g.Account(name, with)
	return user, with, err
}

// Account finds the account called name, or the default one for an empty name. Its errors are Connect's.
func (g *Guard) Account(name string, with *settings.Settings) (*users.User, error) {
	if name == "" {
		name = with.DefaultUser
	}
	user, err := g.Accounts.Lookup(name)
	switch {
	case errors.Is(err, users.ErrUnknown):
		return nil, connect.NewError(connect.CodeUnauthenticated, fmt.Errorf("invalid username: '%s'", name))
	case err != nil:
		return nil, connect.NewError(connect.CodeInternal, fmt.Errorf("cannot read the accounts: %w", err))
	}
	return user, nil
}

// userName reads the user of Basic credentials. Other schemes name nobody, since proxies add headers of their own.
func userName(authorization string) (string, error) {
	scheme, credentials, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", nil
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(credentials))
	if err != nil {
		return "", errors.New("invalid Authorization header: its Basic credentials are not base64")
	}
	name, _, _ := strings.Cut(string(decoded), ":")
	return name, nil
}

// Same compares two secrets without telling by its time where they differ.
func Same(given, wanted string) bool {
	givenSum, wantedSum := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(wanted))
	return subtle.ConstantTimeCompare(givenSum[:], wantedSum[:]) == 1
}

// defaultKeepalive is the time between keepalives that E2B's own guest uses.
const defaultKeepalive = 90 * time.Second

// KeepaliveInterval reads the Keepalive-Ping-Interval header, in seconds.
func KeepaliveInterval(header string) time.Duration {
	seconds, err := strconv.ParseUint(strings.TrimSpace(header), 10, 31)
	if err != nil || seconds == 0 {
		return defaultKeepalive
	}
	return time.Duration(seconds) * time.Second
}

type abandonKey struct{}

// abandonAfter is how long a detached client may take to read what was already under way, before its connection is cut.
const abandonAfter = 5 * time.Minute

func withAbandon(r *http.Request, w http.ResponseWriter) *http.Request {
	controller := http.NewResponseController(w)
	abandon := func() { _ = controller.SetWriteDeadline(time.Now().Add(abandonAfter)) }
	return r.WithContext(context.WithValue(r.Context(), abandonKey{}, abandon))
}

// AbandonOnStall returns what to call when the request's client was detached for not reading.
func AbandonOnStall(ctx context.Context) func() {
	if abandon, ok := ctx.Value(abandonKey{}).(func()); ok {
		return abandon
	}
	return func() {}
}

// WriteError answers with E2B's error body.
func WriteError(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{status, message})
}

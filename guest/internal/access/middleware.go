package access

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"skerry.dev/guest/internal/settings"
)

// Public puts the rules of the public port in front of next: nobody before the initialisation, everybody for /health, signed
// links for /files, and the access token for all else.
func (g *Guard) Public(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allowOrigins(w.Header())
		with := g.Settings.Load()
		if with == nil {
			w.Header().Set("Retry-After", "1")
			WriteError(w, http.StatusServiceUnavailable, errUnavailable.Error())
			return
		}
		switch {
		case r.Method == http.MethodOptions:
			w.WriteHeader(http.StatusNoContent)
		case r.URL.Path == "/health":
			answerHealth(w, r)
		default:
			if refusal := refuse(r, with); refusal != "" {
				writeRefusal(w, r, refusal)
				return
			}
			defer func() { _ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) }()
			next.ServeHTTP(w, withAbandon(r, w))
		}
	})
}

func answerHealth(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		WriteError(w, http.StatusMethodNotAllowed, "use GET")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

// refuse returns why the request may not pass, or nothing.
func refuse(r *http.Request, with *settings.Settings) string {
	if given := r.Header.Get("X-Access-Token"); given != "" {
		if Same(given, with.AccessToken) {
			return ""
		}
		return "invalid access token"
	}
	if r.URL.Path == "/files" {
		operation := Write
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			operation = Read
		case http.MethodPost:
		default:
			return "missing access token"
		}
		if err := checkSignature(r.URL.Query(), operation, with.AccessToken, time.Now()); err != nil {
			return err.Error()
		}
		return ""
	}
	return "missing access token: send it as X-Access-Token"
}

// writeRefusal answers 401 in the words of the protocol that was asked in.
func writeRefusal(w http.ResponseWriter, r *http.Request, message string) {
	if !strings.HasPrefix(r.URL.Path, "/process.") && !strings.HasPrefix(r.URL.Path, "/filesystem.") {
		WriteError(w, http.StatusUnauthorized, message)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	_ = json.NewEncoder(w).Encode(map[string]string{"code": "unauthenticated", "message": message})
}

func allowOrigins(header http.Header) {
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	header.Set("Access-Control-Allow-Headers", "*")
	header.Set("Access-Control-Expose-Headers", "*")
	header.Set("Access-Control-Max-Age", "7200")
}

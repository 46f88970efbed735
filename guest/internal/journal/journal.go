// Package journal writes the guest's log: one JSON line an event on stderr.
package journal

import (
	"log/slog"
	"os"
)

// New returns the guest's logger. Nothing secret may be given to it.
func New() *slog.Logger {
	handler := slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{ReplaceAttr: rename})
	return slog.New(handler).With("logger", "guest")
}

func rename(groups []string, attribute slog.Attr) slog.Attr {
	if len(groups) == 0 && attribute.Key == slog.MessageKey {
		attribute.Key = "message"
	}
	return attribute
}

// Package hooks runs the programs that a sandbox keeps for the moments before its memory is saved and after it was restored.
package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
	"unicode"

	"skerry.dev/guest/internal/process"
	"skerry.dev/guest/internal/settings"
)

// Directory is where a sandbox keeps its hooks, in one directory for each moment.
const Directory = "/etc/skerry/hooks"

// Moment names a directory of hooks.
type Moment string

const (
	PrePause   Moment = "pre-pause.d"
	PostResume Moment = "post-resume.d"
	PostFork   Moment = "post-fork.d"
)

const (
	// hookLimit bounds the hooks of one answer; outputLimit what is told of one, and outputTotal of all of them, in bytes.
	hookLimit   = 64
	outputLimit = 2 << 10
	outputTotal = 16 << 10
	// cannotExecute is what a shell says of a file that it does not run.
	cannotExecute = 126
)

// named is what a hook may be called, as with run-parts: an editor's copy is none.
var named = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)

// Result is what became of one hook.
type Result struct {
	Path string `json:"path"`
	// ExitCode is nil for one that was killed, or not begun, since the time was over.
	ExitCode   *int   `json:"exitCode,omitempty"`
	DurationMs int64  `json:"durationMs"`
	Output     string `json:"output"`
}

// Runner runs hooks as root.
type Runner struct {
	// Root is Directory but in tests.
	Root  string
	Table *process.Table
	Log   *slog.Logger
}

// Run runs the hooks of the moments one after the other, each moment's by name, until ctx ends. It never fails: what a hook
// does is its own, and is reported.
func (r *Runner) Run(ctx context.Context, with *settings.Settings, variables map[string]string, moments ...Moment) []Result {
	paths := r.find(moments)
	results := make([]Result, 0, len(paths))
	for _, path := range paths {
		result := r.run(ctx, path, with, variables, min(outputLimit, outputTotal/len(paths)))
		results = append(results, result)
		switch {
		case result.ExitCode == nil:
			r.Log.Warn("A hook was not finished in its time", "path", path, "output", result.Output)
		case *result.ExitCode != 0:
			r.Log.Warn("A hook failed", "path", path, "exitCode", *result.ExitCode, "output", result.Output)
		default:
			r.Log.Info("A hook ran", "path", path, "durationMs", result.DurationMs)
		}
	}
	return results
}

func (r *Runner) find(moments []Moment) []string {
	var paths []string
	for _, moment := range moments {
		directory := filepath.Join(r.Root, string(moment))
		entries, err := os.ReadDir(directory)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.Log.Warn("The hooks cannot be read", "path", directory, "error", err)
		}
		for _, entry := range entries {
			path := filepath.Join(directory, entry.Name())
			switch {
			case !named.MatchString(entry.Name()):
				r.Log.Warn("A file's name is not that of a hook", "path", path)
			case len(paths) >= hookLimit:
				r.Log.Warn("There are too many hooks: this one is not run", "path", path, "limit", hookLimit)
			default:
				paths = append(paths, path)
			}
		}
	}
	return paths
}

func (r *Runner) run(ctx context.Context, path string, with *settings.Settings, variables map[string]string, limit int) Result {
	if ctx.Err() != nil {
		return Result{Path: path, Output: "not begun: the time for hooks was over"}
	}
	if err := allowed(path); err != nil {
		code := cannotExecute
		return Result{Path: path, ExitCode: &code, Output: "not run: " + err.Error()}
	}
	begin := time.Now()
	outcome := r.Table.Errand(ctx, path, with, variables, limit)
	result := Result{Path: path, DurationMs: time.Since(begin).Milliseconds(), Output: printable(outcome.Output)}
	if !outcome.Killed {
		result.ExitCode = &outcome.ExitCode
	}
	return result
}

// allowed returns why root should not run the file: only root may have written it.
func allowed(path string) error {
	for _, checked := range []string{path, filepath.Dir(path)} {
		info, err := os.Stat(checked)
		if err != nil {
			return err
		}
		const writableByOthers, executable = 0o022, 0o111
		status, ok := info.Sys().(*syscall.Stat_t)
		switch {
		case !ok || status.Uid != 0 || info.Mode().Perm()&writableByOthers != 0:
			return fmt.Errorf("%s can be changed by others than root: hooks run as root", checked)
		case checked == path && !info.Mode().IsRegular():
			return fmt.Errorf("%s is not a file", path)
		case checked == path && info.Mode().Perm()&executable == 0:
			return fmt.Errorf("%s is not executable", path)
		}
	}
	return nil
}

// printable makes text of anything, with no character that an answer would have to write as six.
func printable(output []byte) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(output), "?"))
}

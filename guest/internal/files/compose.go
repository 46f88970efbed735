package files

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"skerry.dev/guest/internal/entry"
)

const (
	composeBody    = 1 << 20
	composeSources = 10_000
)

type composition struct {
	Sources     []string `json:"source_paths"`
	Destination string   `json:"destination"`
	Username    string   `json:"username"`
}

// compose joins files into one and removes them once it is complete.
func (s *Service) compose(w http.ResponseWriter, r *http.Request) {
	made, err := s.composeFile(r)
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, made)
}

func (s *Service) composeFile(r *http.Request) (*uploaded, error) {
	var wanted composition
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, composeBody)).Decode(&wanted); err != nil {
		return nil, fail(http.StatusBadRequest, "the body is not valid: %s", err)
	}
	if wanted.Destination == "" || len(wanted.Sources) == 0 || len(wanted.Sources) > composeSources {
		return nil, fail(http.StatusBadRequest, "`destination` and 1 to %d `source_paths` are needed", composeSources)
	}
	user, workdir, err := s.user(r, wanted.Username)
	if err != nil {
		return nil, err
	}
	destination, err := resolve(user, wanted.Destination, workdir)
	if err != nil {
		return nil, err
	}
	sources := make([]string, len(wanted.Sources))
	for index, source := range wanted.Sources {
		if source == "" {
			return nil, fail(http.StatusBadRequest, "`source_paths` holds an empty path")
		}
		if sources[index], err = resolve(user, source, workdir); err != nil {
			return nil, err
		}
		if err := checkSource(sources[index]); err != nil {
			return nil, err
		}
	}
	joined := &joinedFiles{paths: sources}
	defer joined.close()
	if err := s.place(destination, joined, user, nil); err != nil {
		return nil, err
	}
	for _, source := range sources {
		if source == destination {
			continue
		}
		if err := os.Remove(source); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	made, err := entry.Read(destination, s.guard.Accounts.ReadNames())
	if err != nil {
		return nil, err
	}
	return &uploaded{Path: destination, Name: filepath.Base(destination), Type: entry.TypeName(made.GetType()), Metadata: made.GetMetadata()}, nil
}

func checkSource(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail(http.StatusNotFound, "path '%s' does not exist", path)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fail(http.StatusBadRequest, "path '%s' is not a regular file", path)
	}
	return nil
}

// joinedFiles reads one file after the other, with one open at a time.
type joinedFiles struct {
	paths []string
	open  *os.File
}

func (j *joinedFiles) Read(buffer []byte) (int, error) {
	for {
		if j.open == nil {
			if len(j.paths) == 0 {
				return 0, io.EOF
			}
			opened, err := os.OpenFile(j.paths[0], os.O_RDONLY|syscall.O_NONBLOCK, 0)
			if err != nil {
				return 0, err
			}
			j.open, j.paths = opened, j.paths[1:]
		}
		count, err := j.open.Read(buffer)
		if count > 0 {
			return count, nil
		}
		if err != io.EOF {
			return 0, err
		}
		j.close()
	}
}

func (j *joinedFiles) close() {
	if j.open != nil {
		_ = j.open.Close()
		j.open = nil
	}
}

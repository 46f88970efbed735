package files

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"time"

	"skerry.dev/guest/internal/users"
)

const (
	// partLimit bounds the files of one request.
	partLimit = 100_000
	// drainLimit and drainPatience bound what is still read of a refused body, so that its sender gets to see the answer.
	drainLimit    = 256 << 20
	drainPatience = 10 * time.Second
)

// uploaded is what the answer says of each file.
type uploaded struct {
	Path     string            `json:"path"`
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// request is what holds for all files of one upload.
type request struct {
	user     *users.User
	workdir  string
	path     string
	metadata map[string]string
}

func (s *Service) upload(w http.ResponseWriter, r *http.Request) {
	files, err := s.receive(r)
	if err != nil {
		drain(w, r)
		writeError(w, err)
		return
	}
	writeJSON(w, files)
}

func (s *Service) receive(r *http.Request) ([]uploaded, error) {
	query := r.URL.Query()
	user, workdir, err := s.user(r, query.Get("username"))
	if err != nil {
		return nil, err
	}
	metadata, err := readMetadata(r.Header)
	if err != nil {
		return nil, err
	}
	upload := &request{user: user, workdir: workdir, path: query.Get("path"), metadata: metadata}
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return nil, fail(http.StatusBadRequest, "the Content-Type is missing or not valid: send multipart/form-data or application/octet-stream")
	}
	if kind != "application/octet-stream" && kind != "multipart/form-data" {
		return nil, fail(http.StatusBadRequest, "unsupported Content-Type '%s': send multipart/form-data or application/octet-stream", kind)
	}
	body, err := decode(r.Body, r.Header.Get("Content-Encoding"))
	if err != nil {
		return nil, err
	}
	if kind == "application/octet-stream" {
		if upload.path == "" {
			return nil, fail(http.StatusBadRequest, "the query parameter `path` is missing")
		}
		file, err := s.receiveFile(upload, upload.path, body)
		if err != nil {
			return nil, err
		}
		return []uploaded{file}, nil
	}
	if parameters["boundary"] == "" {
		return nil, fail(http.StatusBadRequest, "the Content-Type has no boundary")
	}
	return s.receiveParts(upload, multipart.NewReader(body, parameters["boundary"]))
}

func (s *Service) receiveParts(upload *request, parts *multipart.Reader) ([]uploaded, error) {
	files := []uploaded{}
	seen := map[string]bool{}
	for count := 0; ; count++ {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fail(http.StatusBadRequest, "the multipart body is not valid: %s", err)
		}
		if count == partLimit {
			return nil, fail(http.StatusBadRequest, "the request has more than %d parts", partLimit)
		}
		name, isFile := fullFileName(part)
		if !isFile {
			continue
		}
		path := name
		if upload.path != "" {
			path = upload.path
		}
		if path == "" {
			return nil, fail(http.StatusBadRequest, "a file has neither a filename nor the query parameter `path`")
		}
		resolved, err := resolve(upload.user, path, upload.workdir)
		if err != nil {
			return nil, err
		}
		if seen[resolved] {
			return nil, fail(http.StatusBadRequest, "more than one file was sent for path '%s'", resolved)
		}
		seen[resolved] = true
		file, err := s.receiveFile(upload, path, part)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
}

// fullFileName returns a file's name with its directories, which the standard parser would take away.
func fullFileName(part *multipart.Part) (string, bool) {
	_, parameters, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil || parameters["name"] != "file" {
		return "", false
	}
	return parameters["filename"], true
}

// bodyReader tells a client's fault from the disk's.
type bodyReader struct {
	io.Reader
	err error
}

func (b *bodyReader) Read(buffer []byte) (int, error) {
	count, err := b.Reader.Read(buffer)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return count, err
}

func (s *Service) receiveFile(upload *request, path string, content io.Reader) (uploaded, error) {
	resolved, err := resolve(upload.user, path, upload.workdir)
	if err != nil {
		return uploaded{}, err
	}
	body := &bodyReader{Reader: content}
	if err := s.place(resolved, body, upload.user, upload.metadata); err != nil {
		if body.err != nil {
			return uploaded{}, fail(http.StatusBadRequest, "the body ended early or is not valid: %s", body.err)
		}
		return uploaded{}, err
	}
	return uploaded{Path: resolved, Name: filepath.Base(resolved), Type: "file", Metadata: upload.metadata}, nil
}

// drain reads on for a while: most clients look at the answer only when they have sent everything.
func drain(w http.ResponseWriter, r *http.Request) {
	controller := http.NewResponseController(w)
	_ = controller.SetReadDeadline(time.Now().Add(drainPatience))
	_, _ = io.CopyN(io.Discard, r.Body, drainLimit)
	w.Header().Set("Connection", "close")
}

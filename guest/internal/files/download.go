package files

import (
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// compressors are kept, since a new one costs most of a megabyte.
var compressors = sync.Pool{New: func() any {
	compressor, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	return compressor
}}

func (s *Service) download(w http.ResponseWriter, r *http.Request) {
	file, info, err := s.openDownload(r)
	if err != nil {
		writeError(w, err)
		return
	}
	defer file.Close()
	coding, err := chooseCoding(r.Header.Values("Accept-Encoding"))
	if err != nil {
		writeError(w, err)
		return
	}
	header := w.Header()
	header.Set("Content-Type", contentType(info.Name()))
	header.Set("Content-Disposition", mime.FormatMediaType("inline", map[string]string{"filename": strings.ToValidUTF8(info.Name(), "_")}))
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Add("Vary", "Accept-Encoding")
	if coding == codingGzip && info.Size() > 0 && r.Header.Get("Range") == "" {
		sendCompressed(w, r, file, info)
		return
	}
	if info.Size() == 0 {
		header.Set("Content-Length", "0")
		header.Set("Last-Modified", info.ModTime().UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusOK)
		return
	}
	http.ServeContent(w, r, info.Name(), info.ModTime(), file)
}

func (s *Service) openDownload(r *http.Request) (*os.File, fs.FileInfo, error) {
	query := r.URL.Query()
	user, workdir, err := s.user(r, query.Get("username"))
	if err != nil {
		return nil, nil, err
	}
	path, err := resolve(user, query.Get("path"), workdir)
	if err != nil {
		return nil, nil, err
	}
	// A named pipe or a device is opened too, before it is known to be one: without waiting for its other side.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fail(http.StatusNotFound, "path '%s' does not exist", path)
	}
	if errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.ENODEV) {
		return nil, nil, fail(http.StatusBadRequest, "path '%s' is not a regular file", path)
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	switch {
	case err == nil && info.Mode().IsRegular():
		return file, info, nil
	case err == nil && info.IsDir():
		err = fail(http.StatusBadRequest, "path '%s' is a directory", path)
	case err == nil:
		err = fail(http.StatusBadRequest, "path '%s' is not a regular file", path)
	}
	_ = file.Close()
	return nil, nil, err
}

func sendCompressed(w http.ResponseWriter, r *http.Request, file io.Reader, info fs.FileInfo) {
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Last-Modified", info.ModTime().UTC().Format(http.TimeFormat))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	compressor, _ := compressors.Get().(*gzip.Writer)
	defer compressors.Put(compressor)
	compressor.Reset(w)
	if _, err := io.Copy(compressor, file); err != nil {
		// The status has been sent: only a broken connection still tells the client.
		panic(http.ErrAbortHandler)
	}
	if err := compressor.Close(); err != nil {
		panic(http.ErrAbortHandler)
	}
}

func contentType(name string) string {
	if kind := mime.TypeByExtension(filepath.Ext(name)); kind != "" {
		return kind
	}
	return "application/octet-stream"
}

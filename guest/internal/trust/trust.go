// Package trust makes the programs of a sandbox accept the certificate authorities that its machine accepts.
package trust

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	bundleFile  = "/etc/ssl/certs/ca-certificates.crt"
	machineFile = "/usr/local/share/ca-certificates/skerry-machine.crt"
	beginMarker = "# begin skerry machine certificates\n"
	endMarker   = "# end skerry machine certificates\n"
)

// Environment points the usual programs, which bring lists of their own, at the system's bundle.
var Environment = map[string]string{
	"NODE_EXTRA_CA_CERTS": bundleFile,
	"SSL_CERT_FILE":       bundleFile,
	"REQUESTS_CA_BUNDLE":  bundleFile,
	"PIP_CERT":            bundleFile,
	"CURL_CA_BUNDLE":      bundleFile,
	"GIT_SSL_CAINFO":      bundleFile,
}

// Install adds the PEM certificates to the system's bundle, and where update-ca-certificates finds them when it makes the
// bundle anew. Doing it again changes nothing.
func Install(certificates string) error {
	pem := []byte(certificates)
	if !bytes.HasSuffix(pem, []byte("\n")) {
		pem = append(pem, '\n')
	}
	if err := WriteFile(machineFile, pem); err != nil {
		return err
	}
	bundle, err := os.ReadFile(bundleFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read the certificate bundle: %w", err)
	}
	return WriteFile(bundleFile, merge(bundle, pem))
}

// merge puts pem between the markers at the end of bundle, in place of what was between them.
func merge(bundle, pem []byte) []byte {
	kept := bundle
	if begin := bytes.Index(bundle, []byte(beginMarker)); begin >= 0 {
		kept = bytes.Clone(bundle[:begin])
		if end := bytes.Index(bundle[begin:], []byte(endMarker)); end >= 0 {
			kept = append(kept, bundle[begin+end+len(endMarker):]...)
		}
	}
	merged := bytes.Clone(kept)
	if len(merged) > 0 && merged[len(merged)-1] != '\n' {
		merged = append(merged, '\n')
	}
	merged = append(merged, beginMarker...)
	merged = append(merged, pem...)
	return append(merged, endMarker...)
}

// WriteFile replaces path at once, making its folders, unless it holds content already.
func WriteFile(path string, content []byte) error {
	if present, err := os.ReadFile(path); err == nil && bytes.Equal(present, content) {
		return nil
	}
	// A link stays one: some images keep their bundle elsewhere.
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".skerry-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	defer temporary.Close()
	if _, err := temporary.Write(content); err != nil {
		return err
	}
	if err := temporary.Chmod(0o644); err != nil {
		return err
	}
	err = os.Rename(temporary.Name(), path)
	if errors.Is(err, syscall.EBUSY) {
		// A file that is mounted cannot be replaced, only written.
		return os.WriteFile(path, content, 0o644)
	}
	return err
}

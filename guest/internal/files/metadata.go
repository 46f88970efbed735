package files

import (
	"errors"
	"net/http"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"skerry.dev/guest/internal/entry"
)

const (
	metadataHeader = "X-Metadata-"
	// metadataKeyLimit leaves room for the prefix in the 255 bytes that the kernel allows, and metadataLimit is all of it, in bytes.
	metadataKeyLimit = 246
	metadataLimit    = 4096
)

// readMetadata collects the X-Metadata- headers. Header names know no case, so keys are lower case.
func readMetadata(header http.Header) (map[string]string, error) {
	metadata := map[string]string{}
	total := 0
	for name, values := range header {
		key, found := strings.CutPrefix(name, metadataHeader)
		if !found {
			continue
		}
		key = strings.ToLower(key)
		value := strings.Join(values, ", ")
		if key == "" || len(key) > metadataKeyLimit {
			return nil, fail(http.StatusBadRequest, "invalid metadata key '%s': it must have 1 to %d bytes", key, metadataKeyLimit)
		}
		if !isPrintable(key) || !isPrintable(value) {
			return nil, fail(http.StatusBadRequest, "invalid metadata '%s': only printable ASCII is allowed", key)
		}
		if total += len(key) + len(value); total > metadataLimit {
			return nil, fail(http.StatusBadRequest, "the metadata is larger than %d bytes", metadataLimit)
		}
		metadata[key] = value
	}
	return metadata, nil
}

func isPrintable(text string) bool {
	for index := range len(text) {
		if text[index] < 0x20 || text[index] > 0x7E {
			return false
		}
	}
	return true
}

// storeMetadata writes metadata to the new file behind descriptor.
func storeMetadata(descriptor int, metadata map[string]string) error {
	for key, value := range metadata {
		err := unix.Fsetxattr(descriptor, entry.MetadataPrefix+key, []byte(value), 0)
		if errors.Is(err, syscall.ENOTSUP) {
			return fail(http.StatusBadRequest, "the file system of the destination stores no metadata")
		}
		if errors.Is(err, syscall.E2BIG) || errors.Is(err, syscall.ERANGE) {
			return fail(http.StatusBadRequest, "the file system of the destination has no room for the metadata '%s'", key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

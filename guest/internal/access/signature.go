package access

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"strconv"
	"time"
)

// Operation is what a signed link allows.
type Operation string

const (
	Read  Operation = "read"
	Write Operation = "write"
)

// Signature is what the query of a signed link must hold. An empty expiration never ends.
func Signature(path string, operation Operation, user, token, expiration string) string {
	text := path + ":" + string(operation) + ":" + user + ":" + token
	if expiration != "" {
		text += ":" + expiration
	}
	sum := sha256.Sum256([]byte(text))
	return "v1_" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// checkSignature returns why query does not allow operation, or nil.
func checkSignature(query url.Values, operation Operation, token string, now time.Time) error {
	given := query.Get("signature")
	if given == "" {
		return errors.New("missing signature query parameter")
	}
	expiration := ""
	if query.Has("signature_expiration") {
		seconds, err := strconv.ParseInt(query.Get("signature_expiration"), 10, 64)
		if err != nil {
			return errors.New("invalid signature")
		}
		expiration = strconv.FormatInt(seconds, 10)
	}
	if !Same(given, Signature(query.Get("path"), operation, query.Get("username"), token, expiration)) {
		return errors.New("invalid signature")
	}
	if expiration != "" {
		if seconds, _ := strconv.ParseInt(expiration, 10, 64); seconds < now.Unix() {
			return errors.New("signature is already expired")
		}
	}
	return nil
}

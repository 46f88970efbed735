package control

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"

	"skerry.dev/guest/internal/access"
)

// SecretVariable is the environment variable that carries the boot secret.
const SecretVariable = "SKERRY_BOOT_SECRET"

// SpecEnviron shows the environment of the sandbox's start or, in a restored one, that of its restore.
const SpecEnviron = "/proc/gvisor/spec_environ"

// environLimit bounds what is read of an environment, in bytes.
const environLimit = 1 << 20

// secrets is what the host must send with each request.
type secrets struct {
	// environ is a file with the environment that the host gave last.
	environ string

	mu sync.Mutex
	// boot is the secret that the environment had last; valid is what a request must have.
	boot, valid string
	// renewed says that the environment has changed since the life began: this memory was restored.
	renewed bool
}

// same reports whether a request has the secret. A held guest may be one that was restored: it looks for a new secret first,
// and from then on the former one is worth nothing.
func (s *secrets) same(given string, held bool) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if held {
		err = s.refresh()
	}
	return access.Same(given, s.valid), err
}

func (s *secrets) refresh() error {
	file, err := os.Open(s.environ)
	if errors.Is(err, os.ErrNotExist) {
		// Not every engine shows it: such a guest keeps its secret.
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	environment, err := io.ReadAll(io.LimitReader(file, environLimit))
	if err != nil {
		return err
	}
	for variable := range bytes.SplitSeq(environment, []byte{0}) {
		secret, ok := bytes.CutPrefix(variable, []byte(SecretVariable+"="))
		if ok && len(secret) > 0 && string(secret) != s.boot {
			s.boot, s.valid, s.renewed = string(secret), string(secret), true
		}
	}
	return nil
}

// replace makes secret the valid one until the environment changes.
func (s *secrets) replace(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.valid = secret
}

// isRenewed reports whether this is another life than the one that was initialised last.
func (s *secrets) isRenewed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.renewed
}

// settle says that the present life has been initialised.
func (s *secrets) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renewed = false
}

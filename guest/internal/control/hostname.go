package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"skerry.dev/guest/internal/trust"
)

const (
	hostsFile   = "/etc/hosts"
	hostsMarker = "# skerry hostname"
)

var hostnamePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?$`)

// setHostname gives the sandbox its name and makes the name resolve without a server. renamed is false where the guest lacks
// the right, as in a sandbox without CAP_SYS_ADMIN: there the engine sets the name at the start.
func setHostname(name string) (renamed bool, err error) {
	renamed = true
	if present, err := os.Hostname(); err != nil || present != name {
		switch err := unix.Sethostname([]byte(name)); {
		case errors.Is(err, unix.EPERM):
			renamed = false
		case err != nil:
			return false, fmt.Errorf("cannot set the hostname: %w", err)
		}
	}
	hosts, err := os.ReadFile(hostsFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return renamed, fmt.Errorf("cannot read %s: %w", hostsFile, err)
	}
	return renamed, trust.WriteFile(hostsFile, []byte(hostsWith(string(hosts), name)))
}

// hostsWith keeps every line but the one that an earlier call added.
func hostsWith(hosts, name string) string {
	var lines []string
	for line := range strings.Lines(hosts) {
		if !strings.HasSuffix(strings.TrimRight(line, "\n"), hostsMarker) {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	if strings.TrimSpace(hosts) == "" {
		lines = []string{"127.0.0.1 localhost"}
	}
	return strings.Join(append(lines, "127.0.1.1 "+name+" "+hostsMarker), "\n") + "\n"
}

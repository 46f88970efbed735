// Package metrics measures the sandbox from inside, when asked.
package metrics

import (
	"encoding/json"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"skerry.dev/guest/internal/reaper"
)

// Meter remembers the last measurement, since a share of the processor is one over time.
type Meter struct {
	mu     sync.Mutex
	at     time.Time
	busy   time.Duration
	before bool
}

type report struct {
	Timestamp   int64   `json:"ts"`
	CPUCount    int     `json:"cpu_count"`
	CPUUsedPct  float64 `json:"cpu_used_pct"`
	MemoryTotal uint64  `json:"mem_total"`
	MemoryUsed  uint64  `json:"mem_used"`
	MemoryCache uint64  `json:"mem_cache"`
	DiskUsed    uint64  `json:"disk_used"`
	DiskTotal   uint64  `json:"disk_total"`
}

// ServeHTTP answers with sizes in bytes and the processors' use in percent of all of them since the last request.
func (m *Meter) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	now := time.Now()
	measured := report{Timestamp: now.Unix(), CPUCount: runtime.NumCPU(), CPUUsedPct: m.share(now)}
	measured.readMemory()
	measured.readDisk()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(measured)
}

func (m *Meter) share(now time.Time) float64 {
	busy := busyTime()
	m.mu.Lock()
	defer m.mu.Unlock()
	elapsed, spent, before := now.Sub(m.at), busy-m.busy, m.before
	m.at, m.busy, m.before = now, busy, true
	if !before || elapsed <= 0 || spent < 0 {
		return 0
	}
	share := 100 * float64(spent) / float64(elapsed) / float64(runtime.NumCPU())
	return float64(int(min(share, 100)*100)) / 100
}

// tick is the kernel's unit of processor time, the same on every Linux machine that Go runs on.
const tick = 10 * time.Millisecond

// busyTime is the processor time used by everything so far. gVisor's /proc/stat says nothing: there it is the sum over what
// lives and the guest's collected children, which include all orphans.
func busyTime() time.Duration {
	if text, err := os.ReadFile("/proc/stat"); err == nil {
		if busy := parseBusy(string(text)); busy > 0 {
			return busy
		}
	}
	var busy time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var usage unix.Rusage
		if unix.Getrusage(who, &usage) == nil {
			busy += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		}
	}
	for pid := range reaper.States() {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err == nil {
			busy += parseProcessTime(string(text))
		}
	}
	return busy
}

// parseBusy adds user, nice, system, irq, softirq and steal of the first line of /proc/stat.
func parseBusy(text string) time.Duration {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 5 || fields[0] != "cpu" {
		return 0
	}
	var ticks uint64
	for index, field := range fields[1:min(len(fields), 9)] {
		const idle, waiting = 3, 4
		if index == idle || index == waiting {
			continue
		}
		value, err := strconv.ParseUint(field, 10, 48)
		if err != nil {
			return 0
		}
		ticks += value
	}
	return time.Duration(ticks) * tick
}

// parseProcessTime adds the times of a process and of the children that it collected.
func parseProcessTime(text string) time.Duration {
	end := strings.LastIndexByte(text, ')')
	fields := strings.Fields(text[end+1:])
	if end < 0 || len(fields) < 15 {
		return 0
	}
	var ticks uint64
	for _, field := range fields[11:15] {
		value, err := strconv.ParseUint(field, 10, 48)
		if err != nil {
			return 0
		}
		ticks += value
	}
	return time.Duration(ticks) * tick
}

func (r *report) readMemory() {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return
	}
	sizes := map[string]uint64{}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		if fields := strings.Fields(rest); len(fields) > 0 {
			if kibibytes, err := strconv.ParseUint(fields[0], 10, 53); err == nil {
				sizes[name] = kibibytes << 10
			}
		}
	}
	r.MemoryTotal, r.MemoryCache = sizes["MemTotal"], sizes["Cached"]
	available, known := sizes["MemAvailable"]
	if !known {
		available = sizes["MemFree"] + sizes["Buffers"] + sizes["Cached"]
	}
	r.MemoryUsed = r.MemoryTotal - min(available, r.MemoryTotal)
}

func (r *report) readDisk() {
	var disk unix.Statfs_t
	if unix.Statfs("/", &disk) != nil {
		return
	}
	block := uint64(max(disk.Bsize, 0))
	r.DiskTotal = disk.Blocks * block
	r.DiskUsed = (disk.Blocks - min(disk.Bfree, disk.Blocks)) * block
}

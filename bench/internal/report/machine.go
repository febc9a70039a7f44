package report

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/bench/internal/floor"
)

// Machine says what is measured on, and where, and what was going on there.
func Machine(ctx context.Context, command, dir string) string {
	disk := "unknown"
	if perSecond, err := floor.Overwrites(dir, time.Second); err == nil {
		disk = Number(perSecond) + " fdatasync/s of 4 KiB"
	}
	return fmt.Sprintf("Measured on %s with `%s`, at %s: %s, %d cores, %s %s/%s, disk: %s, load average before: %s.\n",
		time.Now().UTC().Format(time.DateOnly), command, revision(ctx), cpuModel(), runtime.NumCPU(),
		runtime.Version(), runtime.GOOS, runtime.GOARCH, disk, LoadAverage())
}

// LoadAverage is that of the last minute.
func LoadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	minute, _, _ := strings.Cut(string(data), " ")
	return minute
}

func cpuModel() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func revision(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "an unknown revision"
	}
	return strings.TrimSpace(string(out))
}

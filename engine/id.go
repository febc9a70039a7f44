package engine

import (
	"crypto/rand"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/tenter-dev/tenter/internal/saturate"
)

var ids = struct {
	sync.Mutex
	entropy *ulid.MonotonicEntropy
}{entropy: ulid.Monotonic(rand.Reader, 0)}

// newID returns a unique ID that sorts by time, so that new rows of a store are neighbors. It
// is not a secret.
func newID() string {
	ids.Lock()
	defer ids.Unlock()
	return strings.ToLower(ulid.MustNew(ulid.Timestamp(time.Now()), ids.entropy).String())
}

// buildID names the code of this process: by its version control stamp or, without one, by its
// executable file.
func buildID() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		stamp := map[string]string{}
		for _, s := range info.Settings {
			stamp[s.Key] = s.Value
		}
		if rev := stamp["vcs.revision"]; rev != "" && stamp["vcs.modified"] == "false" {
			return rev
		}
	}
	path, err := os.Executable()
	if err != nil {
		return "unknown"
	}
	info, err := os.Stat(path)
	if err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%x-%x", info.Size(), info.ModTime().UnixNano())
}

// microseconds returns t as stores keep it.
func microseconds(t time.Time) time.Time { return saturate.Time(t) }

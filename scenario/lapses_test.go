package scenario_test

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// lapses are the leases that processes could not renew in time, as they have logged it
// themselves. On a busy machine that happens to a process which suffers nothing else.
var lapses struct {
	mu  sync.Mutex
	all []mishap
}

// lapsed returns the lapses so far.
func lapsed() []mishap {
	lapses.mu.Lock()
	defer lapses.mu.Unlock()
	return slices.Clone(lapses.all)
}

// A lapseWatch passes the log of a process on, and notes when its lease lapsed.
type lapseWatch struct {
	io.Writer
	process func() int
	rest    []byte // of the last line
}

func (l *lapseWatch) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return l.Writer.Write(b)
		}
		if at, d, ok := lapseOf(string(line)); ok {
			// A step that had found the lease in order may begin a little later.
			m := mishap{process: l.process(), what: "without a lease", began: at.Add(-d), over: at.Add(workLease / 3)}
			lapses.mu.Lock()
			lapses.all = append(lapses.all, m)
			lapses.mu.Unlock()
		}
		l.rest = rest
	}
}

var lapseLine = regexp.MustCompile(`^time=(\S+) level=WARN msg="the lease had lapsed: [^"]*" .*\bfor=(\S+)`)

// lapseOf returns when the lease was renewed, and how much too late, if that is what a
// line of a log says.
func lapseOf(line string) (at time.Time, late time.Duration, ok bool) {
	m := lapseLine.FindStringSubmatch(line)
	if m == nil {
		return at, 0, false
	}
	at, err := time.Parse(time.RFC3339, m[1])
	if err != nil {
		return at, 0, false
	}
	late, err = time.ParseDuration(m[2])
	return at, late, err == nil
}

func TestLapsesAreNoted(t *testing.T) {
	t.Parallel()
	const process = -1
	var log strings.Builder
	w := &lapseWatch{Writer: &log, process: func() int { return process }}
	text := `time=2026-11-29T16:20:19.037Z level=WARN msg="other workers have taken runs over" worker=w runs=23
time=2026-11-29T16:20:20.366Z level=WARN msg="the lease had lapsed: others may have taken runs over" worker=w for=180ms runs=5
`
	for _, b := range []byte(text) {
		if _, err := w.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if log.String() != text {
		t.Errorf("passed on: %q", log.String())
	}
	var got []string
	for _, m := range lapsed() {
		if m.process == process {
			got = append(got, clock(m.began)+" "+clock(m.over))
		}
	}
	if want := []string{"16:20:20.186 16:20:20.699"}; !slices.Equal(got, want) {
		t.Errorf("lapses: %v, want %v", got, want)
	}
}

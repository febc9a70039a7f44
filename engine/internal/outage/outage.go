// Package outage lets whoever needs the store wait while it fails, and tells the log.
package outage

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/jitter"
)

const (
	// remindEvery is how often the log repeats that the store still fails.
	remindEvery = time.Minute
	// calm is how long nobody has to have waited before an outage is over: failures
	// that come and go are one line, not a hundred.
	calm = 10 * time.Second
)

// Log tells the log how the store is: once when somebody has to wait because it
// fails, now and then while that lasts, and once when it is over. There is one for an
// engine: however many runs wait, it is one outage.
type Log struct {
	log      *slog.Logger
	database fmt.Stringer

	mu       sync.Mutex
	waiting  int         // how many wait
	began    time.Time   // zero: there is no outage
	told     time.Time   // when the log was told last
	failures int         // since it began
	worked   time.Time   // when the store last worked for somebody who had waited
	over     *time.Timer // while nobody waits
}

// NewLog returns a log of the outages of a database.
func NewLog(log *slog.Logger, database fmt.Stringer) *Log { return &Log{log: log, database: database} }

// failed notes that the store has failed somebody, or has again.
func (l *Log) failed(verb, runID string, err error, again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !again {
		l.waiting++
	}
	if l.over != nil {
		l.over.Stop()
	}
	now := time.Now()
	l.failures++
	l.worked = time.Time{}
	switch {
	case l.began.IsZero():
		l.began, l.told = now, now
		l.log.Error("the store fails: what needs it waits and tries again",
			"database", l.database.String(), "verb", verb, "run", runID, "error", err)
	case now.Sub(l.told) >= remindEvery:
		l.told = now
		l.log.Error("the store still fails", "database", l.database.String(), "since", l.began.UTC(), "waiting", l.waiting,
			"failures", l.failures, "verb", verb, "run", runID, "error", err)
	}
}

// left notes that somebody does not wait any more: because the store works, or not.
func (l *Log) left(works bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if works {
		l.worked = time.Now()
	}
	if l.waiting--; l.waiting == 0 {
		l.over = time.AfterFunc(calm, l.end)
	}
}

// Present reports whether somebody waits.
func (l *Log) Present() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting > 0
}

// end tells that the outage is over, if nobody waits by now.
func (l *Log) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting > 0 || l.began.IsZero() {
		return
	}
	if !l.worked.IsZero() {
		l.log.Info("the store works again", "database", l.database.String(), "since", l.began.UTC(),
			"took", l.worked.Sub(l.began).Round(time.Millisecond), "failures", l.failures)
	}
	l.began, l.failures = time.Time{}, 0
}

// Close tells it at once: there is no later.
func (l *Log) Close() {
	l.mu.Lock()
	over := l.over
	l.mu.Unlock()
	if over != nil && over.Stop() {
		l.end()
	}
}

// The pauses before the store is tried again grow from the first to the longest.
const (
	FirstPause = 10 * time.Millisecond
	MostPause  = 5 * time.Second
)

// Backoff is the wait of one that needs the store: a run, the claims, the lease, somebody who
// waits for a result. It tries again after pauses that grow. The zero value does not wait.
type Backoff struct {
	pause time.Duration // the last one; 0: the store works, as far as is known here
}

// Waiting reports whether the store failed when it was last tried.
func (b *Backoff) Waiting() bool { return b.pause > 0 }

// Failed returns how long to wait before the store is tried again.
func (b *Backoff) Failed(l *Log, verb, runID string, err error) time.Duration {
	l.failed(verb, runID, err, b.pause != 0)
	b.pause = min(max(2*b.pause, FirstPause), MostPause)
	return b.pause/2 + time.Duration(jitter.Fraction()*float64(b.pause/2)) // lest all try in the same moment
}

// Passed says that the store works.
func (b *Backoff) Passed(l *Log) { b.end(l, true) }

// Quit ends the wait, however the store is.
func (b *Backoff) Quit(l *Log) { b.end(l, false) }

func (b *Backoff) end(l *Log, works bool) {
	if b.pause != 0 {
		b.pause = 0
		l.left(works)
	}
}

// Sleep waits for d. It returns false if ctx ends first.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

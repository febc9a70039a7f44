// Package outage makes operations wait while the store fails, and logs the outage.
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
	// calm is how long nobody must have waited before an outage is over: intermittent failures
	// are one line, not a hundred.
	calm = 10 * time.Second
)

// Log logs the outages of the store: once when one begins, now and then while it lasts, and
// once when it is over. An engine has one Log: however many runs wait, it is one outage.
type Log struct {
	log      *slog.Logger
	database fmt.Stringer

	mu       sync.Mutex
	waiting  int         // how many operations wait
	began    time.Time   // zero: there is no outage
	told     time.Time   // when it was last logged
	failures int         // since the outage began
	worked   time.Time   // when the store last worked for an operation that had waited
	over     *time.Timer // while nobody waits
}

// NewLog returns a Log of a database's outages.
func NewLog(log *slog.Logger, database fmt.Stringer) *Log { return &Log{log: log, database: database} }

// failed notes that an operation on the store has failed, or has failed again.
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

// left notes that an operation no longer waits. works says that the store works again.
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

// Present reports whether any operation waits.
func (l *Log) Present() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting > 0
}

// end logs that the outage is over, unless an operation waits again.
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

// Close logs the end of a past outage at once, without waiting for calm.
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

// Backoff is the wait of one user of the store: a run, the claims, the lease, a caller waiting
// for a result. It retries after growing pauses. The zero value does not wait.
type Backoff struct {
	pause int32 // the last one, in milliseconds; 0: the store works, as far as this user knows
}

// Waiting reports whether the store failed when it was last tried.
func (b *Backoff) Waiting() bool { return b.pause > 0 }

// Failed returns how long to wait before the store is tried again.
func (b *Backoff) Failed(l *Log, verb, runID string, err error) time.Duration {
	l.failed(verb, runID, err, b.pause != 0)
	pause := min(max(2*time.Duration(b.pause)*time.Millisecond, FirstPause), MostPause)
	b.pause = int32(pause.Milliseconds())
	return pause/2 + time.Duration(jitter.Fraction()*float64(pause/2)) // lest all try at the same moment
}

// Passed notes that the store works.
func (b *Backoff) Passed(l *Log) { b.end(l, true) }

// Quit ends the wait, whether or not the store works.
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

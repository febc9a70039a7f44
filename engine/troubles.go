package engine

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// remindEvery is how often the log repeats that the store still fails.
	remindEvery = time.Minute
	// calm is how long nobody has to have waited before troubles are over: failures
	// that come and go are one line, not a hundred.
	calm = 10 * time.Second
)

// troubles tells the log how the store is: once when somebody has to wait because it
// fails, now and then while that lasts, and once when it is over. There is one for an
// engine: however many runs wait, it is one trouble.
type troubles struct {
	log      *slog.Logger
	database fmt.Stringer

	mu       sync.Mutex
	stalled  int         // how many wait
	began    time.Time   // zero: there is no trouble
	told     time.Time   // when the log was told last
	failures int         // since it began
	worked   time.Time   // when the store last worked for somebody who had waited
	over     *time.Timer // while nobody waits
}

// failed notes that the store has failed somebody, or has again.
func (t *troubles) failed(verb, runID string, err error, again bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !again {
		t.stalled++
	}
	if t.over != nil {
		t.over.Stop()
	}
	now := time.Now()
	t.failures++
	t.worked = time.Time{}
	switch {
	case t.began.IsZero():
		t.began, t.told = now, now
		t.log.Error("the store fails: what needs it waits and tries again",
			"database", t.database.String(), "verb", verb, "run", runID, "error", err)
	case now.Sub(t.told) >= remindEvery:
		t.told = now
		t.log.Error("the store still fails", "database", t.database.String(), "since", t.began.UTC(), "waiting", t.stalled,
			"failures", t.failures, "verb", verb, "run", runID, "error", err)
	}
}

// left notes that somebody does not wait any more: because the store works, or not.
func (t *troubles) left(works bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if works {
		t.worked = time.Now()
	}
	if t.stalled--; t.stalled == 0 {
		t.over = time.AfterFunc(calm, t.end)
	}
}

// present reports whether somebody waits.
func (t *troubles) present() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stalled > 0
}

// end tells that the troubles are over, if nobody waits by now.
func (t *troubles) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stalled > 0 || t.began.IsZero() {
		return
	}
	if !t.worked.IsZero() {
		t.log.Info("the store works again", "database", t.database.String(), "since", t.began.UTC(),
			"took", t.worked.Sub(t.began).Round(time.Millisecond), "failures", t.failures)
	}
	t.began, t.failures = time.Time{}, 0
}

// close tells it at once: there is no later.
func (t *troubles) close() {
	t.mu.Lock()
	over := t.over
	t.mu.Unlock()
	if over != nil && over.Stop() {
		t.end()
	}
}

const (
	firstPause = 10 * time.Millisecond
	mostPause  = 5 * time.Second
)

// stall is one that needs the store: a run, the claims, the lease, somebody who waits
// for a result. It tries again after pauses that grow. The zero value does not wait.
type stall struct {
	pause time.Duration // the last one; 0: the store works, as far as is known here
}

// failed returns how long to wait before the store is tried again.
func (s *stall) failed(t *troubles, verb, runID string, err error) time.Duration {
	t.failed(verb, runID, err, s.pause != 0)
	s.pause = min(max(2*s.pause, firstPause), mostPause)
	return s.pause/2 + time.Duration(jitter()*float64(s.pause/2)) // lest all try in the same moment
}

// passed says that the store works.
func (s *stall) passed(t *troubles) { s.end(t, true) }

// quit ends the wait, however the store is.
func (s *stall) quit(t *troubles) { s.end(t, false) }

func (s *stall) end(t *troubles, works bool) {
	if s.pause != 0 {
		s.pause = 0
		t.left(works)
	}
}

// pauseFor waits for d. It returns false if ctx ends first.
func pauseFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

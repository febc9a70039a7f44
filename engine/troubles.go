package engine

import (
	"log/slog"
	"sync"
	"time"
)

// troubles logs failures of the store: the first at once, then one line every ten
// seconds with how many there were.
type troubles struct {
	mu    sync.Mutex
	last  time.Time
	count int
}

func (t *troubles) log(log *slog.Logger, verb, runID string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count++
	if time.Since(t.last) < 10*time.Second {
		return
	}
	log.Error("the store fails; will try again", "verb", verb, "run", runID, "failures", t.count, "error", err)
	t.last, t.count = time.Now(), 0
}

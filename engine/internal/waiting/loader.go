package waiting

import (
	"context"
	"slices"
	"sync"

	"github.com/tenter-dev/tenter/store"
)

// Loader loads from the store how runs have ended. While one batch is being loaded, new
// callers wait for the next, which is loaded for all of them at once. The zero value is ready.
type Loader struct {
	mu      sync.Mutex
	waiting []*batch
	loading bool
}

// batch is what one query loads for several callers.
type batch struct {
	ctx     context.Context //nolint:containedctx // of the first caller, without its cancellation
	runIDs  []string
	callers int // that still wait
	endings map[string]store.Ending
	err     error
	done    chan struct{}
}

// mostLoaded is how many runs a batch has at most: their results are in memory together, and
// arrive or fail together.
const mostLoaded = 16

// Load returns how a run has ended, if it has. It fails with store.ErrNotFound if there is no
// such run.
func (l *Loader) Load(ctx context.Context, s store.Reader, runID string) (store.Ending, error) {
	if err := ctx.Err(); err != nil {
		return store.Ending{}, err
	}
	mine := l.join(ctx, s, runID)
	select {
	case <-mine.done:
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		mine.callers--
		return store.Ending{}, ctx.Err()
	}
	end, ok := mine.endings[runID]
	if mine.err == nil && !ok {
		return end, store.ErrNotFound
	}
	return end, mine.err
}

// join adds a run to the next batch.
func (l *Loader) join(ctx context.Context, s store.Reader, runID string) *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.waiting)
	if n == 0 || len(l.waiting[n-1].runIDs) == mostLoaded {
		l.waiting = append(l.waiting, &batch{ctx: context.WithoutCancel(ctx), done: make(chan struct{})})
		n++
	}
	next := l.waiting[n-1]
	next.runIDs = append(next.runIDs, runID)
	next.callers++
	if !l.loading {
		l.loading = true
		go l.load(s)
	}
	return next
}

// load loads one batch after another until nobody waits.
func (l *Loader) load(s store.Reader) {
	for {
		l.mu.Lock()
		l.waiting = slices.DeleteFunc(l.waiting, func(w *batch) bool { return w.callers == 0 })
		if len(l.waiting) == 0 {
			l.loading = false
			l.mu.Unlock()
			return
		}
		now := l.waiting[0]
		l.waiting = slices.Delete(l.waiting, 0, 1) // Delete also clears the freed slot
		l.mu.Unlock()
		ends, err := s.Endings(now.ctx, now.runIDs)
		now.err, now.endings = err, make(map[string]store.Ending, len(ends))
		for _, end := range ends {
			now.endings[end.RunID] = end
		}
		close(now.done)
	}
}

package engine

import (
	"context"
	"slices"
	"sync"

	"github.com/tenter-dev/tenter/store"
)

// looks asks the store how runs have ended. While one look is under way, all who come wait
// for the next, which is taken for all of them at once.
type looks struct {
	mu      sync.Mutex
	waiting []*look
	taking  bool
}

// look is one that several wait for.
type look struct {
	ctx     context.Context //nolint:containedctx // of who came first, without its end
	runIDs  []string
	callers int // that still wait
	endings map[string]store.Ending
	err     error
	done    chan struct{}
}

// mostLooked is how many runs are looked at at once: their results are in memory together,
// and come or fail together.
const mostLooked = 16

// at returns how a run has ended, if it has. ErrNotFound if there is no such run.
func (l *looks) at(ctx context.Context, s store.Reader, runID string) (store.Ending, error) {
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

// join has a run looked at with the next look.
func (l *looks) join(ctx context.Context, s store.Reader, runID string) *look {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.waiting)
	if n == 0 || len(l.waiting[n-1].runIDs) == mostLooked {
		l.waiting = append(l.waiting, &look{ctx: context.WithoutCancel(ctx), done: make(chan struct{})})
		n++
	}
	next := l.waiting[n-1]
	next.runIDs = append(next.runIDs, runID)
	next.callers++
	if !l.taking {
		l.taking = true
		go l.take(s)
	}
	return next
}

// take takes one look after the other until nobody waits.
func (l *looks) take(s store.Reader) {
	for {
		l.mu.Lock()
		l.waiting = slices.DeleteFunc(l.waiting, func(w *look) bool { return w.callers == 0 })
		if len(l.waiting) == 0 {
			l.taking = false
			l.mu.Unlock()
			return
		}
		now := l.waiting[0]
		l.waiting = slices.Delete(l.waiting, 0, 1) // which keeps nothing of it
		l.mu.Unlock()
		ends, err := s.Endings(now.ctx, now.runIDs)
		now.err, now.endings = err, make(map[string]store.Ending, len(ends))
		for _, end := range ends {
			now.endings[end.RunID] = end
		}
		close(now.done)
	}
}

package engine

import (
	"context"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// claimLoop claims runs when somebody says that there may be some, and when the next
// one is due.
func (w *worker) claimLoop(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	defer w.stall.quit(&w.e.troubles)
	var due <-chan time.Time
	for {
		w.mu.Lock()
		next := w.next
		w.mu.Unlock()
		due = nil
		if wait := w.untilClaim(next); wait >= 0 {
			timer.Reset(wait)
			due = timer.C
		}
		select {
		case <-ctx.Done():
			return
		case <-w.rewind:
			continue
		case <-w.claims:
		case <-due:
		}
		if ctx.Err() != nil {
			return // both may be so
		}
		w.mu.Lock()
		w.next = time.Time{}
		w.mu.Unlock()
		w.claim(ctx)
	}
}

// slowPoll is how often a worker looks for runs though nobody has said anything: a
// signal of another process may have got lost, or a clock been set. It also asks for
// runs of its own that it does not know of then: a claim, or the birth of a run, that
// it had given up may have been carried out after all.
const slowPoll = 30 * time.Second

// untilClaim returns how long to wait before the next claim; less than 0: for ever.
func (w *worker) untilClaim(next time.Time) time.Duration {
	wait := time.Duration(-1)
	if !next.IsZero() {
		wait = max(0, next.Sub(w.store.Now()))
	}
	if w.store.Shared() && (wait < 0 || wait > slowPoll) {
		wait = slowPoll
	}
	return wait
}

// maxClaim is how many runs are claimed at once.
const maxClaim = 256

func (w *worker) claim(ctx context.Context) {
	room := w.e.opts.MaxRuns - int(w.bustling.Load())
	if room <= 0 || len(w.e.defs) == 0 {
		return // idle triggers the next claim
	}
	if _, err := w.lease.ensure(); err != nil {
		w.retryClaim(ctx, "renew the lease", err)
		return
	}
	if wait := w.lease.truceFor(); wait > 0 {
		w.stall.passed(&w.e.troubles)
		w.wakeAt(w.store.Now().Add(wait))
		return
	}
	limit, again := min(room, maxClaim), w.again.Swap(false)
	if w.store.Shared() && time.Since(w.recalled) >= slowPoll {
		again = true
	}
	if again {
		w.recalled = time.Now()
		limit += int(w.holding.Load()) // which come along
	}
	c, err := w.store.Claim(ctx, store.Claim{
		Worker:      w.id,
		Build:       w.build,
		Definitions: w.e.definitions,
		Limit:       limit,
		Now:         microseconds(w.store.Now()),
		Again:       again,
	})
	if err != nil {
		w.again.Store(true)
		w.retryClaim(ctx, "claim runs", err)
		return
	}
	w.stall.passed(&w.e.troubles)
	for i := range c.Runs {
		w.adopt(&c.Runs[i])
	}
	w.claimed.Store(true)
	if c.More && again {
		w.again.Store(true)
	}
	now := w.store.Now()
	switch {
	case len(c.Runs) > 0 && c.More:
		w.vain = 0
		w.trigger()
	case len(c.Runs) == 0 && (c.More || !c.Next.IsZero() && !c.Next.After(now)):
		// Others are faster, or the store's clock is behind this one. Asking again at
		// once would get the same answer.
		w.wakeAt(now.Add(min(firstPause<<w.vain, mostPause)))
		w.vain = min(w.vain+1, 10)
	default:
		w.vain = 0
		w.wakeAt(c.Next)
	}
}

// retryClaim waits, and has runs claimed again. What is claimed meanwhile would fail.
func (w *worker) retryClaim(ctx context.Context, verb string, err error) {
	if ctx.Err() == nil && pauseFor(ctx, w.stall.failed(&w.e.troubles, verb, "", err)) {
		w.trigger()
	}
}

// adopt gives a claimed run to its actor.
func (w *worker) adopt(r *store.Run) {
	for {
		w.mu.Lock()
		a := w.actors[r.ID]
		if a == nil {
			a = &actor{w: w, id: r.ID, workflow: r.Workflow, traced: w.ctx}
			w.actors[r.ID] = a
		}
		w.mu.Unlock()
		if a.post(arrival{at: w.store.Now(), claimed: r}) {
			return
		}
		w.remove(a) // it was on its way out
	}
}

// trigger has runs claimed soon.
func (w *worker) trigger() {
	select {
	case w.claims <- struct{}{}:
	default:
	}
}

// wakeAt has runs claimed at t, if not before. Zero is never.
func (w *worker) wakeAt(t time.Time) {
	if t.IsZero() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.next.IsZero() && !t.Before(w.next) {
		return
	}
	w.next = t
	select {
	case w.rewind <- struct{}{}:
	default:
	}
}

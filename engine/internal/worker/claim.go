package worker

import (
	"context"
	"slices"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/outage"
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

// claimLoop claims runs when signaled that there may be some, and when the next one is due.
func (w *Worker) claimLoop(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	defer w.backoff.Quit(w.outages)
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
			w.byNeed.Store(true)
		}
		if ctx.Err() != nil {
			return // both may be so
		}
		w.claim(ctx)
	}
}

// slowPoll is how often a worker looks for runs without a signal: one from another process may
// have been lost, or a clock may have been set. It then also asks for runs that it owns
// unknowingly: a claim, or the birth of a run, that it had given up on may have been carried
// out after all.
const slowPoll = 30 * time.Second

// untilClaim returns how long to wait before the next claim; a negative duration is forever.
func (w *Worker) untilClaim(next time.Time) time.Duration {
	wait := time.Duration(-1)
	if !next.IsZero() {
		wait = max(0, next.Sub(w.store.Now()))
	}
	if poll := max(0, slowPoll-time.Since(w.looked)); w.store.Shared() && (wait < 0 || wait > poll) {
		wait = poll
	}
	return wait
}

// maxClaim is how many runs are claimed at once.
const maxClaim = 256

// claim claims runs: those that have been named or, after trigger, the neediest of all that have
// something to do. It claims those that signals have just named optimistically.
func (w *Worker) claim(ctx context.Context) {
	room := w.opts.MaxRuns - int(w.busyActors.Load())
	w.mu.Lock()
	named, signaled := w.named, w.signaled
	w.named, w.signaled = nil, nil
	eager := w.eager.Swap(false) || len(named)+len(signaled) > room
	byNeed := w.byNeed.Swap(false) || eager
	if byNeed {
		w.next, w.looked = time.Time{}, time.Now()
	}
	var patience time.Duration
	if time.Since(w.yieldedAt) < slowPoll && !eager {
		patience = w.pace.moment()
	}
	w.mu.Unlock()
	if !byNeed && len(named)+len(signaled) == 0 {
		return // they were claimed with others
	}
	if room <= 0 || len(w.definitions) == 0 {
		w.eager.Store(true)
		return // idle triggers the next claim
	}
	if _, err := w.lease.ensure(); err != nil {
		w.retryClaim(ctx, "renew the lease", err)
		return
	}
	if wait := w.lease.truceFor(); wait > 0 {
		w.eager.Store(true)
		w.backoff.Passed(w.outages)
		w.wakeAt(w.store.Now().Add(wait))
		return
	}
	if !byNeed || patience > 0 {
		w.claimSignaled(ctx, named, signaled)
	}
	if byNeed {
		w.claimByNeed(ctx, room, patience)
	}
}

// claimSignaled claims the runs that signals have named.
func (w *Worker) claimSignaled(ctx context.Context, named, signaled []string) {
	if !w.innocent() {
		named, signaled = append(named, signaled...), nil
	}
	for _, run := range signaled {
		w.claimOptimistically(run)
	}
	if len(named) > 0 {
		w.claimNamed(ctx, named)
	}
}

// claimByNeed claims the neediest runs. With patience it leaves those to other workers that
// signals have just named to them: else all workers would take runs from each other, and each
// load their journals again.
func (w *Worker) claimByNeed(ctx context.Context, room int, patience time.Duration) {
	limit, again := min(room, maxClaim), w.again.Swap(false)
	if w.store.Shared() && time.Since(w.recalled) >= slowPoll {
		again = true
	}
	if again {
		w.recalled = time.Now()
		limit += int(w.owned.Load()) // owned runs come along
	}
	c, err := w.store.Claim(ctx, store.Claim{
		Worker:      w.id,
		Build:       w.opts.Build,
		Definitions: w.definitions,
		Limit:       limit,
		Now:         saturate.Time(w.store.Now()),
		Again:       again,
		Patience:    patience,
	})
	if err != nil {
		w.again.Store(true)
		w.retryClaim(ctx, "claim runs", err)
		return
	}
	w.backoff.Passed(w.outages)
	for i := range c.Runs {
		w.adopt(&c.Runs[i])
	}
	if w.setPaused(c.Paused) { // the claim has left out their runs, also those that this worker owns unknowingly
		w.again.Store(true)
		w.trigger()
	}
	w.claimed.Store(true)
	if c.More && again {
		w.again.Store(true)
	}
	now := w.store.Now()
	switch {
	case len(c.Runs) > 0 && c.More:
		w.vain = 0
		if patience == 0 {
			w.eager.Store(true)
		}
		w.trigger()
	case len(c.Runs) == 0 && (c.More || !c.Next.IsZero() && !c.Next.After(now)):
		// Other workers are faster, or the store's clock is behind ours. Asking again at once
		// would get the same answer.
		w.wakeAt(now.Add(min(outage.FirstPause<<w.vain, outage.MostPause)))
		w.vain = min(w.vain+1, 10)
	default:
		w.vain = 0
		w.wakeAt(c.Next)
	}
}

// A run that somebody else was at when this worker tried to claim it is left alone for
// firstBusyPause: most are only at its mail. If others still are at runs then, the next pause is twice
// as long, up to mostBusyPause.
const (
	firstBusyPause = 2 * time.Millisecond
	mostBusyPause  = 64 * time.Millisecond
)

// claimNamed claims runs that signals have named. They are new, or were parked, and looking at
// them alone costs less than looking for all that have something to do.
func (w *Worker) claimNamed(ctx context.Context, named []string) {
	slices.Sort(named)
	named = slices.Compact(named)
	c, err := w.store.Claim(ctx, store.Claim{
		Worker:      w.id,
		Build:       w.opts.Build,
		Definitions: w.definitions,
		Now:         saturate.Time(w.store.Now()),
		Runs:        named,
	})
	if err != nil {
		w.again.Store(true)
		w.retryClaim(ctx, "claim runs", err)
		return
	}
	w.backoff.Passed(w.outages)
	for i := range c.Runs {
		w.adopt(&c.Runs[i])
	}
	if len(c.Busy) > 0 {
		w.busyPause = min(max(2*w.busyPause, firstBusyPause), mostBusyPause)
		time.AfterFunc(w.busyPause, func() { w.name(c.Busy...) })
	} else {
		w.busyPause = 0
	}
	w.wakeAt(c.Next)
	if w.store.Shared() { // others may have got some and may die
		w.wakeAt(w.store.Now().Add(w.opts.Lease))
	}
}

// innocent reports whether it is known that no run of this worker may have killed another one.
// Until then, a run has to be this worker's durably before its code executes: if the code of
// another run kills the worker, only innocent runs are suspected.
func (w *Worker) innocent() bool { return w.claimed.Load() && w.suspect.Load() == 0 }

// claimOptimistically executes a run that a signal has named and that is free in all likelihood.
// The run's next transition claims it; nothing that its code asks for begins before that. If the
// code takes long to get there, a claim comes first after all.
func (w *Worker) claimOptimistically(run string) {
	w.mu.Lock()
	if w.actors[run] != nil { // it may be about to end
		w.mu.Unlock()
		w.name(run)
		return
	}
	a := &actor{w: w, id: run, traced: w.ctx, optimistic: &optimisticClaim{
		signaled: time.Now(),
		overdue:  time.AfterFunc(w.pace.moment()/2, func() { w.name(run) }), // before others claim it
	}}
	w.actors[run] = a
	w.mu.Unlock()
	a.notify()
}

// retryClaim waits, then triggers another claim. A claim in the meantime would fail.
func (w *Worker) retryClaim(ctx context.Context, verb string, err error) {
	w.eager.Store(true)
	if ctx.Err() == nil && outage.Sleep(ctx, w.backoff.Failed(w.outages, verb, "", err)) {
		w.trigger()
	}
}

// adopt gives a claimed run to its actor.
func (w *Worker) adopt(r *store.Run) {
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
		w.remove(a) // the actor was ending
	}
}

// name makes claimLoop claim the named runs soon, if they have something to do.
func (w *Worker) name(runs ...string) {
	w.mu.Lock()
	if w.named = append(w.named, runs...); len(w.named) > maxClaim {
		w.named = nil
		w.eager.Store(true)
	}
	w.mu.Unlock()
	w.rouse()
}

// signal makes claimLoop claim a run that a signal has named optimistically.
func (w *Worker) signal(run string) {
	w.mu.Lock()
	if w.signaled = append(w.signaled, run); len(w.signaled) > maxClaim {
		w.signaled = nil
		w.eager.Store(true)
	}
	w.mu.Unlock()
	w.rouse()
}

// yield leaves runs to the workers that come before this one, each for a moment.
func (w *Worker) yield(runs []string, before int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if before > mostYield {
		return
	}
	if !w.yielding {
		w.yielding = true
		time.AfterFunc(yieldTick, w.claimYielded)
	}
	until := time.Now().Add(time.Duration(before) * w.pace.moment())
	for _, id := range runs {
		w.yielded[id] = until
	}
}

// claimYielded names the runs that were left to others for long enough.
func (w *Worker) claimYielded() {
	w.mu.Lock()
	now := time.Now()
	var runs []string
	for id, until := range w.yielded {
		if !now.Before(until) {
			runs = append(runs, id)
			delete(w.yielded, id)
		}
	}
	if w.yielding = len(w.yielded) > 0; w.yielding {
		time.AfterFunc(yieldTick, w.claimYielded)
	}
	w.mu.Unlock()
	if len(runs) > 0 {
		w.name(runs...)
	}
}

// trigger makes claimLoop claim soon whichever runs have something to do.
func (w *Worker) trigger() {
	w.byNeed.Store(true)
	w.rouse()
}

// rouse wakes claimLoop.
func (w *Worker) rouse() {
	select {
	case w.claims <- struct{}{}:
	default:
	}
}

// wakeAt makes claimLoop claim at t, if not before. Zero is never.
func (w *Worker) wakeAt(t time.Time) {
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

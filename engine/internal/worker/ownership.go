package worker

import (
	"slices"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/outage"
	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/store"
)

// own records whether this worker owns the run.
func (a *actor) own(owned bool) {
	if a.owned != owned {
		a.owned = owned
		a.w.countOwned(owned)
	}
	if suspect := owned && a.head.Suspicion > 0; a.suspect != suspect {
		a.suspect = suspect
		a.w.countSuspect(suspect)
	}
	if !owned && a.alarm != nil {
		a.alarm.Stop()
	}
}

// claimed makes this worker the owner. If the run is as the actor remembers it, it continues
// without a replay. claimed reports whether there may be mail.
func (a *actor) claimed(r *store.Run) bool {
	if r.Epoch <= a.head.Epoch {
		return !a.owned // the run came along with others, or long ago if it is not at work here
	}
	changed := (r.Epoch != a.head.Epoch+1 || r.Events != a.head.Events) && !planted.ParkedKept.Here()
	switch {
	case a.x == nil:
	case r.Suspicion >= suspicious, changed && !a.canCatchUp(r):
		a.forget()
	case changed:
		a.goStale()
	}
	a.head = *r
	a.seq = 0
	a.settled()
	a.name(r.Workflow)
	a.own(true)
	return true
}

// canCatchUp reports whether the execution can be brought to where a run is now: nothing may be
// under way, nor depend on more than events.
func (a *actor) canCatchUp(now *store.Run) bool {
	return a.x != nil && len(a.attempts) == 0 && a.quarantine == nil && !a.x.Finished() && a.x.Pending() == 0 && !a.x.Backlogged() &&
		now.Generation == a.head.Generation && now.Version == a.head.Version && now.Events >= a.x.Position()
}

// goStale notes that others have had the run since the last transition of this actor.
func (a *actor) goStale() {
	if l := a.lives(); l.stale == 0 {
		l.stale = a.head.Epoch
	}
}

// stale returns the epoch as of which the execution is true if others have had the run since,
// and else 0.
func (a *actor) stale() int64 {
	if a.longevity == nil {
		return 0
	}
	return a.longevity.stale
}

// name notes the run's workflow, once: the watchdog reads it.
func (a *actor) name(workflow string) {
	if a.workflow == "" {
		a.workflow = workflow
	}
}

// settled notes that a run that was to be claimed optimistically has been claimed.
func (a *actor) settled() {
	if c := a.optimistic; c != nil {
		a.optimistic = nil
		c.overdue.Stop()
		a.w.pace.took(time.Since(c.signaled))
	}
}

// claimWaits reports whether this worker has claimed the run while the actor was at work.
func (a *actor) claimWaits() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.inbox, func(in arrival) bool { return in.claimed != nil })
}

// claimedMeanwhile takes the claim from a transition if this worker has claimed the run since it
// was loaded.
func (a *actor) claimedMeanwhile(t *store.Transition) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, in := range a.inbox {
		if r := in.claimed; r != nil && r.Epoch == t.Epoch && r.Events == t.After {
			a.inbox = slices.Delete(a.inbox, i, i+1)
			a.head.Epoch, t.Claim = r.Epoch, false
			a.settled()
			a.own(true)
			return
		}
	}
}

// foreign reports whether another worker owns a run.
func (a *actor) foreign(r *store.Run) bool { return r.Worker != "" && r.Worker != a.w.id }

// claimable reports whether a run is free, and can be claimed optimistically.
func (a *actor) claimable(r *store.Run) bool {
	return r.Worker == "" && (r.Status == store.Running || r.Status == store.Waiting) && r.Suspicion == 0 && r.Crashes == 0 && !r.Mark && a.w.definition(r.Workflow, r.Version) != nil
}

// idle reports whether a run has nothing to do any more: others were faster, or it is paused.
func (a *actor) idle(l *store.Loaded) bool {
	due := len(l.Mail) > 0 || !l.Run.WakeAt.IsZero() && !l.Run.WakeAt.After(a.w.store.Now())
	return !due || l.Run.Status.Ended() || l.Run.Paused != nil
}

// passOver gives up a run that could not be claimed optimistically. What is cached of it stays.
func (a *actor) passOver() {
	if a.x != nil {
		a.optimistic.overdue.Stop()
		a.optimistic, a.longevity.stale = nil, 0
	} else {
		a.leave(nil)
	}
}

// leaveToOwner leaves a run to the worker that has claimed it, which the signals reach too. If
// that worker dies, a claim gets the run when the lease lapses. Nothing remains to be done for a
// run that is idle. Signals that have come meanwhile may be about mail that came after the other
// worker was done.
func (a *actor) leaveToOwner(idle bool) {
	a.mu.Lock()
	signaled := a.gone && a.hasMail // an actor that stays sees to that itself
	a.mu.Unlock()
	switch w := a.w; {
	case !w.store.Shared():
		if !idle || signaled {
			w.name(a.id)
		}
	case signaled:
		w.yield([]string{a.id}, 1)
	case !idle:
		w.wakeAt(w.store.Now().Add(w.opts.Lease))
	}
}

// forget discards the execution. Attempts go on, for the next execution to find.
func (a *actor) forget() {
	a.w.unindexHooks(a)
	if a.x != nil {
		a.x.Close()
		a.x, a.schedule = nil, schedule{}
	}
	if a.longevity != nil {
		a.longevity.stale = 0
	}
}

// leave ends the actor: another worker owns the run, or no one here does. Deliveries go
// through the mailbox.
func (a *actor) leave(inbox []arrival) {
	a.mu.Lock()
	a.gone = true
	inbox = append(inbox, a.inbox...)
	a.inbox = nil
	a.mu.Unlock()
	a.w.remove(a)
	a.forget()
	for _, at := range a.attempts {
		at.abandon()
	}
	if a.start != nil {
		a.start.done <- ErrDeclined
		a.start = nil
	}
	a.leaveQuarantine()
	a.endHolding()
	if a.optimistic != nil {
		a.optimistic.overdue.Stop()
	}
	a.own(false)
	a.backoff.Quit(a.w.outages)
	for _, in := range inbox {
		if in.delivery != nil {
			in.delivery.done <- ErrDeclined
		}
		switch r := in.claimed; {
		case r == nil:
		case r.Epoch > a.head.Epoch && a.w.ctx.Err() == nil: // it came too late for this actor
			a.w.adopt(r)
		default:
			a.w.again.Store(true) // this worker owns the run, and no actor continues it
			a.w.trigger()
		}
	}
}

// endHolding notes that the run may go on, or is given up.
func (a *actor) endHolding() {
	if a.held {
		a.held = false
		a.w.mu.Lock()
		defer a.w.mu.Unlock()
		delete(a.w.holding, a)
	}
}

// troubled waits before the store is tried again. Meanwhile deliveries go through the mailbox,
// where their senders learn of the trouble.
func (a *actor) troubled(verb string, err error) {
	a.forget()
	a.declineInbox()
	if a.w.ctx.Err() != nil {
		a.leave(nil)
		return
	}
	if !outage.Sleep(a.w.ctx, a.backoff.Failed(a.w.outages, verb, a.id, err)) {
		a.leave(nil)
	}
}

// fenced gives the run up, unless this worker itself has claimed it meanwhile.
func (a *actor) fenced() {
	a.forget()
	mine := a.claimWaits()
	if a.owned && !mine {
		a.w.tel.Lost(a.traced)
	}
	a.own(false)
	switch {
	case mine:
	case a.optimistic != nil:
		a.passOver()
		a.leaveToOwner(false)
	default:
		a.leave(nil)
		a.leaveToOwner(false)
	}
}

// unborn gives up the run that is to be created: another one has its ID, which this worker may have
// claimed.
func (a *actor) unborn() {
	a.forget()
	a.start.done <- store.ErrExists
	a.start, a.head = nil, store.Run{}
}

// startOver makes the run continue from its state in the store: a caller has taken back what
// the code was given.
func (a *actor) startOver() {
	if a.start != nil { // the caller writes the run, with a message, to the store
		a.start, a.head = nil, store.Run{}
		a.fenced()
		return
	}
	a.forget()
	a.markMail()
}

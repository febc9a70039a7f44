package worker

import (
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/waiting"
	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/store"
)

// commit writes a transition, under a valid lease if this worker owns the run or is to own it
// afterwards.
func (a *actor) commit(t *store.Transition) ([]store.Outcome, error) {
	if t.Claim {
		a.claimedMeanwhile(t)
	}
	lapses := a.lapses
	if t.Keep || a.owned {
		var err error
		if lapses, err = a.w.lease.ensure(); err != nil {
			return nil, fmt.Errorf("%w: %w", errUnleased, err)
		}
	}
	a.ending.Store(t.Status.Ended())
	outcomes, err := a.w.store.Apply(a.w.ctx, t)
	if err != nil {
		a.ending.Store(false)
		return nil, err
	}
	a.lapses = lapses
	a.w.applied(t)
	a.backoff.Passed(a.w.outages)
	return outcomes, nil
}

// responding makes callers waiting for a transition's responses wait for the commit or, once
// its outcome may be unknown, look for themselves.
func (b *batch) responding(committing bool) {
	for i := range b.effects {
		if e := &b.effects[i]; e.Kind == store.Respond && !e.Again {
			if planted.CallAnsweredEarly.Here() && committing {
				b.a.w.waits.Deliver(waiting.ResponseTo(e.Response.Request), &e.Response, false)
			}
			b.a.w.waits.Expect(waiting.ResponseTo(e.Response.Request), committing)
		}
	}
}

// responded gives the responses of a transition to the callers waiting for them.
func (b *batch) responded(outcomes []store.Outcome) {
	for i := range outcomes {
		switch e := &b.effects[i]; {
		case e.Kind != store.Respond || e.Again:
		case outcomes[i].Conflict != "":
			b.a.w.waits.Expect(waiting.ResponseTo(e.Response.Request), false)
		default:
			b.a.w.waits.Deliver(waiting.ResponseTo(e.Response.Request), &e.Response, false)
		}
	}
}

// committed does what had to wait for the transition to be durable.
func (b *batch) committed(t *store.Transition, outcomes []store.Outcome) {
	a, x := b.a, b.a.x
	a.head.Epoch = t.Epoch
	a.settled()
	a.head.Events += int64(len(t.Events))
	a.head.Suspicion, a.head.Crashes, a.head.Mark = t.Suspicion, t.Crashes, false
	a.head.Status, a.head.Version = t.Status, t.Version
	b.report(t)
	x.CommittedBacklogs()
	a.own(t.Keep)
	if a.start != nil {
		a.start.done <- nil
		a.start = nil
	}
	for _, o := range b.deliveries {
		o.done <- nil
	}
	x.Log()
	for _, ref := range b.resolved {
		a.attempts[ref].abandon()
		delete(a.attempts, ref)
	}
	for _, at := range b.show {
		at.shown = true
	}
	a.w.follow(a)
	b.responded(outcomes)
	if t.Status.Ended() {
		a.w.ended(a, t)
		a.leave(nil)
		return
	}
	if t.Restart != nil {
		a.restarted()
		return
	}
	a.warn()
	for i, o := range outcomes {
		if e := b.effects[i].Outcome(o); e != nil {
			a.arrive(arrival{at: a.w.store.Now(), event: e})
		}
	}
	for _, ref := range x.Drains() {
		if planted.DrainUnread.Here() {
			a.arrive(arrival{at: a.w.store.Now(), event: &store.Event{Kind: store.HookDrained, Ref: ref}})
			continue
		}
		a.markMail()
	}
	b.stopCanceled()
	if !t.WakeAt.IsZero() && !t.Keep {
		a.w.wakeAt(t.WakeAt)
	}
	a.setAlarm(b.next)
	b.start()
	if a.quarantine != nil && len(a.attempts) == 0 {
		a.leaveQuarantine()
	}
	if !a.owned && a.head.Suspicion >= suspicious {
		a.leave(nil) // the run has to pass the quarantine again
		a.w.trigger()
	}
}

// stopCanceled stops the attempts of canceled steps, once what canceled them is durable.
func (b *batch) stopCanceled() {
	a := b.a
	for _, at := range b.stop {
		at.stop()
		if s := a.schedule.get(at.ref); s != nil {
			at.canceled = s.canceled
		}
		at.grace = time.AfterFunc(a.w.opts.StepGrace, func() { a.post(arrival{at: a.w.store.Now(), overdue: at}) })
	}
}

// start begins the steps that the durable transition decided to begin.
func (b *batch) start() {
	if len(b.begin) == 0 {
		return
	}
	a := b.a
	lapses, err := a.w.lease.ensure()
	switch {
	case err != nil:
		a.troubled("renew the lease", err)
		a.markMail()
		return
	case lapses != a.lapses: // the run may have been taken over
		a.markMail()
		return
	}
	for _, s := range b.begin {
		a.begin(s)
	}
}

// refused reports whether a transition that failed with err was not written: the code that asked
// for it executes again. Any other error leaves it unknown.
func refused(err error) bool {
	for _, known := range []error{store.ErrExists, store.ErrFenced, store.ErrPaused, store.ErrConflict, store.ErrOldWorker, errUnleased} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// failed handles a transition that was not written, or possibly was.
func (b *batch) failed(t *store.Transition, err error) {
	a := b.a
	switch {
	case errors.Is(err, store.ErrExists) && a.start != nil:
		a.unborn()
		a.fenced()
	case errors.Is(err, store.ErrFenced):
		b.decline()
		a.fenced()
	case errors.Is(err, store.ErrPaused):
		b.decline()
		a.hold(nil)
	case errors.Is(err, store.ErrConflict):
		b.decline()
		a.forget()
		a.markMail()
	case errors.Is(err, store.ErrOldWorker):
		b.decline()
		a.troubled("go on with the run", err)
		a.markMail()
	case errors.Is(err, errUnleased):
		b.decline()
		a.troubled("renew the lease", err)
		a.markMail()
	default:
		b.resolveUnknown(t, err)
	}
}

// decline makes callers send their deliveries through the mailbox.
func (b *batch) decline() {
	for _, o := range b.deliveries {
		o.done <- ErrDeclined
	}
}

// warnEvents is the length of a journal at which a warning is logged, and again each time that
// it doubles.
const warnEvents = 20_000

func (a *actor) warn() {
	events := a.head.Events - a.head.Base
	if events < warnEvents {
		return
	}
	if l := a.lives(); events >= 2*l.warned {
		l.warned = events
		a.logger().WarnContext(a.traced, "the journal is getting long, and replays take time: let the workflow restart when workflow.RestartDue says so",
			"events", events)
	}
}

// block parks the run until a worker of another build takes it up, or somebody
// retries it.
func (a *actor) block(inbox []arrival, reason string) {
	a.forget()
	if a.start != nil {
		a.leave(inbox) // it is started through the mailbox, and the worker that claims it blocks it
		return
	}
	a.logger().ErrorContext(a.traced, "run is blocked", "reason", reason)
	a.w.tel.Blocked(a.traced, a.head.Workflow)
	for {
		t := a.transition(store.Blocked)
		t.BlockedBuild, t.BlockedReason = a.w.opts.Build, reason
		t.WakeAt = t.At
		t.Suspicion, t.Crashes = 0, 0
		_, err := a.commit(t)
		switch {
		case errors.Is(err, store.ErrConflict):
			a.putBack(inbox)
			a.markMail()
			return
		case errors.Is(err, store.ErrPaused):
			a.hold(inbox)
			return
		case err == nil, errors.Is(err, store.ErrFenced):
			a.leave(inbox)
			return
		}
		l, known := a.clarify(t, err, func(error) {})
		if !known || l.Run.Worker != a.w.id {
			a.leave(inbox)
			return
		}
		a.head = l.Run
		a.settled()
		a.own(true)
	}
}

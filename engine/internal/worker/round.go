package worker

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

func (a *actor) loop() {
	growStack()
	for {
		a.mu.Lock()
		inbox, hasMail := a.inbox, a.hasMail
		if (len(inbox) == 0 && !hasMail && (a.x != nil || a.held)) || a.gone {
			a.active = false
			victim := a.w.idle(a)
			a.mu.Unlock()
			if victim != nil {
				victim.evict()
			}
			return
		}
		a.inbox, a.hasMail = nil, false
		a.mu.Unlock()
		a.round(inbox, hasMail)
	}
}

// growStack grows the stack of a new goroutine while it is almost empty. Deep in a round,
// where it would grow otherwise, copying it takes as long as encoding a transition.
//
//go:noinline
func growStack() {
	var room [4 << 10]byte
	runtime.KeepAlive(&room)
}

// round takes in what has arrived. What can't be taken in now is put back.
func (a *actor) round(inbox []arrival, hasMail bool) {
	for _, in := range inbox {
		if in.claimed != nil {
			if a.start != nil {
				a.unborn()
			}
			hasMail = a.claimed(in.claimed) || hasMail
		}
	}
	if a.held {
		if inbox, hasMail = a.keepHolding(inbox, hasMail); !hasMail {
			return
		}
	}
	if a.start == nil && !a.owned && a.optimistic == nil && a.x == nil {
		a.leave(inbox) // the worker that claims the run continues it
		a.w.trigger()
		return
	}
	var mail []store.Message
	switch {
	case a.start != nil:
		mail = a.born()
	case a.x == nil || a.stale() != 0:
		var ok bool
		if mail, inbox, ok = a.rebuild(inbox); !ok {
			return
		}
	case hasMail:
		var ok bool
		if mail, ok = a.readMail(inbox); !ok {
			return
		}
	}
	a.advance(mail, inbox)
}

// rebuild replays the journal of a run that this worker owns, or what a stale execution has not
// seen of it. It returns the mail, and the arrivals that still count.
func (a *actor) rebuild(inbox []arrival) (mail []store.Message, left []arrival, ok bool) {
	if a.backoff.Waiting() { // spare a replay while nothing can be written
		if _, err := a.w.lease.ensure(); err != nil {
			a.putBack(inbox)
			a.troubled("renew the lease", err)
			return nil, nil, false
		}
	}
	lapses := a.w.lease.lapses.Load()
	l, err := a.w.store.Load(a.w.ctx, a.id, a.known())
	if err != nil {
		a.putBack(inbox)
		if errors.Is(err, store.ErrNotFound) {
			a.leave(nil)
		} else {
			a.troubled("load the run", err)
		}
		return nil, nil, false
	}
	switch {
	case a.optimistic != nil && l.Run.Worker == a.w.id && a.claimWaits():
		a.putBack(inbox)
		return nil, nil, false
	case a.optimistic != nil && l.Run.Worker == a.w.id && !a.idle(&l):
		declineAll(inbox)
		a.passOver()
		a.w.again.Store(true) // it was paused when this worker asked for all that it owns
		a.w.trigger()
		return nil, nil, false
	case a.optimistic != nil && (a.idle(&l) || a.foreign(&l.Run)): // others were faster
		declineAll(inbox)
		a.passOver()
		a.leaveToOwner(a.idle(&l))
		return nil, nil, false
	case a.optimistic != nil && (!a.claimable(&l.Run) || a.x == nil && len(l.Events) == 0 && l.Run.Events > l.Run.Base):
		declineAll(inbox)
		a.passOver()
		a.w.name(a.id)
		return nil, nil, false
	case a.optimistic != nil:
		a.name(l.Run.Workflow)
		// Another worker may begin the same epoch at the same time.
		a.seq = rand.Int64N(1 << 50) //nolint:gosec // nobody has to guess it
	case l.Run.Epoch != a.head.Epoch || l.Run.Status.Ended() || a.foreign(&l.Run):
		a.leave(inbox)
		a.leaveToOwner(l.Run.Status.Ended())
		return nil, nil, false
	}
	news := l.Events
	if a.x != nil {
		var ok bool
		if news, ok = a.news(&l); !ok {
			a.forget()
			return a.rebuild(inbox)
		}
	}
	a.lapses = lapses
	a.head = l.Run
	a.own(l.Run.Worker == a.w.id)
	if l.Run.Paused != nil {
		a.hold(inbox)
		return nil, nil, false
	}
	if n := len(l.Events); n > 0 && l.Events[n-1].Epoch == a.head.Epoch {
		a.seq = max(a.seq, l.Events[n-1].Seq) // the epoch is the same
	}
	if a.def = a.w.definition(l.Run.Workflow, l.Run.Version); a.def == nil {
		a.block(inbox, journal.ReasonNoDefinition(l.Run.Workflow))
		return nil, nil, false
	}
	if !a.enterQuarantine(inbox) {
		return nil, nil, false
	}
	if a.x == nil {
		a.x = a.newExecution()
	} else {
		a.longevity.stale = 0
	}
	x := a.x
	if d := a.replay(news); d != nil {
		a.block(inbox, d.String())
		return nil, nil, false
	}
	x.Rejoin(l.Backlog)
	x.Reask()
	// The attempts have the results, and asking again gives the outcomes.
	left = slices.DeleteFunc(inbox, func(in arrival) bool {
		at := a.attempts[in.resultRef()]
		return in.delivery == nil && (at == nil || at.result != nil)
	})
	a.schedule.takenOver(a.w.store.Now())
	for _, s := range a.schedule.steps {
		if s.marked > 0 && a.attempts[s.ref] == nil {
			left = append(left, arrival{at: a.w.store.Now(), crashed: s.ref})
		}
		if at := a.attempts[s.ref]; at != nil && at.result != nil {
			left = append(left, arrival{at: at.result.at, result: at.result})
		}
	}
	slices.SortStableFunc(left, func(x, y arrival) int { return x.at.Compare(y.at) })
	a.mailRead, a.moreMail = true, l.More
	if a.quarantine != nil {
		a.quarantine.suspects = a.schedule.refs()
	}
	for ref, at := range a.attempts {
		if a.schedule.get(ref) == nil && at.result != nil {
			delete(a.attempts, ref)
		}
	}
	return l.Mail, left, true
}

func (a *actor) replay(events []store.Event) *execution.Divergence {
	began := time.Now()
	a.turnSince.Store(began.UnixNano())
	defer a.turnSince.Store(0)
	for i := range events {
		if d := a.x.Replay(&events[i]); d != nil {
			return d
		}
		a.fold(&events[i], true)
	}
	a.w.tel.Replayed(a.traced, a.head.Workflow, len(events), time.Since(began))
	return nil
}

// readMail loads the mail of a live run, and checks that the run is as the actor remembers it.
func (a *actor) readMail(inbox []arrival) ([]store.Message, bool) {
	lapses := a.w.lease.lapses.Load()
	l, err := a.w.store.Load(a.w.ctx, a.id, a.head.Events)
	switch {
	case errors.Is(err, store.ErrNotFound):
		a.leave(inbox)
		return nil, false
	case err != nil:
		a.putBack(inbox)
		a.troubled("read the mailbox", err)
		return nil, false
	case l.Run.Worker == a.w.id && a.claimWaits():
		a.putBack(inbox)
		a.markMail()
		return nil, false
	case l.Run.Epoch != a.head.Epoch || l.Run.Events != a.head.Events || l.Run.Status.Ended() || a.foreign(&l.Run):
		if a.others(&l) {
			declineAll(inbox)
			return nil, false
		}
		if a.owned {
			a.w.lost.Add(1)
			a.w.tel.Lost(a.traced)
		}
		a.leave(inbox)
		a.leaveToOwner(l.Run.Status.Ended())
		return nil, false
	case l.Run.Paused != nil:
		a.own(l.Run.Worker == a.w.id)
		a.hold(inbox)
		return nil, false
	}
	a.lapses, a.mailRead, a.moreMail = lapses, true, l.More
	a.own(l.Run.Worker == a.w.id)
	return l.Mail, true
}

// born makes the execution of a run that begins here, and its first message.
func (a *actor) born() []store.Message {
	a.start.release()
	n := a.start.run
	at := a.w.store.Now()
	a.head = store.Run{
		ID: n.ID, Workflow: n.Workflow, Version: n.Version, Secret: n.Secret, Trace: n.Trace,
		CreatedAt: at, Epoch: 1,
	}
	a.x = a.newExecution()
	return []store.Message{{Kind: store.Started, Data: n.Input, Actor: n.Actor, AcceptedAt: saturate.Time(at)}}
}

func (a *actor) newExecution() *execution.Execution {
	a.traced = a.w.tel.Within(a.w.ctx, &a.head)
	return execution.New(a.traced, &a.head, a.def, a.w.env, a.w.log)
}

// wake is called with a.mu held.
func (a *actor) wake() {
	if !a.active {
		a.active = true
		a.w.busy(a)
		go a.loop()
	}
}

// enterQuarantine waits for the run's turn in quarantine, if it belongs there. It returns
// false if the run was given up.
func (a *actor) enterQuarantine(inbox []arrival) bool {
	if a.quarantine != nil || a.head.Suspicion < suspicious {
		return true
	}
	if a.head.Crashes >= maxCrashes {
		a.block(inbox, journal.ReasonKilledWorkers(int(a.head.Crashes)))
		return false
	}
	if !a.probation() {
		a.leave(inbox)
		return false
	}
	a.quarantine = &quarantine{leave: sync.OnceFunc(func() { <-a.w.quarantineSlot })}
	t := a.transition(store.Running)
	t.Mark, t.Keep, t.WakeAt = true, true, saturate.Time(a.w.store.Now())
	if _, err := a.commit(t); err != nil {
		a.leaveQuarantine()
		switch {
		case errors.Is(err, store.ErrFenced):
			a.leave(inbox)
			return false
		case errors.Is(err, store.ErrPaused):
			a.hold(inbox)
			return false
		case !errors.Is(err, store.ErrConflict):
			if l, known := a.clarify(t, err, func(error) {}); known {
				a.settle(t, &l)
			}
			if a.isGone() {
				a.leave(inbox)
				return false
			}
		}
		a.putBack(inbox)
		a.markMail()
		return false
	}
	a.logger().WarnContext(a.traced, "run is in quarantine: its worker died more than once")
	return true
}

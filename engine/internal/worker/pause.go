package worker

import (
	"errors"
	"slices"

	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/store"
)

// A run that is paused goes on nowhere: the store refuses its transitions, and nobody claims it. Its
// owner, who learns of the pause by a signal, from what it loads, or because a transition is refused,
// discards the execution and begins no attempt. Those under way return; their outcomes are deposited
// in the mailbox, and when there are no more the run is given up. Whoever claims it once it is resumed
// finds them like any message.

// hold begins to hold the run up. An actor that does not own the run ends.
func (a *actor) hold(inbox []arrival) {
	switch {
	case a.optimistic != nil && a.claimWaits():
		a.forget()
		a.putBack(inbox)
		return
	case a.optimistic != nil:
		a.forget()
		a.putBack(inbox)
		a.passOver()
		return
	case !a.owned:
		a.leave(inbox) // a run that is born here is started through the mailbox
		return
	}
	a.forget()
	a.logger().DebugContext(a.traced, "run is paused", "executing", len(a.attempts))
	h := a.beginHolding()
	if a.alarm != nil {
		a.alarm.Stop()
	}
	for _, at := range a.attempts {
		at.halted.Store(true)
		if at.result != nil { // the transition that was refused had it
			h.returned(a, at)
		}
	}
	a.putBack(inbox)
	a.deposit(h, nil)
}

// keepHolding is a round of an actor whose run is paused. It returns the arrivals that count, and whether
// the run may go on, and is to be rebuilt.
func (a *actor) keepHolding(inbox []arrival, look bool) (left []arrival, resumed bool) {
	declineAll(inbox)
	inbox = slices.DeleteFunc(inbox, func(in arrival) bool { return in.delivery != nil })
	h := a.w.held(a)
	if !a.deposit(h, inbox) {
		return nil, false
	}
	return inbox, look && a.resumed(h)
}

// deposit deposits what attempts have come to, and gives the run up if there are no more. It returns
// false if it has, or if the store has failed.
func (a *actor) deposit(h *holding, inbox []arrival) bool {
	for _, in := range inbox {
		switch {
		case in.result != nil:
			if at := a.attempts[in.result.ref]; at != nil && at.number == in.result.number {
				at.result = in.result
				h.returned(a, at)
			}
		case in.overdue != nil && a.attempts[in.overdue.ref] == in.overdue:
			h.overdue(a, in.overdue)
		}
	}
	d := store.Deposit{RunID: a.id, Worker: a.w.id, Epoch: a.head.Epoch, Outcomes: h.outcomes, Release: len(a.attempts) == 0}
	if len(d.Outcomes) == 0 && !d.Release {
		return true
	}
	switch err := a.w.store.Deposit(a.w.ctx, d); {
	case err == nil:
		a.backoff.Passed(a.w.outages)
		h.outcomes = nil
		if d.Release {
			a.leave(nil)
		}
		return !d.Release
	case errors.Is(err, store.ErrFenced), errors.Is(err, store.ErrNotFound):
		a.w.tel.Lost(a.traced)
		a.leave(nil)
		a.w.trigger()
	default:
		h.unsure = true // a repeat does no harm: a step gets no second outcome
		a.troubled("deposit outcomes of a paused run", err)
		a.markMail()
	}
	return false
}

// returned notes the outcome of an attempt that has returned, if it has one.
func (h *holding) returned(a *actor, at *attempt) {
	at.abandon()
	delete(a.attempts, at.ref)
	e := a.stepEvent(at.scheduled(), at.result)
	if e == nil || at.result.message != 0 { // a transactional step's is in the mailbox
		return
	}
	if !planted.PausedOutcomeLost.Here() {
		h.outcomes = append(h.outcomes, store.Message{Kind: e.Kind, Ref: e.Ref, Data: e.Data})
	}
}

// overdue notes that a canceled attempt does not return.
func (h *holding) overdue(a *actor, at *attempt) {
	at.abandon()
	delete(a.attempts, at.ref)
	e := at.scheduled().unreturned(a.w.opts.StepGrace)
	h.outcomes = append(h.outcomes, store.Message{Kind: e.Kind, Ref: e.Ref, Data: e.Data})
}

// scheduled is the step of an attempt, as it was when the attempt began.
func (at *attempt) scheduled() *scheduled {
	return &scheduled{ref: at.ref, spec: at.spec, attempts: at.number - 1, canceled: at.canceled}
}

// resumed looks whether a run that is held up may go on.
func (a *actor) resumed(h *holding) bool {
	l, err := a.w.store.Load(a.w.ctx, a.id, a.head.Events)
	if err == nil && h.unsure && l.Run.Paused == nil {
		// A deposit that is written only now would be a second outcome of a step that has gone on.
		l, err = a.w.store.Fence(a.w.ctx, a.id, a.w.id, a.head.Epoch)
		if err == nil && l.Run.Worker == a.w.id && l.Run.Epoch == a.head.Epoch+1 {
			a.head.Epoch = l.Run.Epoch
		}
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		a.leave(nil)
		return false
	case err != nil:
		a.troubled("look whether a paused run may go on", err)
		a.markMail()
		return false
	case l.Run.Epoch != a.head.Epoch || l.Run.Status.Ended() || a.foreign(&l.Run):
		a.w.tel.Lost(a.traced)
		a.leave(nil)
		if l.Run.Worker == a.w.id { // by a fence whose answer got lost
			a.w.again.Store(true)
		}
		a.w.trigger()
		return false
	case l.Run.Paused != nil:
		return false
	}
	a.backoff.Passed(a.w.outages)
	a.endHolding()
	for _, at := range a.attempts {
		at.halted.Store(false)
	}
	return true
}

func (a *actor) beginHolding() *holding {
	w, h := a.w, &holding{}
	a.held = true
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.holding == nil {
		w.holding = map[*actor]*holding{}
	}
	w.holding[a] = h
	return h
}

// held returns what an actor knows of its run, which is paused.
func (w *Worker) held(a *actor) *holding {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.holding[a]
}

// notifyHeld makes the actors that hold their runs up look whether these may go on: if a signal was
// lost, nothing else tells them.
func (w *Worker) notifyHeld() {
	w.mu.Lock()
	held := make([]*actor, 0, len(w.holding))
	for a := range w.holding {
		held = append(held, a)
	}
	w.mu.Unlock()
	for _, a := range held {
		a.notify()
	}
}

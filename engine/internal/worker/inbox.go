package worker

import (
	"slices"
	"time"
)

// post hands an arrival to the actor. It returns false if the actor is gone.
func (a *actor) post(in arrival) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone {
		return false
	}
	a.inbox = append(a.inbox, in)
	a.wake()
	return true
}

// notify tells the actor that there may be mail. It returns false if the actor is gone.
func (a *actor) notify() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone {
		return false
	}
	a.hasMail = true
	a.wake()
	return true
}

func (a *actor) isGone() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gone
}

// markMail makes the next round read the mailbox.
func (a *actor) markMail() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hasMail = true
}

// declineAll answers deliveries that can't be taken in now.
func declineAll(inbox []arrival) {
	for _, in := range inbox {
		if in.delivery != nil {
			in.delivery.done <- ErrDeclined
		}
	}
}

// putBack returns arrivals to the front of the inbox.
func (a *actor) putBack(inbox []arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	kept := inbox[:0]
	for _, in := range inbox {
		if in.claimed == nil {
			kept = append(kept, in)
		}
	}
	a.inbox = append(kept, a.inbox...)
}

// declineInbox answers the deliveries that have arrived.
func (a *actor) declineInbox() {
	a.mu.Lock()
	defer a.mu.Unlock()
	declineAll(a.inbox)
	a.inbox = slices.DeleteFunc(a.inbox, func(in arrival) bool { return in.delivery != nil })
}

// arrive adds an arrival from the actor's own goroutine.
func (a *actor) arrive(in arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inbox = append(a.inbox, in)
}

// setAlarm wakes the actor of an owned run at a time; zero is never.
func (a *actor) setAlarm(at time.Time) {
	switch {
	case !a.owned || at.IsZero():
		if a.alarm != nil {
			a.alarm.Stop()
		}
	case a.alarm == nil:
		a.alarm = time.AfterFunc(at.Sub(a.w.store.Now()), func() { a.notify() })
	default:
		a.alarm.Reset(at.Sub(a.w.store.Now()))
	}
}

// atWork returns the runs that no claim would find, because this worker owns them.
func (w *Worker) atWork() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var runs []string
	for id, a := range w.actors {
		if a.parked == nil {
			runs = append(runs, id)
		}
	}
	return runs
}

// notifyOwned makes the runs at work here check their state in the store.
func (w *Worker) notifyOwned() {
	for _, id := range w.atWork() {
		w.mu.Lock()
		a := w.actors[id]
		w.mu.Unlock()
		if a != nil {
			a.notify()
		}
	}
}

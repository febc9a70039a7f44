package worker

import (
	"context"

	"github.com/tenter-dev/tenter/store"
)

// Address is where payloads of a token are taken in.
type Address struct {
	actor *actor
	Hook  store.Hook // of the run's execution; it does not change once it is open
}

// follow makes the open hooks of a run findable, and those that it has closed not.
func (w *Worker) follow(a *actor) {
	changes := a.x.TakeHookChanges()
	if len(changes) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range changes {
		h := &changes[i].Hook
		if changes[i].Open {
			w.hooks[h.Token] = &Address{actor: a, Hook: *h}
		} else {
			w.unindex(a, h)
		}
	}
}

// unindexHooks makes the hooks of a run unfindable.
func (w *Worker) unindexHooks(a *actor) {
	if a.x == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	a.x.OpenHooks(func(h *store.Hook) { w.unindex(a, h) })
}

// unindex is called with w.mu held.
func (w *Worker) unindex(a *actor, h *store.Hook) {
	if at := w.hooks[h.Token]; at != nil && at.actor == a && at.Hook.ID == h.ID {
		delete(w.hooks, h.Token)
	}
}

// Address finds the live run that a token belongs to, or nil.
func (w *Worker) Address(token string) *Address {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hooks[token]
}

// Deliver hands a payload to a live run. It fails with ErrDeclined if the payload has
// to go through the mailbox.
func (w *Worker) Deliver(ctx context.Context, to *Address, p store.Payload) error {
	o := &delivery{handoff: newHandoff(), hookID: to.Hook.ID, data: p.Data, orStart: p.OrStart, trace: p.Trace}
	if !to.actor.post(arrival{at: w.store.Now(), delivery: o}) {
		return ErrDeclined
	}
	return w.await(ctx, to.actor, &o.handoff)
}

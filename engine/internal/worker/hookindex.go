package worker

import (
	"context"

	"github.com/tenter-dev/tenter/store"
)

// Address is where the payloads for a token go.
type Address struct {
	actor *actor
	Hook  store.Hook // the hook of the run's execution, immutable once open
}

// follow adds the hooks that a run has opened to the index and removes those that it has
// closed.
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

// unindexHooks removes the hooks of a run from the index.
func (w *Worker) unindexHooks(a *actor) {
	if a.x == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	a.x.OpenHooks(func(h *store.Hook) { w.unindex(a, h) })
}

// unindex removes one hook. It is called with w.mu held.
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
	o := &delivery{handoff: newHandoff(), hookID: to.Hook.ID, data: p.Data, orStart: p.OrStart, trace: p.Trace, actor: p.Actor}
	if w.isPaused(to.actor.workflow) || !to.actor.post(arrival{at: w.store.Now(), delivery: o}) {
		return ErrDeclined
	}
	return w.await(ctx, to.actor, &o.handoff)
}

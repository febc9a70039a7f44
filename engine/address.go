package engine

import (
	"context"

	"github.com/tenter-dev/tenter/store"
)

// address is where payloads of a token are taken in.
type address struct {
	actor *actor
	hook  store.Hook // of the run's execution; it does not change once it is open
}

// follow makes the open hooks of a run findable, and those that it has closed not.
func (w *worker) follow(a *actor) {
	changes := a.x.TakeHookChanges()
	if len(changes) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range changes {
		h := &changes[i].Hook
		if changes[i].Open {
			w.hooks[h.Token] = &address{actor: a, hook: *h}
		} else {
			w.unindex(a, h)
		}
	}
}

// unindexHooks makes the hooks of a run unfindable.
func (w *worker) unindexHooks(a *actor) {
	if a.x == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	a.x.OpenHooks(func(h *store.Hook) { w.unindex(a, h) })
}

// unindex is called with w.mu held.
func (w *worker) unindex(a *actor, h *store.Hook) {
	if at := w.hooks[h.Token]; at != nil && at.actor == a && at.hook.ID == h.ID {
		delete(w.hooks, h.Token)
	}
}

// address finds the live run that a token belongs to, or nil.
func (w *worker) address(token string) *address {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hooks[token]
}

// offer hands a payload to a live run. It fails with errDeclined if the payload has
// to go through the mailbox.
func (w *worker) offer(ctx context.Context, to *address, p store.Payload) error {
	o := &offer{handoff: newHandoff(), hookID: to.hook.ID, data: p.Data, orStart: p.OrStart, trace: p.Trace}
	if !to.actor.post(arrival{at: w.store.Now(), offer: o}) {
		return errDeclined
	}
	return w.await(ctx, to.actor, &o.handoff)
}

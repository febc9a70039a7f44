package worker

import (
	"github.com/tenter-dev/tenter/engine/internal/waiting"
)

// busy counts an actor that becomes active. It is called with a.mu held.
func (w *Worker) busy(a *actor) {
	w.mu.Lock()
	if a.parked != nil {
		w.tel.Cached(w.ctx)
	}
	w.unpark(a)
	w.mu.Unlock()
	if w.busyActors.Add(1) == 1 {
		w.watch.wake()
	}
}

// idle counts an actor that has nothing to do. It caches parked runs, and returns
// the one to be evicted for it, if any. It is called with a.mu held.
func (w *Worker) idle(a *actor) (victim *actor) {
	if w.busyActors.Add(-1) == int64(w.opts.MaxRuns)-1 {
		w.eager.Store(true)
		w.trigger()
	}
	switch {
	case a.gone || a.owned:
		return nil
	case w.over.Load():
		return a
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.actors[a.id] != a {
		return nil
	}
	a.parked = w.parked.PushFront(a)
	w.waits.Elsewhere(waiting.EndOf(a.id))
	if w.parked.Len() > w.opts.CacheSize {
		victim = w.parked.Back().Value.(*actor) //nolint:forcetypeassert // the list has actors only
		w.unpark(victim)                        // no one else may pick it
	}
	return victim
}

func (w *Worker) unpark(a *actor) {
	if a.parked != nil {
		w.parked.Remove(a.parked)
		a.parked = nil
	}
}

// evict ends the actor if it is parked. From then on the run takes no memory.
func (a *actor) evict() {
	a.mu.Lock()
	if a.active || a.gone {
		a.mu.Unlock()
		return
	}
	a.gone = true
	a.mu.Unlock()
	a.w.remove(a)
	a.forget()
}

// remove removes an actor from the worker's indexes.
func (w *Worker) remove(a *actor) {
	w.mu.Lock()
	if w.actors[a.id] == a {
		delete(w.actors, a.id)
	}
	w.unpark(a)
	w.mu.Unlock()
	w.waits.Elsewhere(waiting.EndOf(a.id))
	w.waits.Notify(waiting.EndOf(a.id))
}

// EvictAll evicts all parked runs from memory, for tests that want them replayed.
func (w *Worker) EvictAll() {
	w.mu.Lock()
	var parked []*actor
	for _, a := range w.actors {
		if a.parked != nil {
			parked = append(parked, a)
		}
	}
	w.mu.Unlock()
	for _, a := range parked {
		a.evict()
	}
}

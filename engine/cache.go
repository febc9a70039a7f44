package engine

// busy counts an actor that begins to go round. It is called with a.mu held.
func (w *worker) busy(a *actor) {
	w.mu.Lock()
	if a.parked != nil {
		w.e.tel.cached(w)
	}
	w.unpark(a)
	w.mu.Unlock()
	if w.bustling.Add(1) == 1 {
		w.watch.wake()
	}
}

// idle counts an actor that has nothing to do. It caches parked runs, and returns
// the one to be evicted for it, if any. It is called with a.mu held.
func (w *worker) idle(a *actor) (victim *actor) {
	if w.bustling.Add(-1) == int64(w.e.opts.MaxRuns)-1 {
		w.trigger()
	}
	switch {
	case a.gone || a.held:
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
	w.e.waits.Elsewhere(runEnd(a.id))
	if w.parked.Len() > w.e.opts.CacheSize {
		victim = w.parked.Back().Value.(*actor) //nolint:forcetypeassert // the list has actors only
		w.unpark(victim)                        // nobody else is to pick it
	}
	return victim
}

func (w *worker) unpark(a *actor) {
	if a.parked != nil {
		w.parked.Remove(a.parked)
		a.parked = nil
	}
}

// evict ends the actor if it is parked. The run costs no memory from then on.
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

// remove takes an actor off the books.
func (w *worker) remove(a *actor) {
	w.mu.Lock()
	if w.actors[a.id] == a {
		delete(w.actors, a.id)
	}
	w.unpark(a)
	w.mu.Unlock()
	w.e.waits.Elsewhere(runEnd(a.id))
	w.e.waits.Notify(runEnd(a.id))
}

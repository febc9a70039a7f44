package waiting

import "time"

// begun holds the keys of runs that this process has begun, for another one to execute, and that
// are likely to be awaited here at once. If signals of their ends come from before they begin, a
// caller that awaits one need not look first whether it has ended already. Registry.mu guards it.
type begun struct {
	keys    map[Key]begunKey
	done    func()    // of Signals.Await, while there are keys
	awaited time.Time // when a caller last waited for the end of a run
}

type begunKey struct {
	at     time.Time
	missed <-chan struct{} // closed when signals may have been lost
}

// mostBegun bounds the keys that are held, each for as long as values are kept for callers still
// to come.
const mostBegun = 1024

// Begin notes that a run is about to begin, unless nobody here has awaited runs lately: then
// other processes would announce ends in vain.
func (r *Registry) Begin(k Key) {
	missed := r.missed()
	r.mu.Lock()
	defer r.mu.Unlock()
	b := &r.begun
	if time.Since(b.awaited) >= recently || len(b.keys) >= mostBegun {
		return
	}
	if b.keys == nil {
		b.keys = make(map[Key]begunKey)
	}
	b.keys[k] = begunKey{time.Now(), missed}
	if b.done == nil {
		b.done = r.store.Await()
		time.AfterFunc(recently, r.sweep)
	}
}

// Forget takes Begin back: the run may not have begun.
func (r *Registry) Forget(k Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.begun.keys, k)
}

// sweep forgets keys that nobody has asked for.
func (r *Registry) sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := &r.begun
	for k, v := range b.keys {
		if time.Since(v.at) >= recently {
			delete(b.keys, k)
		}
	}
	if len(b.keys) > 0 {
		time.AfterFunc(recently, r.sweep)
		return
	}
	b.done()
	b.done = nil
}

// Begun reports whether the run of a key, which the caller listens for, was begun here a moment
// ago and its end has not been signaled.
func (r *Registry) Begun(k Key) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun.awaited = time.Now()
	v, ok := r.begun.keys[k]
	if !ok {
		return false
	}
	delete(r.begun.keys, k)
	select {
	case <-v.missed:
		return false
	default:
	}
	if e := r.entries[k]; e.done == nil {
		e.done = r.store.Await()
	}
	return true
}

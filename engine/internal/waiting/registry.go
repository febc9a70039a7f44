// Package waiting lets callers wait for the ends of runs and for responses, from this process
// or from another one.
//
// What happens in this process is delivered with its value. What happens in another process
// the store only signals, and the waiting callers look it up. When the store says that signals
// may have been lost, one caller asks for all.
package waiting

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/outage"
	"github.com/tenter-dev/tenter/store"
)

// A Key identifies what is waited for.
type Key struct {
	Kind Kind
	ID   string
}

// Kind is what can be waited for.
type Kind uint8

// What can be waited for.
const (
	RunEnd   Kind = iota + 1 // the end of the run with this ID
	Response                 // the response to the request with this ID
)

// Signals is the part of a store that signals what other processes do.
type Signals interface {
	Await() (done func())
	Resync(ctx context.Context, s store.Signal) (store.Signal, error)
}

// Registry knows which callers wait for what.
type Registry struct {
	store   Signals
	outages *outage.Log
	resyncs resyncs

	mu      sync.Mutex
	entries map[Key]*entry
	recent  recent
	begun   begun
}

// entry is a key that at least one caller waits for.
type entry struct {
	waiters  []*Waiter
	one      [1]*Waiter // room for the first waiter
	done     func()     // of Signals.Await, if it was called
	expected bool       // a value is being committed here
}

// New returns a registry on a store.
func New(s Signals, outages *outage.Log) *Registry {
	r := &Registry{store: s, outages: outages, entries: map[Key]*entry{}}
	r.resyncs.said, r.resyncs.busy = make(chan struct{}), make(chan struct{}, 1)
	return r
}

// A Waiter listens for some keys until it is stopped.
type Waiter struct {
	r      *Registry
	keys   [2]Key        // no more are waited for at once
	wake   chan struct{} // signals that there is a value, or a reason to look
	value  any           // guarded by Registry.mu, as is served
	served bool          // a value was delivered

	missed <-chan struct{} // closed when signals may have been lost; used by Wait
}

// Listen begins to listen for one or two keys. What is delivered from now on is not missed.
func (r *Registry) Listen(keys ...Key) *Waiter {
	w := &Waiter{r: r, wake: make(chan struct{}, 1), missed: r.missed()}
	copy(w.keys[:], keys)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range keys {
		e := r.entries[k]
		if e == nil {
			e = &entry{}
			e.waiters = e.one[:0]
			r.entries[k] = e
		}
		e.waiters = append(e.waiters, w)
	}
	return w
}

// Recent returns a value of the key that was kept because nobody waited, or nil.
func (r *Registry) Recent(k Key) any {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.recent.get(k)
}

// Elsewhere notes that another process may decide a key, so that its waiters need the store's
// signals.
func (r *Registry) Elsewhere(k Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[k]
	if e != nil && e.done == nil && slices.ContainsFunc(e.waiters, func(w *Waiter) bool { return !w.served }) {
		e.done = r.store.Await()
	}
}

// Expect notes that a value is being committed here, so that waiters need not look when the
// store signals. With false it takes that back and makes them look.
func (r *Registry) Expect(k Key, expected bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries[k]; e != nil {
		e.expected = expected
		if !expected {
			e.look()
		}
	}
}

// Deliver gives a value to the waiters of a key. If there are none and keep is set, it is kept
// a moment for those still to come.
func (r *Registry) Deliver(k Key, v any, keep bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[k]
	if e == nil {
		if _, ok := r.begun.keys[k]; ok || keep {
			delete(r.begun.keys, k)
			r.recent.add(k, v)
		}
		return
	}
	e.expected = false
	for _, w := range e.waiters {
		if w.value == nil { // a response, which the end of its run must not replace
			w.value, w.served = v, true
		}
	}
	e.look()
}

func (e *entry) look() {
	for _, w := range e.waiters {
		w.Look()
	}
}

// Notify makes the waiters of a key look.
func (r *Registry) Notify(k Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.begun.keys, k)
	if e := r.entries[k]; e != nil && !e.expected {
		e.look()
	}
}

// awaited returns the keys that have waiters.
func (r *Registry) awaited() (s store.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k := range r.entries {
		if k.Kind == RunEnd {
			s.Ended = append(s.Ended, k.ID)
		} else {
			s.Responded = append(s.Responded, k.ID)
		}
	}
	slices.Sort(s.Ended)
	slices.Sort(s.Responded)
	return s
}

// Look makes the waiter look at once.
func (w *Waiter) Look() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Stop stops listening.
func (w *Waiter) Stop() {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	for _, k := range w.keys {
		e := w.r.entries[k]
		if e == nil {
			continue
		}
		if e.waiters = slices.DeleteFunc(e.waiters, func(other *Waiter) bool { return other == w }); len(e.waiters) > 0 {
			continue
		}
		if e.done != nil {
			e.done()
		}
		delete(w.r.entries, k)
	}
}

func (w *Waiter) take() any {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	v := w.value
	w.value = nil
	return v
}

// A Query looks up what a caller waits for.
type Query interface {
	// Look returns a value, or nil if there is none yet. A final error ends the wait; any
	// other is an outage of the store, and Look is called again.
	Look(ctx context.Context) (v any, final bool, err error)
	// Describe says, for the log, what Look does and for which run.
	Describe() (verb, runID string)
}

// ErrStopped says that the wait was stopped.
var ErrStopped = errors.New("stopped")

// Wait blocks until a value is delivered or found; now makes it look first. Of several values
// it returns the one that was delivered first. It fails with the cause of ctx, or with
// ErrStopped.
func (w *Waiter) Wait(ctx context.Context, stop <-chan struct{}, now bool, q Query) (any, error) {
	current := true
	var backoff outage.Backoff
	defer backoff.Quit(w.r.outages)
	var again <-chan time.Time // after the store has failed
	for look := now; ; {
		var err error
		if look {
			var v any
			var final bool
			if v, final, err = q.Look(ctx); v != nil || final {
				return v, err
			}
		}
		if err == nil && !current {
			err = w.r.resync(ctx)
		}
		switch {
		case err == nil:
			backoff.Passed(w.r.outages)
			look, current, again = false, true, nil
		case ctx.Err() == nil:
			verb, runID := q.Describe()
			again = time.After(backoff.Failed(w.r.outages, verb, runID, err))
		}
		select {
		case <-w.wake:
			if v := w.take(); v != nil {
				return v, nil
			}
			look = true
		case <-w.missed:
			w.missed, current = w.r.missed(), false
		case <-again:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-stop:
			return nil, ErrStopped
		}
	}
}

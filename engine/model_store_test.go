package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/store"
)

var (
	errBefore = errors.New("injected: nothing was written")
	errAfter  = errors.New("injected: the answer got lost")
	errLate   = errors.New("injected: it is carried out later")
	errDead   = errors.New("injected: the process is gone")
)

// fault is what happens to an operation. More than none: it fails, and is carried out
// after so long.
type fault time.Duration

const (
	none   fault = 0
	before fault = -1 // it fails, and has not been carried out
	after  fault = -2 // it is carried out, and its answer gets lost
	latest fault = fault(5 * time.Minute)
)

func (f fault) String() string {
	if name, ok := map[fault]string{none: "none", before: "before", after: "after"}[f]; ok {
		return name
	}
	return "late by " + time.Duration(f).String()
}

// faultyStore is the store as one node sees it: operations fail, answers get lost,
// and once the node has crashed nothing happens any more.
type faultyStore struct {
	store.Store
	w *world

	mu     sync.Mutex
	dead   bool
	cutTo  time.Time // no connection until then
	faults []fault   // of the writes to come
}

func (s *faultyStore) crash() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = true
}

func (s *faultyStore) crashed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

func (s *faultyStore) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cutTo, s.faults = time.Time{}, nil
}

// access is what an operation does.
type access int

const (
	reading access = iota
	writing
	transition // one that a worker may be in doubt about
)

// next returns the fault of an operation that begins.
func (s *faultyStore) next(kind access) (fault, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.dead:
		return before, errDead
	case time.Now().Before(s.cutTo):
		return before, errBefore
	case kind == reading || len(s.faults) == 0:
		return none, nil
	}
	f := s.faults[0]
	if f > none && f < fault(time.Second) && kind != transition {
		return none, nil // it waits for what it is most dangerous for
	}
	s.faults = s.faults[1:]
	if f > none {
		return f, errLate
	}
	return f, map[fault]error{before: errBefore, after: errAfter}[f]
}

// do carries out an operation, or not, or later.
func (s *faultyStore) do(ctx context.Context, kind access, op func(context.Context) error) error {
	if s.w.shared.Load() {
		advance(time.Millisecond) // so that what is late can come between two operations
	}
	f, injected := s.next(kind)
	switch {
	case f == before:
		return injected
	case f > none:
		time.AfterFunc(time.Duration(f), func() { _ = op(context.WithoutCancel(ctx)) })
		return injected
	}
	err := op(ctx)
	switch {
	case s.crashed():
		return errDead
	case f == after:
		return injected
	}
	return err
}

// try is do for operations with an answer, which a fault takes away.
func try[T any](ctx context.Context, s *faultyStore, kind access, op func(context.Context) (T, error)) (T, error) {
	var answer T
	err := s.do(ctx, kind, func(ctx context.Context) error {
		var err error
		answer, err = op(ctx)
		return err
	})
	if errors.Is(err, errAfter) || errors.Is(err, errDead) || errors.Is(err, errLate) {
		var nothing T
		return nothing, err
	}
	return answer, err
}

// Shared reports that others may write, as what is late does.
func (s *faultyStore) Shared() bool { return s.w.shared.Load() }

// Watch passes signals on late, if the scenario has it so.
func (s *faultyStore) Watch(f func(store.Signal)) (stop func()) {
	return s.Store.Watch(func(sig store.Signal) {
		if s.w.lag == 0 {
			f(sig)
			return
		}
		time.AfterFunc(s.w.lag, func() { f(sig) })
	})
}

func (s *faultyStore) Start(ctx context.Context, r store.NewRun) error {
	return s.do(ctx, writing, func(ctx context.Context) error { return s.Store.Start(ctx, r) })
}

func (s *faultyStore) Accept(ctx context.Context, p store.Payload) (store.Receipt, error) {
	return try(ctx, s, writing, func(ctx context.Context) (store.Receipt, error) { return s.Store.Accept(ctx, p) })
}

func (s *faultyStore) Send(ctx context.Context, m store.Message) error {
	return s.do(ctx, writing, func(ctx context.Context) error { return s.Store.Send(ctx, m) })
}

func (s *faultyStore) Terminate(ctx context.Context, runID string, e store.Event) error {
	return s.do(ctx, writing, func(ctx context.Context) error {
		err := s.Store.Terminate(ctx, runID, e)
		if err == nil {
			s.w.note(func() { s.w.ended[runID] = time.Now() })
		}
		return err
	})
}

func (s *faultyStore) Retry(ctx context.Context, c store.Cut) (store.Hook, error) {
	return try(ctx, s, writing, func(ctx context.Context) (store.Hook, error) {
		h, err := s.Store.Retry(ctx, c)
		if err == nil {
			s.w.note(func() { s.w.retried[c.RunID] = true })
		}
		return h, err
	})
}

func (s *faultyStore) Unblock(ctx context.Context, runID string) error {
	return s.do(ctx, writing, func(ctx context.Context) error { return s.Store.Unblock(ctx, runID) })
}

func (s *faultyStore) Load(ctx context.Context, runID string, after int64) (store.Loaded, error) {
	return try(ctx, s, reading, func(ctx context.Context) (store.Loaded, error) { return s.Store.Load(ctx, runID, after) })
}

func (s *faultyStore) Run(ctx context.Context, runID string) (store.Run, error) {
	return try(ctx, s, reading, func(ctx context.Context) (store.Run, error) { return s.Store.Run(ctx, runID) })
}

func (s *faultyStore) Renew(ctx context.Context, l store.Lease) error {
	return s.do(ctx, writing, func(ctx context.Context) error { return s.Store.Renew(ctx, l) })
}

func (s *faultyStore) Release(ctx context.Context, worker string) error {
	return s.do(ctx, writing, func(ctx context.Context) error { return s.Store.Release(ctx, worker) })
}

func (s *faultyStore) Claim(ctx context.Context, c store.Claim) (store.Claimed, error) {
	return try(ctx, s, writing, func(ctx context.Context) (store.Claimed, error) { return s.Store.Claim(ctx, c) })
}

func (s *faultyStore) Apply(ctx context.Context, t *store.Transition) ([]store.Outcome, error) {
	return try(ctx, s, transition, func(ctx context.Context) ([]store.Outcome, error) {
		out, err := s.Store.Apply(ctx, t)
		if err == nil {
			s.w.applied(t)
		}
		return out, err
	})
}

func (s *faultyStore) Fence(ctx context.Context, runID, worker string, epoch int64) (store.Loaded, error) {
	return try(ctx, s, writing, func(ctx context.Context) (store.Loaded, error) { return s.Store.Fence(ctx, runID, worker, epoch) })
}

// applied remembers when a transition was committed.
func (w *world) applied(t *store.Transition) {
	now := time.Now()
	w.note(func() {
		for i, e := range t.Events {
			if e.At.After(now) {
				w.problem("run %s: event %d (%s) is of %v, and was committed at %v already", t.RunID, t.After+int64(i)+1, e.Kind, e.At, now)
			}
			w.commits[commit{t.RunID, t.After + int64(i) + 1}] = now
		}
		if t.Status.Ended() {
			w.ended[t.RunID] = now
		}
	})
}

// commit names an event.
type commit struct {
	run      string
	position int64
}

// note changes what the world remembers.
func (w *world) note(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// problem is called within note.
func (w *world) problem(format string, args ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

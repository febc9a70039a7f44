package execution

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/internal/gid"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
)

var (
	errCanceled = context.Canceled
	errDeadline = context.DeadlineExceeded
)

// scope implements run.Scope: a cancellation under which branches make durable calls. Code
// reaches it only on the branch that is executing, except for the methods of context.Context,
// which captured contexts call from anywhere.
type scope struct {
	x       *Execution
	parent  *scope
	at      time.Time
	timer   *timer
	waiters waitlist
	inner   []canceler // what ends with it

	ended atomic.Pointer[error]
	mu    sync.Mutex
	done  chan struct{}
}

// canceler is something that ends with a scope.
type canceler interface{ cancel(error) }

func newScope(x *Execution, parent *scope) *scope {
	s := &scope{x: x, parent: parent}
	if parent != nil {
		s.at = parent.at
	}
	return s
}

func (s *scope) attach(c canceler) { s.inner = append(s.inner, c) }

func (s *scope) detach(c canceler) {
	if i := slices.Index(s.inner, c); i >= 0 {
		s.inner = slices.Delete(s.inner, i, i+1)
	}
}

// cancel ends the scope and everything in it, on an event or by the code.
func (s *scope) cancel(err error) {
	if s.ended.Load() != nil {
		return
	}
	s.end(err)
	if s.timer != nil {
		s.timer.stop(s.x.current.Load())
	}
	if s.parent != nil {
		s.parent.detach(s)
	}
	s.waiters.wake(s.x)
	inner := s.inner
	s.inner = nil
	for _, c := range inner {
		c.cancel(err)
	}
}

func (s *scope) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended.Store(&err)
	if s.done != nil {
		close(s.done)
	}
}

// watched remembers a scope whose Done channel was handed out.
func (x *Execution) watched(s *scope) {
	x.doneMu.Lock()
	defer x.doneMu.Unlock()
	x.dones = append(x.dones, s)
}

// evict closes the Done channels of all scopes, for goroutines that captured them.
func (x *Execution) evict() {
	x.root.endQuietly()
	x.doneMu.Lock()
	dones := x.dones
	x.dones = nil
	x.doneMu.Unlock()
	for _, s := range dones {
		s.endQuietly()
	}
}

// endQuietly ends a scope without any effect that branches could see.
func (s *scope) endQuietly() {
	if s.ended.Load() == nil {
		s.end(errCanceled)
	}
}

func (s *scope) err() error {
	if err := s.ended.Load(); err != nil {
		return *err
	}
	return nil
}

// Misused implements run.Scope.
func (s *scope) Misused() error {
	if b := s.x.current.Load(); b != nil && b.g.Load() == uintptr(gid.Current()) {
		return nil
	}
	if ref := currentStep(); ref != "" {
		return run.Captured(ref)
	}
	return nil
}

// Err implements context.Context. To a step that has captured it, the context has ended.
func (s *scope) Err() error {
	if err := s.Misused(); err != nil {
		return err
	}
	return s.err()
}

// ended is closed.
var ended = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Done implements context.Context.
func (s *scope) Done() <-chan struct{} {
	if s.Misused() != nil {
		return ended
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == nil {
		s.done = make(chan struct{})
		if s.ended.Load() != nil {
			close(s.done)
		} else {
			s.x.watched(s)
		}
	}
	return s.done
}

// Deadline implements context.Context.
func (s *scope) Deadline() (time.Time, bool) { return s.at, !s.at.IsZero() }

// Value implements context.Context.
func (s *scope) Value(key any) any {
	if key == (run.Key{}) {
		return s.x.scene
	}
	return nil
}

func (s *scope) Check() error {
	_, err := s.x.enter()
	return err
}

func (s *scope) Go(fn func(run.Scope)) run.Waitable {
	f := &future{x: s.x}
	s.x.newBranch(func() {
		fn(s)
		f.done = true
		f.waiters.wake(s.x)
	})
	return f
}

// future lets other branches wait for a branch.
type future struct {
	x       *Execution
	done    bool
	waiters waitlist
}

func (f *future) Ready() bool         { return f.done }
func (f *future) waitlist() *waitlist { return &f.waiters }

func (s *scope) WithCancel() (run.Scope, func()) {
	inner := newScope(s.x, s)
	s.adopt(inner)
	return inner, inner.canceledByCode
}

// adopt makes inner end when s ends.
func (s *scope) adopt(inner *scope) {
	if err := s.err(); err != nil {
		inner.end(err)
		return
	}
	s.attach(inner)
}

func (s *scope) WithoutCancel() run.Scope {
	inner := newScope(s.x, s)
	inner.at = time.Time{}
	return inner
}

// canceledByCode is a CancelFunc. It does nothing while its branch unwinds.
func (s *scope) canceledByCode() {
	b := s.x.current.Load()
	if b != nil && b.unwind {
		return
	}
	if _, err := s.x.enter(); err != nil {
		panic(err)
	}
	s.cancel(errCanceled)
}

func (s *scope) PublicURL() string { return s.x.env.PublicURL }

func (s *scope) Now() time.Time { return s.x.now }

func (s *scope) Derive(label journal.Label) [32]byte { return s.x.derive(label) }

func (s *scope) Logger() *slog.Logger {
	return slog.New(&logHandler{x: s.x, to: s.x.logger().Handler()})
}

func (s *scope) Info() run.Info {
	info := s.x.info
	info.RunID, info.Events = s.x.runID(), s.x.length()
	return info
}

package workflowtest

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/workflow"
)

// spied is a workflow as a process executes it: what its code waits for is recorded, and its
// steps are those that the test wants.
func (p *process) spied(d workflow.Definition) (workflow.Definition, error) {
	w, err := run.Definition(d)
	if err != nil {
		return nil, err
	}
	spied := *w
	spied.Func = func(s run.Scope, input []byte) ([]byte, *journal.Failure) {
		return w.Func(&scope{Scope: s, rec: p.e.record(s.Info().RunID), p: p}, input)
	}
	return run.Defined(&spied).(workflow.Definition), nil //nolint:forcetypeassert // as documented
}

// record is what is known of the code of a run, in its last execution.
type record struct {
	mu        sync.Mutex
	waits     []*wait // under way
	stepCount map[string]int
	timers    map[run.Waitable]timer
	children  map[run.Waitable]string // their workflows
	hooks     map[string]opened       // by ID
}

// wait is a durable call that has not returned.
type wait struct {
	at       string
	step     string // its ID in the run
	on       []run.Waitable
	deadline time.Time
}

type timer struct {
	kind  run.TimerKind
	until time.Time
}

type opened struct {
	webhook bool
	at      string
}

// record begins a new record of a run.
func (e *Engine) record(runID string) *record {
	r := &record{
		stepCount: map[string]int{}, timers: map[run.Waitable]timer{}, children: map[run.Waitable]string{},
		hooks: map[string]opened{},
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.records[runID] = r
	return r
}

func (r *record) begin(w *wait) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waits = append(r.waits, w)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.waits = slices.DeleteFunc(r.waits, func(x *wait) bool { return x == w })
	}
}

// scope is the engine's scope, with a record of what is asked of it. That a wait has
// ended is not recorded when its branch is unwound: a run that was evicted still waits.
type scope struct {
	run.Scope
	rec  *record
	p    *process
	from string // where its branch was begun
}

func (s *scope) with(inner run.Scope) *scope {
	return &scope{Scope: inner, rec: s.rec, p: s.p, from: s.from}
}

// where returns the place in the author's code that makes a durable call.
func (s *scope) where() string {
	if at, _ := run.Caller(); at != "" {
		return short(at)
	}
	return s.from
}

func (s *scope) Await(ws ...run.Waitable) (int, error) {
	if err := s.Check(); err != nil { // ends the branch if it is being unwound
		return -1, err
	}
	w := &wait{at: s.where(), on: ws}
	if at, ok := s.Deadline(); ok {
		w.deadline = at
	}
	end := s.rec.begin(w)
	i, err := s.Scope.Await(ws...)
	end()
	return i, err
}

func (s *scope) Step(spec run.Step) ([]byte, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if s.Err() != nil {
		return s.Scope.Step(spec)
	}
	s.rec.mu.Lock()
	s.rec.stepCount[spec.Name]++
	id := journal.NumberedRef(spec.Name, s.Info().Generation, s.rec.stepCount[spec.Name])
	s.rec.mu.Unlock()
	at := s.where()
	spec = s.p.e.intercept(s, id, at, spec)
	end := s.rec.begin(&wait{at: at, step: id})
	data, err := s.Scope.Step(spec)
	end()
	return data, err
}

func (s *scope) Timer(kind run.TimerKind, at time.Time) run.Timer {
	t := s.Scope.Timer(kind, at)
	s.rec.mu.Lock()
	defer s.rec.mu.Unlock()
	s.rec.timers[t] = timer{kind, at}
	return t
}

func (s *scope) NewHook(h run.Hook) (run.OpenHook, error) {
	at := s.where()
	open, err := s.Scope.NewHook(h)
	s.rec.mu.Lock()
	defer s.rec.mu.Unlock()
	if conflict, ok := errors.AsType[*run.HookConflict](err); ok && conflict.HookID != "" {
		conflict.At = s.rec.hooks[conflict.HookID].at // better than the event
	}
	if err != nil {
		return nil, err
	}
	s.rec.hooks[open.ID()] = opened{webhook: h.Webhook != nil, at: at}
	return open, nil
}

func (s *scope) StartChild(c run.Child) (run.ChildRun, error) {
	child, err := s.Scope.StartChild(c)
	if err != nil {
		return nil, err
	}
	s.rec.mu.Lock()
	defer s.rec.mu.Unlock()
	s.rec.children[child] = c.Workflow
	return child, nil
}

func (s *scope) Go(fn func(run.Scope)) run.Waitable {
	from := s.where()
	return s.Scope.Go(func(inner run.Scope) {
		branch := s.with(inner)
		branch.from = from
		fn(branch)
	})
}

func (s *scope) WithCancel() (run.Scope, func()) {
	inner, cancel := s.Scope.WithCancel()
	return s.with(inner), cancel
}

func (s *scope) WithDeadline(at time.Time) (run.Scope, func()) {
	inner, cancel := s.Scope.WithDeadline(at)
	return s.with(inner), cancel
}

func (s *scope) WithoutCancel() run.Scope { return s.with(s.Scope.WithoutCancel()) }

// short returns a path as people at the test's folder write it.
func short(file string) string {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, file); err == nil && !strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	return file
}

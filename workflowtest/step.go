package workflowtest

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/workflow"
)

// Step is what a test says about the steps of a name, and asks about them. What it says
// counts from then on, for attempts that begin later.
type Step struct {
	e        *Engine
	name     string
	workflow string // empty: all

	// Guarded by e.mu.

	at    string // where the test asked for something
	fake  *fake
	fails []injected
	kills []injected
}

// fake is what is executed in place of a step.
type fake struct {
	spec run.Step
	out  reflect.Type // nil: no result
	at   string       // where the test has asked for it
}

// injected happens in some attempts, or executions; in all if it names none.
type injected struct {
	in   []int
	spec run.Step // that fails
}

func (i injected) hits(n int) bool { return len(i.in) == 0 || slices.Contains(i.in, n) }

type stepName struct{ workflow, step string }

// Step returns the steps of a name, in all workflows. What is asked of them is up to
// [Replace], [ReplaceDo] and the methods of Step.
func (e *Engine) Step(name string) *Step {
	return &Step{e: e, name: name}
}

// Of returns the steps of the same name in one workflow only.
func (s *Step) Of(w interface{ Name() string }) *Step {
	return &Step{e: s.e, name: s.name, workflow: w.Name()}
}

func (s *Step) String() string {
	if s.workflow != "" {
		return fmt.Sprintf("%q of workflow %q", s.name, s.workflow)
	}
	return fmt.Sprintf("%q", s.name)
}

func (s *Step) matches(name stepName) bool {
	return s.name == name.step && (s.workflow == "" || s.workflow == name.workflow)
}

// change has the test ask for something.
func (s *Step) change(f func()) {
	at, _ := run.Caller()
	at = short(at)
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	s.at = at
	f()
	s.e.steps = append(slices.DeleteFunc(s.e.steps, func(other *Step) bool { return other == s }), s) // the last one counts
	if s.fake != nil && s.fake.at == "" {
		s.fake.at = at
	}
}

// set reports whether something is asked of the step. It is called with e.mu held.
func (s *Step) set() bool { return s.fake != nil || len(s.fails) > 0 || len(s.kills) > 0 }

// Replace has fn executed in place of the steps' own functions. Attempts, retries and
// what is recorded are as with those. T is the type of the steps' results: the run fails,
// and so does the test, if it is another one. In fn, workflow.InfoOf tells which step of
// which run it is. A transactional step is executed without a transaction.
//
// The last one counts, if there are several for a step.
func Replace[T any](s *Step, fn func(ctx context.Context) (T, error)) {
	spec := capture(func(ctx workflow.Context) { _, _ = workflow.Step(ctx, s.name, fn) })
	s.change(func() { s.fake = &fake{spec: spec, out: reflect.TypeFor[T]()} })
}

// ReplaceDo is [Replace] for steps without a result.
func ReplaceDo(s *Step, fn func(ctx context.Context) error) {
	spec := capture(func(ctx workflow.Context) { _ = workflow.Do(ctx, s.name, fn) })
	s.change(func() { s.fake = &fake{spec: spec} })
}

// Fail has attempts of the steps fail with err: the attempts of these numbers, counted
// from 1, or all if there are none. The step's function is not called then. With
// workflow.Fatal(err) there is no further attempt.
func (s *Step) Fail(err error, attempts ...int) {
	spec := capture(func(ctx workflow.Context) {
		_ = workflow.Do(ctx, s.name, func(context.Context) error { return err })
	})
	s.change(func() { s.fails = append(s.fails, injected{attempts, spec}) })
}

// Kill has the steps kill the worker's process: in the executions of these numbers,
// counted from 1 for each step of each run, or in all if there are none. It dies after the
// step's function has returned, and before its result is recorded: so the step is
// executed again, by the process that takes the run over when the lease has lapsed
// (engine.Options.Lease, 10 s). A crash is not counted as an attempt, but one step that
// kills again and again fails in the end, see docs/semantics.md.
func (s *Step) Kill(executions ...int) {
	s.change(func() { s.kills = append(s.kills, injected{in: executions}) })
}

// Restore makes the steps execute unchanged from now on: it undoes what was asked for by any Step
// with their name.
func (s *Step) Restore() {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	for _, other := range s.e.steps {
		if other.name == s.name && (s.workflow == "" || s.workflow == other.workflow) {
			other.fake, other.fails, other.kills = nil, nil, nil
		}
	}
}

// Executions returns how often steps were executed so far, the attempts that failed, by
// [Step.Fail] too, and those in processes that died included.
func (s *Step) Executions() int {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	return s.count()
}

// count is called with e.mu held.
func (s *Step) count() int {
	n := 0
	for name, times := range s.e.executions {
		if s.matches(name) {
			n += times
		}
	}
	return n
}

func (e *Engine) executedSteps() string {
	names := map[string]bool{}
	for name := range e.executions {
		names[fmt.Sprintf("%q of %q", name.step, name.workflow)] = true
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), ", ")
}

// capture returns the step that f asks for.
func capture(f func(workflow.Context)) run.Step {
	c := &catcher{}
	def, err := run.Definition(workflow.Define("catch", func(ctx workflow.Context, _ struct{}) (struct{}, error) {
		f(ctx)
		return struct{}{}, nil
	}))
	if err != nil {
		panic("workflowtest: " + err.Error()) // it is implemented
	}
	def.Func(c, nil)
	return c.spec
}

// catcher is a scope in which nothing can be done but ask for one step.
type catcher struct {
	run.Scope
	spec run.Step
}

func (c *catcher) Step(spec run.Step) ([]byte, error) {
	c.spec = spec
	return []byte("null"), nil
}

// intercept returns the step that is to be executed for one that the code asks for.
func (e *Engine) intercept(s *scope, id, at string, spec run.Step) run.Step {
	info := s.Info()
	x := &interceptor{e: e, p: s.p, id: id, at: at, name: stepName{info.Workflow, spec.Name}, spec: spec}
	real, transact := spec.Func, spec.Transact
	switch {
	case transact == nil:
		spec.Func = func(ctx context.Context) ([]byte, *run.StepError) { return x.execute(ctx, real) }
	case x.fake() != nil:
		spec.Transact = nil
		spec.Func = func(ctx context.Context) ([]byte, *run.StepError) { return x.execute(ctx, x.fake().spec.Func) }
	default:
		spec.Transact = func(ctx context.Context, do func(joined any, f run.StepFunc) error) error {
			return transact(ctx, func(joined any, f run.StepFunc) error {
				return do(joined, func(ctx context.Context) ([]byte, *run.StepError) { return x.execute(ctx, f) })
			})
		}
	}
	return spec
}

// interceptor executes a step of a run as the test wants.
type interceptor struct {
	e    *Engine
	p    *process
	id   string // in the run
	at   string // where it is asked for
	name stepName
	spec run.Step // as the code has it
}

// fake returns what is to be executed in place of the step, or nil.
func (x *interceptor) fake() *fake {
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	var last *fake
	for _, s := range x.e.steps {
		if s.matches(x.name) && s.fake != nil {
			last = s.fake
		}
	}
	return last
}

// execute makes one attempt. F is the step's own function.
func (x *interceptor) execute(ctx context.Context, f run.StepFunc) ([]byte, *run.StepError) {
	info := workflow.InfoOf(ctx)
	fail, kill := x.begin(info)
	switch fake := x.fake(); {
	case fake != nil && fake.out != x.spec.Out:
		f = x.misfit(fake)
	case fail != nil:
		f = fail
	case fake != nil:
		f = fake.spec.Func
	}
	data, failed := f(ctx)
	x.end(info)
	if kill {
		x.e.t.Logf("workflowtest: step %s of run %s kills its process", x.id, info.RunID)
		x.p.crash(false)
		return nil, &run.StepError{Failure: journal.Failure{Text: errKilled.Error()}}
	}
	if failed != nil && failed.RetryAfter == 0 {
		failed.RetryAfter = backoff(x.spec.Backoff, info.Attempt)
	}
	return data, failed
}

// begin counts an execution, and returns what is to happen in it.
func (x *interceptor) begin(info workflow.Info) (fail run.StepFunc, kill bool) {
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	x.e.executions[x.name]++
	x.e.perStep[info.StepID]++
	x.e.attempts[info.StepID] = attempt{p: x.p, number: info.Attempt, since: info.StartedAt}
	for _, s := range x.e.steps {
		if !s.matches(x.name) {
			continue
		}
		for _, f := range s.fails {
			if f.hits(info.Attempt) {
				fail = f.spec.Func
			}
		}
		for _, k := range s.kills {
			kill = kill || k.hits(x.e.perStep[info.StepID])
		}
	}
	return fail, kill
}

func (x *interceptor) end(info workflow.Info) {
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	if x.e.attempts[info.StepID].p == x.p {
		delete(x.e.attempts, info.StepID)
	}
}

// misfit fails the test and the step for a fake of another type.
func (x *interceptor) misfit(f *fake) run.StepFunc {
	text := fmt.Sprintf("step %s at %s returns %s, and its replacement at %s returns %s", x.id, x.at, resultName(x.spec.Out), f.at, resultName(f.out))
	x.e.t.Errorf("workflowtest: %s", text)
	return func(context.Context) ([]byte, *run.StepError) {
		return nil, &run.StepError{Failure: journal.Failure{Text: text}, Fatal: true}
	}
}

func resultName(t reflect.Type) string {
	if t == nil {
		return "no result"
	}
	return t.String()
}

// attempt is an attempt that is executing.
type attempt struct {
	p      *process
	number int
	since  time.Time
}

// backoff is the wait after the n-th failure, without jitter.
func backoff(b run.Backoff, n int) time.Duration {
	d := b.Initial
	for range n - 1 {
		if d *= 2; d >= b.Max {
			break
		}
	}
	return max(min(d, b.Max), 1)
}

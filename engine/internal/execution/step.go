package execution

import (
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
)

// Step is a step that the code has asked for and that has no outcome yet.
type Step struct {
	Ref      string
	Spec     run.Step
	Canceled error // why, or nil

	x       *Execution
	since   time.Time
	waiters waitlist
	done    bool
	data    []byte
	failed  *run.StepFailed
}

// Ready implements run.Waitable.
func (s *Step) Ready() bool { return s.done }

func (s *Step) waitlist() *waitlist { return &s.waiters }

// cancel ends the step's retries and its attempt. The outcome comes as an event.
func (s *Step) cancel(err error) {
	if s.Canceled == nil && !s.done {
		s.Canceled = err
		s.x.canceled = append(s.x.canceled, s)
	}
}

// TakeSteps returns the steps that the code has asked for, and those that it has canceled,
// since this was last called. They are valid until the next event.
func (x *Execution) TakeSteps() (asked, canceled []*Step) {
	asked, canceled = x.newSteps, x.canceled
	x.newSteps, x.canceled = x.newSteps[:0], x.canceled[:0]
	return asked, canceled
}

func (s *scope) Step(spec run.Step) ([]byte, error) {
	b, err := s.x.enter()
	if err != nil {
		return nil, err
	}
	if err := CheckName(spec.Name); err != nil {
		return nil, fmt.Errorf("step name %q: %w", spec.Name, err)
	}
	if err := s.err(); err != nil {
		return nil, err
	}
	st := &Step{x: s.x, Ref: s.x.count(&s.x.stepCount, spec.Name), Spec: spec, since: s.x.now}
	s.x.ask(b, &journal.Ask{Op: journal.Step, Ref: st.Ref})
	if s.x.steps == nil {
		s.x.steps = map[string]*Step{}
	}
	s.x.steps[st.Ref] = st
	s.x.newSteps = append(s.x.newSteps, st)
	s.attach(st)
	s.x.wait(b, st)
	s.detach(st)
	if st.failed != nil {
		return nil, st.failed
	}
	return st.data, nil
}

func (s *Step) apply(x *Execution, e *store.Event) {
	switch e.Kind {
	case store.StepRetried:
		if r, err := journal.DecodeRetry(e.Data); x.live && err == nil {
			x.over(Span{Kind: StepRetry, Name: s.Spec.Name, Ref: s.Ref, From: s.since, Failure: &r.Failure, Until: r.RetryAt})
		}
		return
	case store.StepCompleted:
		s.data = e.Data
	default:
		s.failed = &run.StepFailed{Step: s.Ref, Cause: journal.DecodeFailure(e.Data)}
		s.failed.Attempts = s.failed.Cause.Attempts
	}
	span := Span{Kind: StepDone, Name: s.Spec.Name, Ref: s.Ref, From: s.since}
	if s.failed != nil {
		span.Failure = &s.failed.Cause
	}
	x.over(span)
	s.done = true
	delete(x.steps, s.Ref)
	s.waiters.wake(x)
}

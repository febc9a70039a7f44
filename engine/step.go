package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
)

// step is a step that the code has asked for and that has no outcome yet.
type step struct {
	x        *execution
	ref      string
	spec     run.Step
	since    time.Time
	canceled error

	waiters waitlist
	done    bool
	data    []byte
	failed  *run.StepFailed
}

func (s *step) Ready() bool         { return s.done }
func (s *step) waitlist() *waitlist { return &s.waiters }

// cancel ends the step's retries and its attempt. The outcome comes as an event.
func (s *step) cancel(err error) {
	if s.canceled == nil && !s.done {
		s.canceled = err
		s.x.canceled = append(s.x.canceled, s)
	}
}

// takeSteps returns the steps that the code has asked for, and those that it has canceled,
// since this was last called. They are good until the next event.
func (x *execution) takeSteps() (asked, canceled []*step) {
	asked, canceled = x.newSteps, x.canceled
	x.newSteps, x.canceled = x.newSteps[:0], x.canceled[:0]
	return asked, canceled
}

func (s *scope) Step(spec run.Step) ([]byte, error) {
	b, err := s.x.enter()
	if err != nil {
		return nil, err
	}
	if err := checkName(spec.Name); err != nil {
		return nil, fmt.Errorf("step name %q: %w", spec.Name, err)
	}
	if err := s.err(); err != nil {
		return nil, err
	}
	st := &step{x: s.x, ref: count(&s.x.stepCount, spec.Name), spec: spec, since: s.x.now}
	s.x.ask(b, "step "+st.ref, "")
	if s.x.steps == nil {
		s.x.steps = map[string]*step{}
	}
	s.x.steps[st.ref] = st
	s.x.newSteps = append(s.x.newSteps, st)
	s.attach(st)
	s.x.wait(b, st)
	s.detach(st)
	if st.failed != nil {
		return nil, st.failed
	}
	return st.data, nil
}

// retried is the data of a StepRetried event.
type retried struct {
	run.Failure
	RetryAt     time.Time `json:"retry_at"`
	MaxAttempts int       `json:"max_attempts,omitempty"` // as the code has it now; 0: any number. For who looks
}

func (r *retried) encode() []byte {
	data, err := json.Marshal(r)
	if err != nil {
		panic("engine: encode retry: " + err.Error()) // it has strings, numbers and a time only
	}
	return data
}

func (s *step) apply(x *execution, e *store.Event) {
	switch e.Kind {
	case store.StepRetried:
		var r retried
		if x.live && json.Unmarshal(e.Data, &r) == nil {
			x.passed(passage{kind: stepRetry, name: s.spec.Name, ref: s.ref, from: s.since, failure: &r.Failure, until: r.RetryAt})
		}
		return
	case store.StepCompleted:
		s.data = e.Data
	default:
		s.failed = &run.StepFailed{Step: s.ref, Cause: decodeFailure(e.Data)}
		s.failed.Attempts = s.failed.Cause.Attempts
	}
	over := passage{kind: stepDone, name: s.spec.Name, ref: s.ref, from: s.since}
	if s.failed != nil {
		over.failure = &s.failed.Cause
	}
	x.passed(over)
	s.done = true
	delete(x.steps, s.ref)
	s.waiters.wake(x)
}

func decodeFailure(data []byte) run.Failure {
	var f run.Failure
	if err := json.Unmarshal(data, &f); err != nil {
		f = run.Failure{Text: strings.ToValidUTF8(string(data), "�")}
	}
	return f
}

func encodeFailure(f *run.Failure) []byte {
	data, err := json.Marshal(f)
	if err != nil {
		panic("engine: encode failure: " + err.Error()) // it has strings and numbers only
	}
	return data
}

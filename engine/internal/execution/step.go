package execution

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

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

func (s *Step) Ready() bool         { return s.done }
func (s *Step) waitlist() *waitlist { return &s.waiters }

// cancel ends the step's retries and its attempt. The outcome comes as an event.
func (s *Step) cancel(err error) {
	if s.Canceled == nil && !s.done {
		s.Canceled = err
		s.x.canceled = append(s.x.canceled, s)
	}
}

// TakeSteps returns the steps that the code has asked for, and those that it has canceled,
// since this was last called. They are good until the next event.
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
	st := &Step{x: s.x, Ref: count(&s.x.stepCount, spec.Name), Spec: spec, since: s.x.now}
	s.x.ask(b, "step "+st.Ref, "")
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

// Retried is the data of a StepRetried event.
type Retried struct {
	run.Failure
	RetryAt     time.Time `json:"retry_at"`
	MaxAttempts int       `json:"max_attempts,omitempty"` // as the code has it now; 0: any number. For who looks
}

func (r *Retried) Encode() []byte {
	data, err := json.Marshal(r)
	if err != nil {
		panic("engine: encode retry: " + err.Error()) // it has strings, numbers and a time only
	}
	return data
}

func (s *Step) apply(x *Execution, e *store.Event) {
	switch e.Kind {
	case store.StepRetried:
		var r Retried
		if x.live && json.Unmarshal(e.Data, &r) == nil {
			x.over(Span{Kind: StepRetry, Name: s.Spec.Name, Ref: s.Ref, From: s.since, Failure: &r.Failure, Until: r.RetryAt})
		}
		return
	case store.StepCompleted:
		s.data = e.Data
	default:
		s.failed = &run.StepFailed{Step: s.Ref, Cause: DecodeFailure(e.Data)}
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

// DecodeFailure reads a recorded failure.
func DecodeFailure(data []byte) run.Failure {
	var f run.Failure
	if err := json.Unmarshal(data, &f); err != nil {
		f = run.Failure{Text: strings.ToValidUTF8(string(data), "�")}
	}
	return f
}

// EncodeFailure makes the record of a failure.
func EncodeFailure(f *run.Failure) []byte {
	data, err := json.Marshal(f)
	if err != nil {
		panic("engine: encode failure: " + err.Error()) // it has strings and numbers only
	}
	return data
}

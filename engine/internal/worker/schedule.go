package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/jitter"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// schedule decides when steps are attempted. It holds the steps that the code has asked for
// and that have no outcome yet, and is folded from the same events as the execution, so a
// replay comes to the same schedule.
type schedule struct {
	steps  []*scheduled // in the order of asking
	unused []scheduled
}

// scheduled is a step that has no outcome yet.
type scheduled struct {
	ref      string
	spec     *run.Step
	attempts int       // failed ones
	retryAt  time.Time // of the next attempt, if one has failed
	marked   int       // attempt announced by a StepStarted event, 0: none
	begun    bool      // maybe, by an earlier worker
	canceled error     // why, or nil
	settle   bool      // it was canceled, and is yet to end or to be stopped
}

// ask adds a step.
func (s *schedule) ask(ref string, spec *run.Step) {
	if len(s.unused) == 0 {
		s.unused = make([]scheduled, 4) // one allocation for all steps of a short run
	}
	st := &s.unused[0]
	s.unused = s.unused[1:]
	st.ref, st.spec = ref, spec
	s.steps = append(s.steps, st)
}

// get returns a step that has no outcome yet, or nil. There are few.
func (s *schedule) get(ref string) *scheduled {
	if i := s.index(ref); i >= 0 {
		return s.steps[i]
	}
	return nil
}

func (s *schedule) index(ref string) int {
	return slices.IndexFunc(s.steps, func(st *scheduled) bool { return st.ref == ref })
}

// refs returns the steps that have no outcome yet.
func (s *schedule) refs() (refs []string) {
	for _, st := range s.steps {
		refs = append(refs, st.ref)
	}
	return refs
}

// cancel ends the retries of a step, and its attempt.
func (s *schedule) cancel(ref string, err error) {
	if st := s.get(ref); st != nil {
		st.canceled, st.settle = err, true
	}
}

// nextCanceled returns the next canceled step to settle, or nil.
func (s *schedule) nextCanceled() *scheduled {
	i := slices.IndexFunc(s.steps, func(st *scheduled) bool { return st.settle })
	if i < 0 {
		return nil
	}
	s.steps[i].settle = false
	return s.steps[i]
}

// fold takes in an event.
func (s *schedule) fold(e *store.Event, replayed bool) {
	if e.Kind == store.Retried || e.Kind == store.Forked {
		for _, st := range s.steps {
			st.attempts, st.retryAt, st.marked = 0, time.Time{}, 0
			st.begun = st.begun && e.Kind == store.Retried // what the origin has begun, the fork has not
		}
		return
	}
	if e.Kind == store.RetryNow {
		for _, st := range s.steps {
			if st.retryAt.After(e.At) {
				st.retryAt = e.At
			}
			if planted.AttemptsRenewed.Here() {
				st.attempts = 0
			}
		}
		return
	}
	i := s.index(e.Ref)
	if i < 0 {
		return
	}
	st := s.steps[i]
	switch e.Kind {
	case store.StepStarted:
		st.marked = st.attempts + 1
	case store.StepRetried:
		if r, err := journal.DecodeRetry(e.Data); err == nil && (!planted.AttemptsForgotten.Here() || !replayed) {
			st.attempts, st.retryAt = r.Attempts, r.RetryAt
		}
		st.marked, st.begun = 0, false
		st.settle = st.canceled != nil // its attempt returned while the run was paused
	case store.StepCompleted, store.StepFailed:
		st.spec = nil
		s.steps = slices.Delete(s.steps, i, i+1)
	default:
	}
}

// takenOver notes that an earlier worker may have begun the steps that are due.
func (s *schedule) takenOver(now time.Time) {
	for _, st := range s.steps {
		st.begun = st.retryAt.IsZero() || !st.retryAt.After(now)
	}
}

// due returns the steps to begin now, in the order of asking, and when the next of the others
// is to begin. An executing step is not due.
func (s *schedule) due(now time.Time, executing func(ref string) bool) (begin []*scheduled, next time.Time) {
	for _, st := range s.steps {
		switch {
		case executing(st.ref) || st.canceled != nil:
		case st.retryAt.After(now):
			if next.IsZero() || st.retryAt.Before(next) {
				next = st.retryAt
			}
		default:
			begin = append(begin, st)
		}
	}
	return begin, next
}

// failed returns the event of a failed attempt: the step is retried, or has failed.
func (st *scheduled) failed(err *run.StepError, at time.Time) *store.Event {
	f := err.Failure
	f.Attempts = st.attempts + 1
	last := st.spec.MaxAttempts > 0 && f.Attempts >= st.spec.MaxAttempts
	fatal := err.Fatal && !planted.FatalRetried.Here()
	if !fatal && !last && st.canceled == nil {
		next := saturate.After(at, Backoff(st.spec.Backoff, f.Attempts, err.RetryAfter))
		retry := journal.Retry{Failure: f, RetryAt: next, MaxAttempts: st.spec.MaxAttempts}
		return &store.Event{Kind: store.StepRetried, Ref: st.ref, Data: retry.Encode()}
	}
	// Whatever it returned, it was canceled, and the code can test for that.
	if name := canceledName(st.canceled); name != "" && !slices.Contains(f.Is, name) {
		f.Is = append(slices.Clone(f.Is), name)
	}
	return &store.Event{Kind: store.StepFailed, Ref: st.ref, Data: f.Encode()}
}

// unattempted returns the event of a step that was canceled while no attempt was executing.
func (st *scheduled) unattempted() *store.Event {
	f := journal.Failure{Text: st.canceled.Error(), Is: []string{canceledName(st.canceled)}, Attempts: st.attempts}
	return &store.Event{Kind: store.StepFailed, Ref: st.ref, Data: f.Encode()}
}

// unknownOutcome returns the event of a step whose attempt does not return.
func (st *scheduled) unknownOutcome(why string) *store.Event {
	f := journal.Failure{Text: "outcome is unknown: " + why, Is: []string{workflow.ErrOutcomeUnknown.Error()}, Attempts: st.attempts + 1}
	if name := canceledName(st.canceled); name != "" {
		f.Is = append(f.Is, name)
	}
	return &store.Event{Kind: store.StepFailed, Ref: st.ref, Data: f.Encode()}
}

// unreturned returns the event of a canceled step whose attempt has not returned within a time.
func (st *scheduled) unreturned(grace time.Duration) *store.Event {
	return st.unknownOutcome("the attempt has not returned within " + grace.String() + " after it was canceled")
}

// crashed returns the event of an attempt, announced in quarantine, whose worker died.
func (st *scheduled) crashed(now time.Time) *store.Event {
	return st.failed(&run.StepError{Failure: journal.Failure{
		Text: fmt.Sprintf("the worker died while attempt %d of %s was executing", st.marked, run.StepTitle(st.ref)),
	}}, now)
}

// canceledName returns the name under which the cause of a step's cancellation is recorded.
func canceledName(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.DeadlineExceeded):
		return journal.IsDeadlineExceeded
	default:
		return journal.IsCanceled
	}
}

// Backoff returns the wait before the retry that follows the n-th failure.
func Backoff(b run.Backoff, n int, after time.Duration) time.Duration {
	if after > 0 {
		if planted.RetryTooEarly.Here() {
			return after / 2
		}
		return after
	}
	d := max(b.Initial, 0)
	for range n - 1 {
		if d == 0 || d >= b.Max {
			break
		}
		d = saturate.Sum(d, d)
	}
	d = min(d, max(b.Max, 0))
	return saturate.Sum(d, saturate.Product(d, (jitter.Fraction()-0.5)*0.4))
}

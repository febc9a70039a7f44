package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// RetryRun continues a failed run from its journal, tries a blocked one again, or makes the next
// attempt of waiting steps now, see [workflow.Run.Retry]. It fails with [workflow.ErrRunNotFound],
// *[workflow.RetryRefusedError] or *[workflow.HookConflictError].
func (e *Engine) RetryRun(ctx context.Context, runID string) error {
	return e.retry(ctx, e.direct(), runID)
}

func (e *Engine) retry(ctx context.Context, in operations, runID string) error {
	if err := e.usable(ctx); err != nil {
		return fmt.Errorf("retry run %s: %w", runID, err)
	}
	if err := execution.CheckName(runID); err != nil {
		return e.runError("retry", runID, err)
	}
	err := store.ErrConflict
	for tries := 0; tries < 3 && errors.Is(err, store.ErrConflict); tries++ { // the run has moved on since it was loaded
		err = e.tryRetry(ctx, in, runID)
	}
	if errors.Is(err, store.ErrConflict) {
		err = &workflow.RetryRefusedError{RunID: runID, Reason: "it keeps changing: try again"}
	}
	if err != nil {
		return e.runError("retry", runID, err)
	}
	return nil
}

// tryRetry fails with store.ErrConflict if the run has changed since it was loaded.
func (e *Engine) tryRetry(ctx context.Context, in operations, runID string) error {
	l, err := e.store.Load(ctx, runID, 0)
	if err != nil {
		return err
	}
	switch l.Run.Status {
	case store.Failed:
		return e.reopen(ctx, in, &l)
	case store.Blocked:
		return in.Unblock(ctx, runID)
	case store.Running, store.Waiting:
		if waitsForRetry(&l, e.store.Now()) {
			actor, err := actorOf(ctx)
			if err != nil {
				return err
			}
			err = in.Send(ctx, store.Message{RunID: runID, Kind: store.RetryNow, Actor: actor})
			if errors.Is(err, store.ErrFenced) {
				err = store.ErrConflict // it has ended since it was loaded
			}
			return err
		}
	case store.Completed, store.Canceled:
	}
	return &workflow.RetryRefusedError{
		RunID: runID, Reason: fmt.Sprintf("it is %s; only runs that have failed, are blocked or have a step waiting for its next attempt can be retried", l.Run.Status),
	}
}

// waitsForRetry reports whether a step of a run waits for its next attempt.
func waitsForRetry(l *store.Loaded, now time.Time) bool {
	next := map[string]time.Time{}
	for _, e := range l.Events {
		switch e.Kind { //nolint:exhaustive // the others change nothing
		case store.StepRetried:
			if r, err := journal.DecodeRetry(e.Data); err == nil {
				next[e.Ref] = r.RetryAt
			}
		case store.StepCompleted, store.StepFailed:
			delete(next, e.Ref)
		case store.Retried, store.Forked, store.RetryNow:
			clear(next)
		}
	}
	for _, at := range next {
		if at.After(now) {
			return true
		}
	}
	return false
}

func (e *Engine) reopen(ctx context.Context, in operations, l *store.Loaded) error {
	cut, err := planCut(l)
	if err != nil {
		return err
	}
	if err := e.checkSuccessors(ctx, l); err != nil {
		return err
	}
	if cut.Actor, err = actorOf(ctx); err != nil {
		return err
	}
	taken, err := in.Retry(ctx, cut)
	if errors.Is(err, store.ErrExists) {
		return &workflow.HookConflictError{Token: taken.Token, RunID: taken.RunID}
	}
	return err
}

// checkSuccessors refuses to retry a run whose end gave payloads in its journal to a
// successor: they would be delivered twice.
func (e *Engine) checkSuccessors(ctx context.Context, l *store.Loaded) error {
	for _, ev := range l.Events {
		if ev.OrStart == nil || ev.OrStart.ID == l.Run.ID {
			continue
		}
		r, err := e.store.Run(ctx, ev.OrStart.ID)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return err
		case !r.CreatedAt.Before(l.Run.EndedAt):
			return &workflow.RetryRefusedError{
				RunID:  l.Run.ID,
				Reason: fmt.Sprintf("run %s was started with the payloads that it had not taken", r.ID),
			}
		}
	}
	return nil
}

// planCut decides where the journal of a failed run is cut: before the code got the failure
// that ended the run. Nothing visible outside may have begun since.
func planCut(l *store.Loaded) (store.Cut, error) {
	events := l.Events
	last := &events[len(events)-1]
	cut := store.Cut{RunID: l.Run.ID, Events: l.Run.Events}
	from := len(events) - 2 // the event whose turn ended in the failure
	if ref := failedStep(last.Data); ref != "" {
		if i := slices.IndexFunc(events, func(e store.Event) bool { return e.Kind == store.StepFailed && e.Ref == ref }); i >= 0 {
			from = i
		}
	}
	if from >= 0 && l.Run.Origin.At(events[from].Position) != nil {
		return cut, &workflow.RetryRefusedError{
			RunID:  l.Run.ID,
			Reason: fmt.Sprintf("%s failed before it was forked from run %s; fork that where the step had no outcome", events[from].Ref, l.Run.Origin.RunID),
		}
	}
	if from < 0 {
		return cut, &workflow.RetryRefusedError{RunID: l.Run.ID, Reason: "its journal is empty"}
	}
	for _, e := range events[from : len(events)-1] {
		if began := visible(e.Asked); began != "" && events[from].Kind == store.StepFailed {
			return cut, &workflow.RetryRefusedError{
				RunID:  l.Run.ID,
				Reason: fmt.Sprintf("%s began after %s had failed; start it again instead", began, events[from].Ref),
			}
		}
	}
	cut.From = events[from].Position
	for _, e := range events[from : len(events)-1] {
		switch e.Kind {
		case store.StepFailed:
			// The step is attempted again.
		case store.HookClaimed, store.HookConflict, store.HookDrained, store.ChildStarted, store.ChildExists, store.TimerFired,
			store.Responded, store.RespondConflict:
			// The store decides it again.
		case store.AwaitedFailed, store.AwaitRefused:
			// The code asks again when it goes on.
		default:
			cut.Back = append(cut.Back, e.Position)
		}
	}
	return cut, nil
}

// failedStep returns the step whose error a recorded error is, or "".
func failedStep(data []byte) string {
	if f := journal.DecodeFailure(data); len(f.As) > 0 && f.As[0].Type == journal.AsStep {
		return f.As[0].Step
	}
	return ""
}

// visible returns the first of the asks that is visible outside.
func visible(asked string) string {
	for a := range journal.Asks(asked) {
		if a.Op == journal.Step || a.Op == journal.Child || a.Op == journal.Respond {
			return string(a.Op) + " " + a.Ref
		}
	}
	return ""
}

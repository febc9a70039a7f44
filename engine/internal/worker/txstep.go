package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/outage"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
)

// A transactional step is executed in a transaction of the application, which also puts the
// result into the mailbox: the step is done when that commits, whatever becomes of the
// attempt. The executing worker takes the message in with the transition that journals the
// result; a worker that takes the run over finds it like any message.
//
// Exactly one transaction can commit a step: its first write claims the step for good, so that
// another transaction waits for it and then finds it; and it is fenced by the run's epoch when
// it begins and when it ends. So the outcome is never unknown: a result that is not in the
// mailbox when a run is taken over never will be.

var (
	errRollback  = errors.New("the transaction is to be rolled back")
	errCommitted = errors.New("the step's function has committed its transaction by itself: what it wrote stays, and its result is lost")
)

// transact executes an attempt of a transactional step.
func (a *actor) transact(ctx context.Context, at *attempt, spec run.Step, r *result) {
	key := store.TxStep{RunID: a.id, Step: at.ref, Epoch: at.epoch}
	completed := false
	err := begin(ctx, spec, func(tx any, f run.StepFunc) error {
		r.data, r.failed, r.message, completed = nil, nil, 0, false
		in, scene, err := a.w.join(tx)
		if err != nil {
			r.failed = &run.StepError{Failure: journal.Failure{Text: err.Error()}, Fatal: true}
			return errRollback
		}
		if err := in.ClaimStep(ctx, key); err != nil {
			return err
		}
		if r.data, r.failed = a.limited(scene(ctx), at, f); r.failed != nil {
			return errRollback
		}
		m, err := in.CompleteStep(ctx, key, r.data)
		if err != nil {
			return err
		}
		r.message, r.at, completed = m.ID, m.AcceptedAt, true
		return nil
	})
	if completed && err != nil {
		err = a.resolveCommit(spec, key, err)
	}
	switch {
	case r.failed != nil || err == nil:
		return
	case errors.Is(err, store.ErrConflict):
		err = errCommitted
		r.failed = &run.StepError{Failure: journal.Failure{Text: err.Error()}, Fatal: true}
	case errors.Is(err, store.ErrExists), errors.Is(err, store.ErrFenced), errors.Is(err, store.ErrNotFound):
		// The step is done, or another worker owns the run: the mailbox knows.
		r.begun = false
		a.notify()
	default:
		r.failed = &run.StepError{Failure: failureOf(fmt.Errorf("transaction of %s: %w", run.StepTitle(at.ref), err))}
	}
	r.message, r.at = 0, time.Time{}
}

// resolveCommit determines the outcome of a transaction whose commit has failed. It was
// committed, or not, or still may be. Claiming its step waits until that is decided: the error
// is store.ErrExists if it was committed, err if it was not.
func (a *actor) resolveCommit(spec run.Step, key store.TxStep, err error) error {
	ctx := a.w.ctx // the attempt's own context may have ended
	var backoff outage.Backoff
	defer backoff.Quit(a.w.outages)
	for {
		looked := begin(ctx, spec, func(tx any, _ run.StepFunc) error {
			in, _, err := a.w.join(tx)
			if err != nil {
				return err
			}
			if err := in.ClaimStep(ctx, key); err != nil {
				return err
			}
			return errRollback
		})
		if errors.Is(looked, errRollback) {
			backoff.Passed(a.w.outages)
			return err
		}
		for _, known := range []error{store.ErrExists, store.ErrConflict, store.ErrFenced, store.ErrNotFound} {
			if errors.Is(looked, known) {
				backoff.Passed(a.w.outages)
				return looked
			}
		}
		const verb = "learn whether a transaction was committed"
		if ctx.Err() != nil || !outage.Sleep(ctx, backoff.Failed(a.w.outages, verb, a.id, looked)) {
			return store.ErrFenced // the next owner learns the outcome
		}
	}
}

// begin calls do in a transaction. It returns the panic of a Transactor as an error.
func begin(ctx context.Context, spec run.Step, do func(tx any, f run.StepFunc) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{run.Panicked(v)}
		}
	}()
	return run.Sound(spec.Transact(ctx, do))
}

// panicked is a panic as an error.
type panicked struct{ failure journal.Failure }

func (p *panicked) Error() string { return p.failure.Text }

// failureOf returns an error in its recorded form.
func failureOf(err error) journal.Failure {
	err = run.Sound(err)
	f := journal.Failure{Text: run.ErrorText(err)}
	if p, ok := errors.AsType[*panicked](err); ok {
		f.As = p.failure.As
	}
	if errors.Is(err, context.Canceled) {
		f.Is = append(f.Is, journal.IsCanceled)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		f.Is = append(f.Is, journal.IsDeadlineExceeded)
	}
	return f
}

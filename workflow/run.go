package workflow

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tenter-dev/tenter/internal/journal"
)

// Run is the handle of one run, typed by its result. It holds no state.
type Run[Out any] struct {
	client Client
	id     string
}

// Get returns a handle of a run by its ID, without looking whether there is one.
func Get[Out any](c Client, runID string) *Run[Out] {
	return &Run[Out]{client: c, id: runID}
}

// Get returns a handle of a run of this workflow by its ID, without looking whether
// there is one.
func (w *Workflow[In, Out]) Get(c Client, runID string) *Run[Out] {
	return Get[Out](c, runID)
}

// ID returns the run's ID.
func (r *Run[Out]) ID() string {
	if r == nil {
		return ""
	}
	return r.id
}

// usable says why the handle can't be used with ctx.
func (r *Run[Out]) usable(ctx context.Context) error {
	if r == nil {
		return errNilRun
	}
	return usable(ctx, r.client)
}

// Result blocks until the run has ended and returns its result. If it failed the
// error is a *[RunError] through which errors.Is and errors.As find what the
// workflow returned; if it was canceled or terminated it is [ErrCanceled] too. It
// works on an engine that executes nothing, and goes on waiting when the run is
// blocked. Other errors are about the waiting: [ErrRunNotFound], ctx.Err(),
// [ErrEngineClosed].
func (r *Run[Out]) Result(ctx context.Context) (Out, error) {
	var out Out
	if err := r.usable(ctx); err != nil {
		return out, fmt.Errorf("result of run %s: %w", r.ID(), err)
	}
	res, err := r.client.AwaitRun(ctx, r.id)
	if err != nil {
		return out, err
	}
	if res.Status != StatusCompleted {
		return out, runError(res)
	}
	if err := decode(res.Output, &out); err != nil {
		return out, fmt.Errorf("result of run %s: decode: %w", r.id, err)
	}
	return out, nil
}

func runError(res RunResult) error {
	var f journal.Failure
	if err := json.Unmarshal(res.Error, &f); err != nil {
		f.Text = string(res.Error)
	}
	return &RunError{RunID: res.RunID, Workflow: res.Workflow, Err: restore(f)}
}

// Info describes the run. It fails with [ErrRunNotFound].
func (r *Run[Out]) Info(ctx context.Context) (RunInfo, error) {
	if err := r.usable(ctx); err != nil {
		return RunInfo{}, fmt.Errorf("info of run %s: %w", r.ID(), err)
	}
	return r.client.RunInfo(ctx, r.id)
}

// Status returns what the run is doing. It fails with [ErrRunNotFound].
func (r *Run[Out]) Status(ctx context.Context) (Status, error) {
	info, err := r.Info(ctx)
	return info.Status, err
}

// Cancel asks the run to cancel: its durable calls return [context.Canceled], and
// its deferred cleanup may go on under [WithoutCancel]. It returns when the request
// is durable, and fails with [ErrRunNotFound] or [ErrRunEnded].
func (r *Run[Out]) Cancel(ctx context.Context) error {
	if err := r.usable(ctx); err != nil {
		return fmt.Errorf("cancel run %s: %w", r.ID(), err)
	}
	return r.client.CancelRun(ctx, r.id)
}

// Terminate ends the run without asking its code: no cleanup is executed. It works
// in whatever state the run is, from any process. Its children are canceled. The
// reason is part of the run's error, and has [MaxErrorText] bytes at most: a longer one is
// [ErrPayloadTooLarge]. It fails with [ErrRunNotFound] or [ErrRunEnded].
func (r *Run[Out]) Terminate(ctx context.Context, reason string) error {
	if err := r.usable(ctx); err != nil {
		return fmt.Errorf("terminate run %s: %w", r.ID(), err)
	}
	return r.client.TerminateRun(ctx, r.id, reason)
}

// Wake ends the run's sleeps now. Deadlines, the timers of [Select] and the retries of
// steps are not touched. It fails with [ErrRunNotFound] or [ErrRunEnded].
func (r *Run[Out]) Wake(ctx context.Context) error {
	if err := r.usable(ctx); err != nil {
		return fmt.Errorf("wake run %s: %w", r.ID(), err)
	}
	return r.client.WakeRun(ctx, r.id)
}

// Retry lets a failed run go on from its journal after the cause has been mended, or a blocked one
// try again. Steps that wait for their next attempt are attempted at once; they have no more attempts
// than before. A failed run can be retried only if no step, child or response began after the failure
// was handed to its code: else the error is a *[RetryRefusedError] that names what began, and the
// run can be started again. If a token of the run belongs to another run by now the error is a
// *[HookConflictError], and nothing has changed. Any other run is refused with a
// *[RetryRefusedError].
func (r *Run[Out]) Retry(ctx context.Context) error {
	if err := r.usable(ctx); err != nil {
		return fmt.Errorf("retry run %s: %w", r.ID(), err)
	}
	return r.client.RetryRun(ctx, r.id)
}

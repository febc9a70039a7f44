package workflow

import (
	"context"
	"fmt"
	"time"
)

// PauseRequest says why something is paused. The actor is that of [WithActor].
type PauseRequest struct {
	Why string `json:"why,omitempty"` // free text; at most MaxErrorText
}

// Pause is the pause of a run.
type Pause struct {
	At       time.Time `json:"at"`
	By       Actor     `json:"by,omitzero"`
	Why      string    `json:"why,omitempty"`
	Workflow bool      `json:"workflow,omitempty"` // all runs of its workflow are paused, and not the run itself
}

// Pause pauses the run, and returns when that is durable. From then on its code does not go on,
// and no attempt of a step begins, until [Run.Resume], through all restarts of workers. Attempts
// that are executing return, and their outcomes wait; so do payloads, which are accepted as ever,
// and everything else that is sent to the run, such as a request to cancel it. Deadlines and timers
// do not stop: those that have passed are due when the run goes on, before what was accepted after
// them. Terminate ends a paused run at once.
//
// A run that is paused stays so as it is, by whom and why. Its children are not paused. It fails with
// [ErrRunNotFound] or [ErrRunEnded], with [ErrPayloadTooLarge] if a text is too long, or with
// [ErrOldWorker].
func (r *Run[Out]) Pause(ctx context.Context, req PauseRequest) error {
	if err := r.usable(ctx); err != nil {
		return fmt.Errorf("pause run %s: %w", r.ID(), err)
	}
	return r.client.PauseRun(ctx, r.id, req)
}

// Resume lets the run go on if it is paused, unless its workflow is paused too. It returns when that
// is durable, and fails with [ErrRunNotFound] or [ErrRunEnded].
func (r *Run[Out]) Resume(ctx context.Context) error {
	if err := r.usable(ctx); err != nil {
		return fmt.Errorf("resume run %s: %w", r.ID(), err)
	}
	return r.client.ResumeRun(ctx, r.id)
}

// Pause pauses all runs of the workflow, of all versions, as [Run.Pause] does one, and returns when
// that is durable. Runs that start later are paused too: to start one is durable, as ever, and its
// code begins when the workflow is resumed. A workflow that is paused stays so as it is. It fails
// with [ErrPayloadTooLarge] if a text of the request is too long, or with [ErrOldWorker].
func (w *Workflow[In, Out]) Pause(ctx context.Context, c Client, req PauseRequest) error {
	if w == nil {
		return fmt.Errorf("pause workflow: %w", errNilWorkflow)
	}
	if err := usable(ctx, c); err != nil {
		return fmt.Errorf("pause workflow %s: %w", w.Name(), err)
	}
	return c.PauseWorkflow(ctx, w.Name(), req)
}

// Resume lets the runs of the workflow go on, except for those that are paused themselves. It returns
// when that is durable.
func (w *Workflow[In, Out]) Resume(ctx context.Context, c Client) error {
	if w == nil {
		return fmt.Errorf("resume workflow: %w", errNilWorkflow)
	}
	if err := usable(ctx, c); err != nil {
		return fmt.Errorf("resume workflow %s: %w", w.Name(), err)
	}
	return c.ResumeWorkflow(ctx, w.Name())
}

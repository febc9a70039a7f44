package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/engine/internal/telemetry"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// PauseRun pauses a run until ResumeRun, see [workflow.Run.Pause]. It fails with
// [workflow.ErrRunNotFound], [workflow.ErrRunEnded] or [workflow.ErrPayloadTooLarge], or with
// [workflow.ErrOldWorker], which says which worker that is.
func (e *Engine) PauseRun(ctx context.Context, runID string, req workflow.PauseRequest) error {
	return e.pauseRun(ctx, e.direct(), runID, req)
}

// ResumeRun lets a paused run go on, see [workflow.Run.Resume]. It fails with
// [workflow.ErrRunNotFound] or [workflow.ErrRunEnded].
func (e *Engine) ResumeRun(ctx context.Context, runID string) error {
	return e.resumeRun(ctx, e.direct(), runID)
}

func (e *Engine) pauseRun(ctx context.Context, in operations, runID string, req workflow.PauseRequest) error {
	if err := e.usable(ctx); err != nil {
		return fmt.Errorf("pause run %s: %w", runID, err)
	}
	p, err := newPause(ctx, req)
	if err == nil {
		err = execution.CheckName(runID)
	}
	if err == nil {
		err = in.Pause(ctx, runID, p)
	}
	if err != nil {
		return e.runError("pause", runID, err)
	}
	e.tel.Paused(ctx, telemetry.OneRun)
	return nil
}

func (e *Engine) resumeRun(ctx context.Context, in operations, runID string) error {
	if err := e.usable(ctx); err != nil {
		return fmt.Errorf("resume run %s: %w", runID, err)
	}
	actor, err := actorOf(ctx)
	if err == nil {
		err = execution.CheckName(runID)
	}
	if err == nil {
		err = in.Resume(ctx, runID, actor)
	}
	if err != nil {
		return e.runError("resume", runID, err)
	}
	e.tel.Resumed(ctx, telemetry.OneRun)
	return nil
}

// PauseWorkflow pauses all runs of a workflow, those that start later too, until ResumeWorkflow, see
// [workflow.Workflow.Pause]. The workflow need not be known here. It fails with
// [workflow.ErrInvalidName], [workflow.ErrPayloadTooLarge] or [workflow.ErrOldWorker].
func (e *Engine) PauseWorkflow(ctx context.Context, name string, req workflow.PauseRequest) error {
	err := e.workflowOrder(ctx, "pause", name, func() error {
		p, err := newPause(ctx, req)
		if err != nil {
			return err
		}
		return e.store.PauseWorkflow(ctx, name, p)
	})
	if err == nil {
		e.tel.Paused(ctx, telemetry.OneWorkflow)
	}
	return err
}

// ResumeWorkflow lets the runs of a workflow go on, see [workflow.Workflow.Resume]. It fails with
// [workflow.ErrInvalidName].
func (e *Engine) ResumeWorkflow(ctx context.Context, name string) error {
	err := e.workflowOrder(ctx, "resume", name, func() error { return e.store.ResumeWorkflow(ctx, name) })
	if err == nil {
		e.tel.Resumed(ctx, telemetry.OneWorkflow)
	}
	return err
}

func (e *Engine) workflowOrder(ctx context.Context, verb, name string, order func() error) error {
	err := e.usable(ctx)
	if err == nil {
		err = execution.CheckName(name)
	}
	if err == nil {
		err = order()
	}
	if errors.Is(err, store.ErrOldWorker) {
		err = fmt.Errorf("%w: %w", workflow.ErrOldWorker, err)
	}
	if err != nil {
		return fmt.Errorf("%s workflow %s: %w", verb, name, err)
	}
	return nil
}

// PausedWorkflows lists the workflows that are paused, see [inspect.Client].
func (e *Engine) PausedWorkflows(ctx context.Context) ([]inspect.PausedWorkflow, error) {
	if err := e.usable(ctx); err != nil {
		return nil, fmt.Errorf("list paused workflows: %w", err)
	}
	found, err := e.store.PausedWorkflows(ctx)
	if err != nil {
		return nil, fmt.Errorf("list paused workflows: %w", err)
	}
	all := make([]inspect.PausedWorkflow, len(found))
	for i, p := range found {
		all[i] = inspect.PausedWorkflow{Workflow: p.Workflow, At: p.At, By: workflow.Actor(journal.DecodeActor(p.Actor)), Why: p.Why}
	}
	return all, nil
}

// newPause checks a request.
func newPause(ctx context.Context, req workflow.PauseRequest) (store.Pause, error) {
	if len(req.Why) > run.MaxText {
		return store.Pause{}, fmt.Errorf("%w: why it is paused has %d bytes, the limit is %d", workflow.ErrPayloadTooLarge, len(req.Why), run.MaxText)
	}
	actor, err := actorOf(ctx)
	return store.Pause{Actor: actor, Why: strings.ToValidUTF8(strings.ReplaceAll(req.Why, "\x00", "\uFFFD"), "\uFFFD")}, err
}

// pauseOf describes the pause of a run.
func pauseOf(r *store.Run) *workflow.Pause {
	if r.Paused == nil {
		return nil
	}
	p := r.Paused
	return &workflow.Pause{At: p.At, By: workflow.Actor(journal.DecodeActor(p.Actor)), Why: p.Why, Workflow: p.Workflow}
}

var errPauseInTx = errors.New("a workflow can't be paused or resumed in a transaction: use the engine")

package engine

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// RunInfo describes a run. It fails with [workflow.ErrRunNotFound].
func (e *Engine) RunInfo(ctx context.Context, runID string) (workflow.RunInfo, error) {
	if err := e.usable(ctx); err != nil {
		return workflow.RunInfo{}, fmt.Errorf("look up run %s: %w", runID, err)
	}
	e.refreshLease()
	return e.runInfo(ctx, e.direct(), runID)
}

func (e *Engine) runInfo(ctx context.Context, in operations, runID string) (workflow.RunInfo, error) {
	r, err := store.Run{}, execution.CheckName(runID)
	if err == nil {
		r, err = in.Run(ctx, runID)
	}
	if err != nil {
		return workflow.RunInfo{}, e.runError("look up", runID, err)
	}
	return runInfo(&r), nil
}

func runInfo(r *store.Run) workflow.RunInfo {
	info := workflow.RunInfo{
		ID: r.ID, Workflow: r.Workflow, Version: r.Version, Status: workflow.Status(r.Status), Reason: r.BlockedReason,
		ParentID: r.ParentID, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, EndedAt: r.EndedAt, Events: r.Events, Worker: r.Worker,
		Generation: int(r.Generation), Base: r.Base, Paused: pauseOf(r),
	}
	if o := r.Origin; o != nil {
		info.ForkedFrom = &workflow.ForkedFrom{RunID: o.RunID, Position: o.Position, Step: o.Step}
	}
	if r.BlockedReason != "" {
		info.ReasonCode = workflow.ReasonCode(journal.ReasonCode(r.BlockedReason))
	}
	if r.Status == store.Waiting {
		info.WakeAt = r.WakeAt
	}
	return info
}

// CancelRun asks a run to cancel, see [workflow.Run.Cancel]. It fails with
// [workflow.ErrRunNotFound] or [workflow.ErrRunEnded].
func (e *Engine) CancelRun(ctx context.Context, runID string) error {
	return e.send(ctx, e.direct(), "cancel", store.Message{RunID: runID, Kind: store.CancelRequested})
}

// WakeRun ends a run's sleeps now, see [workflow.Run.Wake]. It fails with
// [workflow.ErrRunNotFound] or [workflow.ErrRunEnded].
func (e *Engine) WakeRun(ctx context.Context, runID string) error {
	return e.send(ctx, e.direct(), "wake", store.Message{RunID: runID, Kind: store.Woken})
}

func (e *Engine) send(ctx context.Context, in operations, verb string, m store.Message) error {
	if err := e.usable(ctx); err != nil {
		return fmt.Errorf("%s run %s: %w", verb, m.RunID, err)
	}
	err := execution.CheckName(m.RunID)
	if err == nil {
		m.Actor, err = actorOf(ctx)
	}
	if err == nil {
		err = in.Send(ctx, m)
	}
	if err != nil {
		return e.runError(verb, m.RunID, err)
	}
	return nil
}

// TerminateRun ends a run without asking its code, see [workflow.Run.Terminate]. What is in
// its mailbox is recorded as unread; its journal stays readable. It fails with
// [workflow.ErrRunNotFound], [workflow.ErrRunEnded], or [workflow.ErrPayloadTooLarge] if the
// reason is longer than [workflow.MaxErrorText].
func (e *Engine) TerminateRun(ctx context.Context, runID, reason string) error {
	if err := e.terminate(ctx, e.direct(), runID, reason); err != nil {
		return err
	}
	e.pokeRun(runID)
	return nil
}

func (e *Engine) terminate(ctx context.Context, in operations, runID, reason string) error {
	if err := e.usable(ctx); err != nil {
		return fmt.Errorf("terminate run %s: %w", runID, err)
	}
	if err := execution.CheckName(runID); err != nil {
		return e.runError("terminate", runID, err)
	}
	if len(reason) > run.MaxText {
		return fmt.Errorf("terminate run %s: %w: the reason has %d bytes, the limit is %d", runID, workflow.ErrPayloadTooLarge, len(reason), run.MaxText)
	}
	actor, err := actorOf(ctx)
	if err != nil {
		return e.runError("terminate", runID, err)
	}
	f := journal.Failure{Text: "terminated", Is: []string{journal.IsRunCanceled, journal.IsRunTerminated}}
	if reason != "" {
		f.Text += ": " + reason
	}
	ev := store.Event{Kind: store.RunCanceled, At: microseconds(e.store.Now()), Data: f.Encode(), Actor: actor}
	if err := in.Terminate(ctx, runID, ev); err != nil {
		return e.runError("terminate", runID, err)
	}
	e.tel.Terminated(ctx, func() (store.Run, error) { return in.Run(ctx, runID) }, &ev)
	return nil
}

// pokeRun makes a live run check whether it is still ours.
func (e *Engine) pokeRun(runID string) {
	e.mu.Lock()
	w := e.worker
	e.mu.Unlock()
	if w != nil {
		w.Signal(store.Signal{Mail: []string{runID}})
	}
}

package engine

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// RunInfo describes a run. It fails with [workflow.ErrRunNotFound].
func (e *Engine) RunInfo(ctx context.Context, runID string) (workflow.RunInfo, error) {
	if err := e.usable(ctx); err != nil {
		return workflow.RunInfo{}, fmt.Errorf("look up run %s: %w", runID, err)
	}
	e.showUp()
	return e.runInfo(ctx, e.direct(), runID)
}

func (e *Engine) runInfo(ctx context.Context, in operations, runID string) (workflow.RunInfo, error) {
	r, err := in.Run(ctx, runID)
	if err != nil {
		return workflow.RunInfo{}, e.runError("look up", runID, err)
	}
	return runInfo(&r), nil
}

// showUp renews the lease of a worker that was idle, lest its runs look as if nobody
// could execute them.
func (e *Engine) showUp() {
	if w := e.running(); w != nil {
		_, _ = w.lease.ensure() // if it fails, so will what comes next
	}
}

func runInfo(r *store.Run) workflow.RunInfo {
	info := workflow.RunInfo{
		ID: r.ID, Workflow: r.Workflow, Version: r.Version, Status: workflow.Status(r.Status), Reason: r.BlockedReason,
		ParentID: r.ParentID, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, EndedAt: r.EndedAt, Events: r.Events,
	}
	if r.Status == store.Waiting {
		info.WakeAt = r.WakeAt
	}
	return info
}

// Filter selects runs by what all its fields ask for. Zero fields ask for nothing.
type Filter struct {
	Status   workflow.Status
	Workflow string
	ParentID string
	Before   string // only runs whose ID is smaller: the last one of the page before
	Limit    int    // default 100
}

// Runs lists runs, newest first: a page of at most Filter.Limit of them.
func (e *Engine) Runs(ctx context.Context, f Filter) ([]workflow.RunInfo, error) {
	if err := e.usable(ctx); err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	e.showUp()
	found, err := e.store.Runs(ctx, store.Filter{
		Status: store.Status(f.Status), Workflow: f.Workflow, ParentID: f.ParentID, Before: f.Before, Limit: f.Limit,
	})
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	infos := make([]workflow.RunInfo, len(found))
	for i := range found {
		infos[i] = runInfo(&found[i])
	}
	return infos, nil
}

// Hooks lists the open hooks of a run, or of all runs if runID is empty, in the order
// in which they were opened.
func (e *Engine) Hooks(ctx context.Context, runID string) ([]workflow.HookInfo, error) {
	if err := e.usable(ctx); err != nil {
		return nil, fmt.Errorf("list hooks of run %s: %w", runID, err)
	}
	hooks, err := e.store.Hooks(ctx, runID, maxHooks)
	if err != nil {
		return nil, e.runError("list hooks of", runID, err)
	}
	infos := make([]workflow.HookInfo, len(hooks))
	for i, h := range hooks {
		infos[i] = hookInfo(h)
	}
	return infos, nil
}

const maxHooks = 10_000

// Unread returns the payloads that an ended run had accepted and never took, in
// order.
func (e *Engine) Unread(ctx context.Context, runID string) ([]store.Message, error) {
	if err := e.usable(ctx); err != nil {
		return nil, fmt.Errorf("list unread payloads of run %s: %w", runID, err)
	}
	unread, err := e.store.Unread(ctx, runID)
	if err != nil {
		return nil, e.runError("list unread payloads of", runID, err)
	}
	return unread, nil
}

// Journal returns the events of a run after a position; 0 is all of them. It fails
// with [workflow.ErrRunNotFound].
func (e *Engine) Journal(ctx context.Context, runID string, after int64) ([]store.Event, error) {
	if err := e.usable(ctx); err != nil {
		return nil, fmt.Errorf("read journal of run %s: %w", runID, err)
	}
	l, err := e.store.Load(ctx, runID, after)
	if err != nil {
		return nil, e.runError("read journal of", runID, err)
	}
	return l.Events, nil
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
	if err := in.Send(ctx, m); err != nil {
		return e.runError(verb, m.RunID, err)
	}
	return nil
}

// TerminateRun ends a run without asking its code, see [workflow.Run.Terminate]. What
// is in its mailbox is recorded as unread; what its journal has is there to be read.
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
	f := run.Failure{Text: "terminated", Is: []string{run.IsRunCanceled, run.IsRunTerminated}}
	if reason != "" {
		f.Text += ": " + reason
	}
	ev := store.Event{Kind: store.RunCanceled, At: microseconds(e.store.Now()), Data: encodeFailure(&f)}
	if err := in.Terminate(ctx, runID, ev); err != nil {
		return e.runError("terminate", runID, err)
	}
	e.tel.terminated(ctx, in, runID, &ev)
	return nil
}

// pokeRun has a live run look whether it is still ours.
func (e *Engine) pokeRun(runID string) {
	e.mu.Lock()
	w := e.worker
	e.mu.Unlock()
	if w != nil {
		w.signal(store.Signal{Mail: []string{runID}})
	}
}

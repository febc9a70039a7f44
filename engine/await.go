package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/engine/internal/waiting"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// AwaitRun blocks until the run has ended and returns how. It fails with
// [workflow.ErrRunNotFound] if there is no such run. A store that fails while it waits
// does not end the wait. If the run has something to do, and for some seconds nobody is
// there who executes its workflow, the log says so.
func (e *Engine) AwaitRun(ctx context.Context, runID string) (workflow.RunResult, error) {
	if err := e.usable(ctx); err != nil {
		return workflow.RunResult{}, fmt.Errorf("await run %s: %w", runID, err)
	}
	if err := execution.CheckName(runID); err != nil {
		return workflow.RunResult{}, e.runError("await", runID, err)
	}
	waiter := e.waits.Listen(waiting.EndOf(runID))
	defer waiter.Stop()
	if res, ok := e.waits.Recent(waiting.EndOf(runID)).(*workflow.RunResult); ok {
		return *res, nil
	}
	e.mu.Lock()
	w := e.worker
	e.mu.Unlock()
	hung := e.askAgain(ctx, waiter, runID)
	defer hung.stop()
	now := w == nil || !w.Executes(runID) // who executes it tells how it ends
	first := now
	var final error
	end, err := waiter.Wait(ctx, e.closed, waiting.Query{
		Verb: "look how a run has ended", RunID: runID, Now: now,
		Look: func(ctx context.Context) (any, bool, error) {
			res, err := e.result(ctx, runID)
			if res != nil {
				return res, true, nil
			}
			if err != nil && (first || errors.Is(err, workflow.ErrRunNotFound) || errors.Is(err, store.ErrClosed)) {
				final = err
			}
			first = false
			e.waits.Elsewhere(waiting.EndOf(runID))
			return nil, final != nil, err
		},
	})
	if res, ok := end.(*workflow.RunResult); ok {
		return *res, nil
	}
	switch {
	case final != nil:
		return workflow.RunResult{}, final
	case errors.Is(err, waiting.ErrStopped):
		err = workflow.ErrEngineClosed
	default:
		err = ctx.Err()
	}
	return workflow.RunResult{}, fmt.Errorf("await run %s: %w", runID, err)
}

// hungWait has one who waits for a run look again after a second: if whoever executes it
// hangs, others may have ended the run before anybody listened. After that it looks now and
// then whether there is anybody who executes the run.
type hungWait struct {
	e       *Engine
	ctx     context.Context //nolint:containedctx // of the one who waits
	waiter  *waiting.Waiter
	runID   string
	pause   time.Duration
	timer   *time.Timer
	stopped atomic.Bool
}

func (e *Engine) askAgain(ctx context.Context, w *waiting.Waiter, runID string) *hungWait {
	h := &hungWait{e: e, ctx: ctx, waiter: w, runID: runID}
	h.timer = time.AfterFunc(time.Hour, h.check)
	h.timer.Reset(time.Second)
	return h
}

func (h *hungWait) check() {
	switch {
	case h.pause == 0:
		h.waiter.Look()
		h.pause = unattendedAfter
	case h.e.warnUnattended(h.ctx, h.runID):
		h.pause *= 2
	}
	h.timer.Reset(h.pause)
	if h.stopped.Load() {
		h.timer.Stop()
	}
}

func (h *hungWait) stop() {
	h.stopped.Store(true)
	h.timer.Stop()
}

// result reads the result of a run that has ended; nil: it has not.
func (e *Engine) result(ctx context.Context, runID string) (*workflow.RunResult, error) {
	end, err := e.ends.Load(ctx, e.store, runID)
	if err != nil {
		return nil, e.runError("await", runID, err)
	}
	if !end.Status.Ended() {
		return nil, nil //nolint:nilnil // no result yet, and nothing wrong
	}
	return waiting.NewResult(runID, end.Workflow, end.Status, end.Data), nil
}

// runError gives the store's errors about a run the names that callers know.
func (e *Engine) runError(verb, runID string, err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		err = workflow.ErrRunNotFound
	case errors.Is(err, store.ErrFenced):
		err = workflow.ErrRunEnded
	}
	return fmt.Errorf("%s run %s: %w", verb, runID, err)
}

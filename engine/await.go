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
// [workflow.ErrRunNotFound] if there is no such run. A store failure during the wait does not
// end it. If the run has had something to do for some seconds and no live worker has its
// workflow, a warning is logged.
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
	// The worker that executes the run delivers its end.
	now := (w == nil || !w.Executes(runID)) && !e.waits.Begun(waiting.EndOf(runID))
	q := &endQuery{e: e, ctx: ctx, waiter: waiter, runID: runID, first: now}
	q.start()
	defer q.stop()
	end, err := waiter.Wait(ctx, e.closed, now, q)
	if res, ok := end.(*workflow.RunResult); ok {
		return *res, nil
	}
	switch {
	case q.failed != nil:
		return workflow.RunResult{}, q.failed
	case errors.Is(err, waiting.ErrStopped):
		err = workflow.ErrEngineClosed
	default:
		err = ctx.Err()
	}
	return workflow.RunResult{}, fmt.Errorf("await run %s: %w", runID, err)
}

// endQuery looks up how a run has ended, for a caller waiting for it.
type endQuery struct {
	e      *Engine
	ctx    context.Context //nolint:containedctx // of the waiting caller
	waiter *waiting.Waiter
	runID  string
	first  bool  // the first look precedes the wait, and its error counts
	failed error // the error that ends the wait

	timer   *time.Timer
	pause   time.Duration
	stopped atomic.Bool
}

// Look implements waiting.Query.
func (q *endQuery) Look(ctx context.Context) (found any, final bool, err error) {
	res, err := q.e.result(ctx, q.runID)
	if res != nil {
		return res, true, nil
	}
	if err != nil && (q.first || errors.Is(err, workflow.ErrRunNotFound) || errors.Is(err, store.ErrClosed)) {
		q.failed = err
	}
	q.first = false
	q.e.waits.Elsewhere(waiting.EndOf(q.runID))
	return nil, q.failed != nil, err
}

// Describe implements waiting.Query.
func (q *endQuery) Describe() (verb, runID string) { return "look up how a run has ended", q.runID }

// start makes the waiter look again after a second: if the worker executing the run hangs,
// others may have ended the run before anyone listened. After that, tick checks now and then
// whether any worker executes it.
func (q *endQuery) start() {
	q.timer = time.AfterFunc(time.Hour, q.tick)
	q.timer.Reset(time.Second)
}

func (q *endQuery) tick() {
	switch {
	case q.pause == 0:
		q.waiter.Look()
		q.pause = unattendedAfter
	case q.e.warnUnattended(q.ctx, q.runID):
		q.pause *= 2
	}
	q.timer.Reset(q.pause)
	if q.stopped.Load() {
		q.timer.Stop()
	}
}

func (q *endQuery) stop() {
	q.stopped.Store(true)
	q.timer.Stop()
}

// result reads the result of a run, nil if it has not ended.
func (e *Engine) result(ctx context.Context, runID string) (*workflow.RunResult, error) {
	end, err := e.endings.Get(ctx, runID)
	if err == nil && end.RunID == "" {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, e.runError("await", runID, err)
	}
	if !end.Status.Ended() {
		return nil, nil //nolint:nilnil // no result yet, and nothing wrong
	}
	return waiting.NewResult(runID, end.Workflow, end.Status, end.Data), nil
}

// runError translates the store's errors about a run into those that callers know.
func (e *Engine) runError(verb, runID string, err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		err = workflow.ErrRunNotFound
	case errors.Is(err, store.ErrFenced):
		err = workflow.ErrRunEnded
	case errors.Is(err, store.ErrOldWorker):
		err = fmt.Errorf("%w: %w", workflow.ErrOldWorker, err)
	}
	return fmt.Errorf("%s run %s: %w", verb, runID, err)
}

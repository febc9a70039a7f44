package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
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
	ch := e.waiter(runID)
	defer e.unwait(runID, ch)
	e.mu.Lock()
	w, res := e.worker, e.recent.get(runID)
	e.mu.Unlock()
	if res != nil {
		return *res, nil
	}
	look := w == nil || !w.executes(runID)
	// Who executes it tells how it ends. If it hangs, others may have ended the run
	// before anybody listened, so a look is taken all the same, once. After that it is looked
	// now and then whether there is anybody.
	hung := time.NewTimer(time.Second)
	defer hung.Stop()
	pause := time.Duration(0) // after which hung fires again
	missed, caughtUp := e.catchup.missed(), true
	var stalled stall
	defer stalled.quit(&e.troubles)
	var again <-chan time.Time // after the store has failed
	for waits := false; ; waits = true {
		var err error
		if look {
			var res *workflow.RunResult
			res, err = e.result(ctx, runID)
			if res != nil || err != nil && (!waits || errors.Is(err, workflow.ErrRunNotFound) || errors.Is(err, store.ErrClosed)) {
				return value(res), err
			}
			e.listenFor(runID)
		}
		if err == nil && !caughtUp {
			err = e.catchUp(ctx)
		}
		switch {
		case err == nil:
			stalled.passed(&e.troubles)
			look, caughtUp, again = false, true, nil
		case ctx.Err() == nil:
			again = time.After(stalled.failed(&e.troubles, "look how a run has ended", runID, err))
		}
		select {
		case res := <-ch:
			if res != nil {
				return *res, nil
			}
			look = true
		case <-hung.C:
			if pause == 0 {
				look, pause = true, unattendedAfter
			} else if e.warnUnattended(ctx, runID) {
				pause *= 2
			}
			hung.Reset(pause)
		case <-missed:
			missed, caughtUp = e.catchup.missed(), false
		case <-again:
		case <-ctx.Done():
			return workflow.RunResult{}, fmt.Errorf("await run %s: %w", runID, ctx.Err())
		case <-e.closed:
			return workflow.RunResult{}, fmt.Errorf("await run %s: %w", runID, workflow.ErrEngineClosed)
		}
	}
}

// waiters wait for the end of one run.
type waiters struct {
	chans []chan *workflow.RunResult // nil says: look again
	done  func()                     // of the store's Await, once another process may end the run
}

// waiter returns a channel that gets the result of a run, or nil as a hint to look.
func (e *Engine) waiter(runID string) chan *workflow.RunResult {
	ch := make(chan *workflow.RunResult, 1)
	e.mu.Lock()
	defer e.mu.Unlock()
	ws := e.waiters[runID]
	if ws == nil {
		ws = &waiters{}
		e.waiters[runID] = ws
	}
	ws.chans = append(ws.chans, ch)
	return ch
}

// listenFor notes that another process may end a run. Who waits for it has to be told.
func (e *Engine) listenFor(runID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ws := e.waiters[runID]; ws != nil && ws.done == nil {
		ws.done = e.store.Await()
	}
}

func value(res *workflow.RunResult) workflow.RunResult {
	if res == nil {
		return workflow.RunResult{}
	}
	return *res
}

// result reads the result of a run that has ended; nil: it has not.
func (e *Engine) result(ctx context.Context, runID string) (*workflow.RunResult, error) {
	end, err := e.looks.at(ctx, e.store, runID)
	if err != nil {
		return nil, e.runError("await", runID, err)
	}
	if !end.Status.Ended() {
		return nil, nil //nolint:nilnil // no result yet, and nothing wrong
	}
	return newResult(runID, end.Workflow, end.Status, end.Data), nil
}

// newResult is the result of a run. data is that of its last event.
func newResult(runID, name string, status store.Status, data []byte) *workflow.RunResult {
	res := &workflow.RunResult{RunID: runID, Workflow: name, Status: workflow.Status(status)}
	if status == store.Completed {
		res.Output = data
	} else {
		res.Error = data
	}
	return res
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

// finish hands a result to who waits for it.
func (e *Engine) finish(runID string, res *workflow.RunResult) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiters[runID] == nil {
		e.recent.add(res)
		return
	}
	notify(e.waiters[runID], res)
	e.dismiss(runID)
}

// dismiss forgets the waiters of a run. It is called with e.mu held.
func (e *Engine) dismiss(runID string) {
	if ws := e.waiters[runID]; ws != nil && ws.done != nil {
		ws.done()
	}
	delete(e.waiters, runID)
}

// recheck has who waits for the run look again.
func (e *Engine) recheck(runID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	notify(e.waiters[runID], nil)
}

func notify(ws *waiters, res *workflow.RunResult) {
	if ws == nil {
		return
	}
	for _, ch := range ws.chans {
		if res != nil {
			select { // it matters more than a hint that is there
			case <-ch:
			default:
			}
		}
		select {
		case ch <- res:
		default:
		}
	}
}

func (e *Engine) unwait(runID string, ch chan *workflow.RunResult) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ws := e.waiters[runID]
	if ws == nil {
		return
	}
	ws.chans = slices.DeleteFunc(ws.chans, func(c chan *workflow.RunResult) bool { return c == ch })
	if len(ws.chans) == 0 {
		e.dismiss(runID)
	}
}

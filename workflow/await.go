package workflow

import (
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/internal/run"
)

// Await awaits the end of any run, not only of a child, and does not wait for it: the Future has its
// result. The run that awaits is parked meanwhile, and holds nothing; it is told in the very commit
// that ends the other one, by whatever process. A run that has ended already gives its result at
// once.
//
//	order, err := workflow.Await[Receipt](ctx, "order-7").Wait(ctx)
//
// The Future has the errors of [Run.Result]: if the run failed, or was canceled, a *[RunError] through
// which errors.Is and errors.As find what its workflow returned; if its result does not decode into
// Out, an error that says so. It fails with [ErrRunNotFound] if there is no such run, or no more since
// it was pruned, and with [ErrAwaitCycle] if that run awaits this one, directly or through others. A
// child may await its parent; if that waits for the child, neither goes on.
//
// A run that restarts has not ended: runs that await it go on waiting. One that failed has told its
// failure, also if it is retried then; a new Await gets its next end. When ctx ends the run is awaited
// no more, and the Future has the error of ctx; the other run does not notice.
func Await[Out any](ctx Context, runID string) *Future[Out] {
	awaited, err := scopeOf(ctx).AwaitRun(runID)
	if err != nil {
		return &Future[Out]{err: awaitError(runID, err)}
	}
	return &Future[Out]{done: awaited, get: func() (Out, error) {
		var out Out
		name, data, failure, err := awaited.Result()
		switch {
		case err != nil:
			return out, awaitError(runID, err)
		case failure != nil:
			return out, &RunError{RunID: runID, Workflow: name, Err: restore(*failure)}
		}
		if err := decode(data, &out); err != nil {
			return out, fmt.Errorf("result of run %s: decode: %w", runID, err)
		}
		return out, nil
	}}
}

// awaitError is the error of a run that can't be awaited, as authors know it.
func awaitError(runID string, err error) error {
	if cycle, ok := errors.AsType[*run.AwaitCycle](err); ok {
		return fmt.Errorf("await run %s: %w: %w", runID, ErrAwaitCycle, cycle)
	}
	if errors.Is(err, run.ErrRunMissing) {
		err = ErrRunNotFound
	}
	return fmt.Errorf("await run %s: %w", runID, err)
}

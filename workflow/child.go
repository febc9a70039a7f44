package workflow

import (
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/internal/run"
)

// Call starts a child run and waits for its result. The child is a separate run: any worker may
// execute it. If it does not complete, the error is a *[RunError]. If ctx ends, the child is asked
// to cancel and Call returns ctx.Err() at once. If a run with the given [RunID] exists, even of the
// same workflow, the error is a *[RunExistsError]. A workflow that no worker has leaves the child
// blocked.
func (w *Workflow[In, Out]) Call(ctx Context, in In, opts ...StartOption) (Out, error) {
	return w.Go(ctx, in, opts...).Wait(ctx)
}

// Go starts a child run and does not wait for it. When ctx ends the child is asked
// to cancel; under [WithoutCancel] it outlives its parent's cancellation. A child
// that has not ended when its parent does goes on.
//
// Without [RunID] its ID is the parent's, the name of the workflow and a number:
// "order-7.ship.1". The IDs of distant descendants, which would be longer than 512 bytes,
// have a hash in place of their middle.
func (w *Workflow[In, Out]) Go(ctx Context, in In, opts ...StartOption) *Future[Out] {
	req, err := w.request(in, opts)
	if err != nil {
		return &Future[Out]{err: err}
	}
	child, err := scopeOf(ctx).StartChild(run.Child{Workflow: w.name, RunID: req.RunID, Input: req.Input})
	if exists, ok := errors.AsType[*run.ChildExists](err); ok {
		err = &RunExistsError{RunID: exists.RunID, relation: exists.Relation}
	}
	if err != nil {
		return &Future[Out]{err: err}
	}
	return &Future[Out]{done: child, get: func() (Out, error) {
		var out Out
		data, failure := child.Result()
		if failure != nil {
			return out, &RunError{RunID: child.ID(), Workflow: w.name, Err: restore(*failure)}
		}
		if err := decode(data, &out); err != nil {
			return out, fmt.Errorf("result of run %s: decode: %w", child.ID(), err)
		}
		return out, nil
	}}
}

package workflow

import (
	"context"
	"errors"
	"fmt"
)

// Compensate executes a step that undoes something if the workflow fails: with an error other than
// [ErrRestarting], because it was canceled, or by a panic, which goes on afterwards. Defer it as soon
// as what it undoes is done; err is the workflow's result. As deferred calls do, compensations come
// in reverse order, and each once:
//
//	func order(ctx workflow.Context, in Order) (receipt Receipt, err error) {
//		if receipt, err = workflow.Step(ctx, "charge", charge(in)); err != nil {
//			return receipt, err
//		}
//		defer workflow.Compensate(ctx, &err, "refund", refund(in))
//		if err := workflow.Do(ctx, "ship", ship(in)); err != nil {
//			return receipt, err
//		}
//		return receipt, nil
//	}
//
// The step is one like any other, executed without the cancellation of ctx: after a crash the run
// goes on with it. If it fails for good, its error joins err, and the compensations before it are
// executed all the same.
func Compensate(ctx Context, err *error, name string, undo func(context.Context) error, opts ...StepOption) {
	v := recover() // nil at an eviction, which executes deferred calls too
	if v == nil && (*err == nil || errors.Is(*err, ErrRestarting)) {
		return
	}
	if failed := Do(WithoutCancel(ctx), name, undo, opts...); failed != nil {
		*err = errors.Join(*err, fmt.Errorf("compensate: %w", failed))
	}
	if v != nil {
		panic(v)
	}
}

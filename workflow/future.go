package workflow

import (
	"errors"
	"slices"

	"github.com/tenter-dev/tenter/internal/run"
)

// Future is a result that may still have to come: of a branch ([Go]) or of a child
// run ([Workflow.Go]).
type Future[T any] struct {
	done run.Waitable
	get  func() (T, error) // once done
	err  error             // it never began
}

// Wait blocks until the result is there and returns it, or returns ctx.Err() if ctx
// ends first. It may be called more than once, by several branches.
func (f *Future[T]) Wait(ctx Context) (T, error) {
	var zero T
	if f == nil {
		return zero, misused(errNilFuture)
	}
	if f.err != nil {
		return zero, f.err
	}
	if _, err := scopeOf(ctx).Await(f.done); err != nil {
		return zero, err
	}
	return f.get()
}

// Go starts a branch: fn goes on concurrently with the code that started it, in the
// same run. Branches are executed one at a time, each until it waits, in a fixed
// order, so they need no locks among themselves. A panic in a branch fails the run.
// When the workflow function returns, branches that have not are given up: their
// deferred functions are executed, durable calls in them do nothing.
//
// For code inside steps plain goroutines are fine; in workflow code use Go.
func Go[T any](ctx Context, fn func(Context) (T, error)) *Future[T] {
	if err := scopeOf(ctx).Check(); err != nil {
		return &Future[T]{err: err}
	}
	if fn == nil {
		return &Future[T]{err: misused(errNilBranch)}
	}
	var value T
	var err error
	done := scopeOf(ctx).Go(func(s run.Scope) { value, err = fn(scopeContext{s}) })
	return &Future[T]{done: done, get: func() (T, error) { return value, err }}
}

// errNilBranch comes before any branch has begun.
var errNilBranch = errors.New("the function of a branch is nil")

func isNil[T any](fn func(Context) (T, error)) bool { return fn == nil }

// First calls all fns concurrently, each in a branch of its own, and returns the index and outcome
// of the first that returns, even if with an error. It cancels the others before it returns: a
// hook.Wait among them takes no payload any more. They are functions so that hook.Wait and
// future.Wait fit as they are:
//
//	i, decision, err := workflow.First(ctx, legal.Wait, finance.Wait)
//
// If ctx ends first the index is -1 and err is ctx.Err(). Without fns it fails.
func First[T any](ctx Context, fns ...func(Context) (T, error)) (index int, value T, err error) {
	if len(fns) == 0 {
		return -1, value, errors.New("workflow: First needs a function to call")
	}
	if slices.ContainsFunc(fns, isNil) {
		return -1, value, misused(errNilBranch)
	}
	inner, cancel := WithCancel(ctx)
	defer cancel()
	futures := make([]*Future[T], len(fns))
	waits := make([]run.Waitable, len(fns))
	for i, fn := range fns {
		f := Go(inner, fn)
		if f.err != nil {
			return -1, value, f.err
		}
		futures[i], waits[i] = f, f.done
	}
	index, err = scopeOf(ctx).Await(waits...)
	if err != nil {
		return -1, value, err
	}
	value, err = futures[index].get()
	return index, value, err
}

// All calls all fns concurrently, each in a branch of its own, and returns their
// values in the order of fns when all have returned. The first error cancels the
// rest, and is returned when they have returned too. Without fns it returns at once.
func All[T any](ctx Context, fns ...func(Context) (T, error)) ([]T, error) {
	if slices.ContainsFunc(fns, isNil) {
		return nil, misused(errNilBranch)
	}
	inner, cancel := WithCancel(ctx)
	defer cancel()
	var first error
	futures := make([]*Future[T], len(fns))
	for i, fn := range fns {
		futures[i] = Go(inner, func(ctx Context) (T, error) {
			value, err := fn(ctx)
			if err != nil && first == nil {
				first = err
				cancel()
			}
			return value, err
		})
	}
	values := make([]T, len(fns))
	patient := WithoutCancel(ctx) // branches see ctx's end themselves
	for i, f := range futures {
		value, err := f.Wait(patient)
		if err != nil && first == nil {
			return nil, err // not of its fn: it could not wait
		}
		values[i] = value
	}
	if first != nil {
		return nil, first
	}
	return values, nil
}

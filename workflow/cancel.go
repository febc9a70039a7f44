package workflow

import (
	"context"
	"time"

	"github.com/tenter-dev/tenter/internal/run"
)

// WithTimeout returns a Context whose durable calls fail with
// [context.DeadlineExceeded] once d has passed. It survives crashes, and counts the
// time in which no worker was up: what was accepted before the deadline comes before
// it. A hook whose Wait timed out stays open. Call cancel when the work is done, as
// with package context. With d of 0 or less it has passed at once. It panics with
// [ErrNotInWorkflow] outside the workflow's own code, as do its relatives and the
// functions that they return.
func WithTimeout(ctx Context, d time.Duration) (Context, context.CancelFunc) {
	return WithDeadline(ctx, Now(ctx).Add(d))
}

// WithDeadline is [WithTimeout] with a point in time, which is rounded down to
// microseconds.
func WithDeadline(ctx Context, t time.Time) (Context, context.CancelFunc) {
	mustCheck(ctx)
	s, cancel := scopeOf(ctx).WithDeadline(t)
	return scopeContext{s}, cancel
}

// WithCancel returns a Context whose durable calls fail with [context.Canceled] once cancel is
// called or ctx ends. It cancels the contexts of steps that are executing under it, and asks child
// runs that were started under it to cancel.
func WithCancel(ctx Context) (Context, context.CancelFunc) {
	mustCheck(ctx)
	s, cancel := scopeOf(ctx).WithCancel()
	return scopeContext{s}, cancel
}

// WithoutCancel returns a Context that does not end when ctx does: for the cleanup
// of a run that has been canceled or has timed out.
func WithoutCancel(ctx Context) Context {
	mustCheck(ctx)
	return scopeContext{scopeOf(ctx).WithoutCancel()}
}

// mustCheck panics with ErrNotInWorkflow where there is no error to return.
func mustCheck(ctx Context) run.Scope {
	s := scopeOf(ctx)
	if err := s.Check(); err != nil {
		panic(err)
	}
	return s
}

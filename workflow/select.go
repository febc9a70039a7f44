package workflow

import (
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/internal/run"
)

// Case is one of the things a [Select] waits for. It may be used in one Select after another, and
// the time of an OnTimer then starts over; but not twice in one Select, nor in two branches at the
// same time.
type Case interface {
	// begin returns what to wait for, take consumes it, drop says that another case
	// was taken.
	begin(s run.Scope) (run.Waitable, error)
	take(ctx Context) error
	drop()
}

// Select waits until one of the cases is ready, calls the function of the first
// ready one in the order given, and returns its error. The others consume nothing
// and leave no trace. Nil cases are skipped. If ctx ends first no case is taken and
// the error is ctx.Err(). With OnTimer(0, …) as the last case it is a poll. Without
// any case it fails.
func Select(ctx Context, cases ...Case) error {
	var begun []Case
	var waits []run.Waitable
	defer func() {
		for _, c := range begun {
			c.drop()
		}
	}()
	for _, c := range cases {
		if c == nil {
			continue
		}
		w, err := c.begin(scopeOf(ctx))
		if err != nil {
			return err
		}
		begun, waits = append(begun, c), append(waits, w)
	}
	if len(waits) == 0 {
		return errors.New("workflow: Select needs a case to wait for")
	}
	i, err := scopeOf(ctx).Await(waits...)
	if err != nil {
		return err
	}
	return begun[i].take(ctx)
}

func errNilCase(name string) error { return misused(fmt.Errorf("the function of %s is nil", name)) }

type payloadCase[T any] struct {
	hook *Hook[T]
	fn   func(T) error
}

// OnPayload is ready when h has a payload, which is given to fn. A payload that does
// not decode or validate makes Select return a *[PayloadError], a closed hook that is
// drained [ErrHookClosed].
func OnPayload[T any](h *Hook[T], fn func(T) error) Case { return &payloadCase[T]{h, fn} }

func (c *payloadCase[T]) begin(run.Scope) (run.Waitable, error) {
	switch {
	case c.hook == nil:
		return nil, misused(fmt.Errorf("OnPayload: %w", errNilHook))
	case c.fn == nil:
		return nil, errNilCase("OnPayload")
	}
	return c.hook.open, nil
}

func (c *payloadCase[T]) drop() {}

func (c *payloadCase[T]) take(Context) error {
	v, err := c.hook.take()
	if err != nil {
		return err
	}
	return c.fn(v)
}

type doneCase[T any] struct {
	future *Future[T]
	fn     func(T, error) error
}

// OnDone is ready when f has its result, which is given to fn.
func OnDone[T any](f *Future[T], fn func(T, error) error) Case { return &doneCase[T]{f, fn} }

func (c *doneCase[T]) begin(run.Scope) (run.Waitable, error) {
	switch {
	case c.future == nil:
		return nil, misused(fmt.Errorf("OnDone: %w", errNilFuture))
	case c.fn == nil:
		return nil, errNilCase("OnDone")
	}
	return c.future.done, c.future.err
}

func (c *doneCase[T]) drop()              {}
func (c *doneCase[T]) take(Context) error { return c.fn(c.future.get()) }

type timerCase struct {
	d     time.Duration
	fn    func() error
	timer run.Timer
}

// OnTimer is ready d after the Select began. With d of 0 or less it is ready at once
// and costs nothing.
func OnTimer(d time.Duration, fn func() error) Case { return &timerCase{d: d, fn: fn} }

func (c *timerCase) begin(s run.Scope) (run.Waitable, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if c.fn == nil {
		return nil, errNilCase("OnTimer")
	}
	c.timer = s.Timer(run.Deadline, s.Now().Add(c.d))
	return c.timer, nil
}

func (c *timerCase) drop()              { c.timer.Stop() }
func (c *timerCase) take(Context) error { return c.fn() }

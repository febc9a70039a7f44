package client_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

var (
	sums   = workflow.DefineCall[[]int, int]("sum")
	errSum = workflow.DefineError("client_test: nothing to sum up")
)

// adder answers calls until one has a 99, and refuses those that have nothing; one with a 7 waits an
// hour.
var adder = workflow.Define("adder", func(ctx workflow.Context, token string) (int, error) {
	calls, err := sums.Open(ctx, workflow.Token(token))
	if err != nil {
		return 0, err
	}
	n := 0
	for call, err := range calls.All(ctx) {
		if err != nil {
			return n, err
		}
		n++
		sum := 0
		for _, i := range call.Input {
			if sum += i; i == 7 {
				err = workflow.Sleep(ctx, time.Hour)
			}
		}
		switch {
		case err != nil:
		case len(call.Input) == 0:
			err = call.Refuse(ctx, errSum)
		default:
			err = call.Return(ctx, sum)
		}
		if err != nil || sum == 99 {
			return n, err
		}
	}
	return n, nil
})

func TestCalls(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		for _, token := range odd {
			r, err := adder.Start(ctx, c, token)
			w.ok(err)
			w.untilWaiting(r.ID())
			key := workflow.IdempotencyKey("k")
			for range 2 {
				if sum, err := sums.Call(ctx, c, token, []int{1, 2}, key); sum != 3 || err != nil {
					w.Errorf("%q: the answer is %d, %v", token, sum, err)
				}
			}
			if sum, err := sums.Answer(ctx, c, token, "k"); sum != 3 || err != nil {
				w.Errorf("%q: the answer by key is %d, %v", token, sum, err)
			}
			_, err = sums.Call(ctx, c, token, nil)
			w.is(err, errSum)
			if refused, ok := errors.AsType[*workflow.RefusedError](err); !ok || refused.RunID != r.ID() {
				w.Errorf("%q: the refusal is %v", token, err)
			}
			_, err = c.CallHook(ctx, workflow.CallRequest{Token: token, Input: []byte(`"text"`)})
			if _, ok := errors.AsType[*workflow.PayloadError](err); !ok {
				w.Errorf("%q: an input that does not fit: %v", token, err)
			}
			_, err = workflow.DefineCall[[]int, int]("other").Call(ctx, c, token, nil)
			if other, ok := errors.AsType[*workflow.HookTypeError](err); !ok || other.Want != "other" || other.Got != "sum" {
				w.Errorf("%q: another call: %v", token, err)
			}
			_, err = sums.Call(ctx, c, token, []int{99})
			w.ok(err)
			if n, err := r.Result(ctx); n != 3 || err != nil {
				w.Errorf("%q: the run took %d, %v", token, n, err)
			}
			_, err = sums.Call(ctx, c, token, []int{1})
			w.is(err, workflow.ErrHookNotFound)
			_, err = sums.Answer(ctx, c, token, "unknown")
			w.is(err, workflow.ErrHookNotFound)
		}
	})
}

// Waiting goes on over as many requests as it takes, and says why it ends.
func TestCallsThatWait(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		r, err := adder.Start(w.Context(), c, "slow")
		w.ok(err)
		w.untilWaiting(r.ID())
		sleeps := func() { w.until(r.ID(), func(i workflow.RunInfo) bool { return !i.WakeAt.IsZero() }) }
		call := func(ctx context.Context, opts ...workflow.CallOption) chan error {
			done := make(chan error, 1)
			go func() {
				sum, err := sums.Call(ctx, c, "slow", []int{7}, opts...)
				if err == nil && sum != 7 {
					err = errors.New("the sum is wrong")
				}
				done <- err
			}()
			sleeps()
			return done
		}
		ctx, cancel := context.WithCancel(w.Context())
		given := call(ctx, workflow.IdempotencyKey("k"))
		cancel()
		w.is(<-given, context.Canceled)
		repeated := call(w.Context(), workflow.IdempotencyKey("k"))
		w.ok(r.Wake(w.Context()))
		w.ok(<-repeated)
		if sum, err := sums.Answer(w.Context(), c, "slow", "k"); sum != 7 || err != nil {
			w.Errorf("the answer is %d, %v", sum, err)
		}

		w.until(r.ID(), func(i workflow.RunInfo) bool { return i.WakeAt.IsZero() })
		lost := call(w.Context())
		w.ok(r.Terminate(w.Context(), ""))
		err = <-lost
		w.is(err, workflow.ErrRunEnded)
		if u, ok := errors.AsType[*workflow.UnansweredError](err); !ok || u.RunID != r.ID() || u.Request == "" {
			w.Errorf("the error is %#v", err)
		}
	})
}

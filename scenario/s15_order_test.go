package scenario_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// S15: steps that charge, reserve, ship; one fails for good; compensations run in
// reverse; canceled half-way, cleanup runs.

type order struct {
	Item string `json:"item"`
	To   string `json:"to"`
}

var (
	fulfillment = workflow.Declare[order, string]("fulfillment")

	errNoCourier = workflow.DefineError("no courier goes there")
)

func (l *ledger) fulfill(ctx workflow.Context, o order) (tracking string, err error) {
	enter := func(what string) func(context.Context) error {
		return func(ctx context.Context) error { return l.enter(ctx, what+" "+o.Item) }
	}
	// Each is deferred before what it undoes, which may have had its effect although it fails: the
	// run is canceled, or the worker dies, in its midst.
	defer workflow.Compensate(ctx, &err, "refund", enter("refund"))
	if err := workflow.Do(ctx, "charge", enter("charge")); err != nil {
		return "", err
	}
	defer workflow.Compensate(ctx, &err, "release", enter("release"))
	err = workflow.Do(ctx, "reserve", func(ctx context.Context) error {
		if o.Item == "rare" {
			if err := busy(ctx, 5*time.Second); err != nil {
				return err
			}
		}
		return l.enter(ctx, "reserve "+o.Item)
	})
	if err != nil {
		return "", err
	}
	return workflow.Step(ctx, "ship", func(ctx context.Context) (string, error) {
		if o.To == "the moon" {
			return "", workflow.Fatal(errNoCourier)
		}
		return "T-" + o.Item, l.enter(ctx, "ship "+o.Item)
	})
}

func TestS15Order(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		l := &ledger{}
		w.boot(fulfillment.Implement(l.fulfill))
		good := start(w, fulfillment, "good", order{"book", "Berlin"})
		want(w, good, "T-book")

		bad := start(w, fulfillment, "bad", order{"lamp", "the moon"})
		_, err := result(w, bad)
		failed, ok := errors.AsType[*workflow.StepError](err)
		if !ok || failed.Step != "ship#1" || failed.Attempts != 1 || !errors.Is(err, errNoCourier) {
			w.t.Errorf("the order that can't be shipped: %v", err)
		}
		w.status(bad.ID(), workflow.StatusFailed)
		l.want(w.t, "charge book", "reserve book", "ship book", "charge lamp", "reserve lamp", "release lamp", "refund lamp")
	})
}

func TestS15CanceledHalfWay(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		l := &ledger{}
		w.boot(fulfillment.Implement(l.fulfill))
		run := start(w, fulfillment, "canceled", order{"rare", "Berlin"})
		w.advance(time.Second)
		cancelRun(w, run.ID())
		_, err := result(w, run)
		if !errors.Is(err, workflow.ErrCanceled) {
			w.t.Errorf("the canceled order: %v, want ErrCanceled", err)
		}
		w.status(run.ID(), workflow.StatusCanceled)
		l.want(w.t, "charge rare", "release rare", "refund rare")
	})
}

// cancelRun asks a run to cancel.
func cancelRun(w *world, runID string) {
	w.t.Helper()
	_, err := do(w, func(ctx context.Context, c *engine.Engine) (struct{}, error) {
		return struct{}{}, c.CancelRun(ctx, runID)
	})
	if err != nil && !errors.Is(err, workflow.ErrRunEnded) {
		w.t.Fatal(err)
	}
}

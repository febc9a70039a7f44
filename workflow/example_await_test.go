package workflow_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// A run awaits another one that it has not started, for a day.
func ExampleAwait() {
	order := workflow.Define("order", func(ctx workflow.Context, paid int) (string, error) {
		return fmt.Sprintf("%d paid", paid), nil
	})
	notice := workflow.Define("notice", func(ctx workflow.Context, orderID string) (string, error) {
		day, cancel := workflow.WithTimeout(ctx, 24*time.Hour)
		defer cancel()
		receipt, err := workflow.Await[string](day, orderID).Wait(day)
		if err != nil {
			return "", err
		}
		return "order " + orderID + ": " + receipt, nil
	})
	eng, stop := serve(order, notice)
	defer stop()

	ctx := context.Background()
	must(order.Start(ctx, eng, 42, workflow.RunID("order-7")))
	run := must(notice.Start(ctx, eng, "order-7"))
	fmt.Println(run.Result(ctx))
	_, err := must(notice.Start(ctx, eng, "order-8")).Result(ctx)
	fmt.Println(errors.Is(err, workflow.ErrRunNotFound))
	// Output:
	// order order-7: 42 paid <nil>
	// true
}

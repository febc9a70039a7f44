package workflow_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

var errNoCourier = workflow.DefineError("no courier")

// An order goes step by step. When the last step fails, the others are undone, in reverse.
func ExampleCompensate() {
	say := func(what string) func(context.Context) error {
		return func(context.Context) error {
			fmt.Println(what)
			return nil
		}
	}
	order := workflow.Define("order", func(ctx workflow.Context, _ string) (_ string, err error) {
		if err := workflow.Do(ctx, "charge", say("charge")); err != nil {
			return "", err
		}
		defer workflow.Compensate(ctx, &err, "refund", say("refund"))

		if err := workflow.Do(ctx, "reserve", say("reserve")); err != nil {
			return "", err
		}
		defer workflow.Compensate(ctx, &err, "release", say("release"))

		return "shipped", workflow.Do(ctx, "ship", func(context.Context) error { return workflow.Fatal(errNoCourier) })
	})
	eng, stop := serve(order)
	defer stop()

	ctx := context.Background()
	run := must(order.Start(ctx, eng, ""))
	_, err := run.Result(ctx)
	fmt.Println(errors.Is(err, errNoCourier))
	// Output:
	// charge
	// reserve
	// release
	// refund
	// true
}

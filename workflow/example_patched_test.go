package workflow_test

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// A step is added in front of another one. Runs that have charged already go on as they were.
func ExamplePatched() {
	do := func(ctx workflow.Context, step string) error {
		return workflow.Do(ctx, step, func(context.Context) error {
			fmt.Println(step)
			return nil
		})
	}
	order := workflow.Define("order", func(ctx workflow.Context, _ string) (string, error) {
		if workflow.Patched(ctx, "fraud check") {
			if err := do(ctx, "check"); err != nil {
				return "", err
			}
		}
		return "charged", do(ctx, "charge")
	})
	eng, stop := serve(order)
	defer stop()

	ctx := context.Background()
	run := must(order.Start(ctx, eng, ""))
	fmt.Println(run.Result(ctx))
	// Output:
	// check
	// charge
	// charged <nil>
}

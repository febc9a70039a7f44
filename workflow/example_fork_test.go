package workflow_test

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// An order was charged the wrong price. A fork of its run has the journal up to the step that went
// wrong, and executes that and all that comes after it again.
func ExampleRun_Fork() {
	price := 100
	order := workflow.Define("order", func(ctx workflow.Context, item string) (string, error) {
		reserved, err := workflow.Step(ctx, "reserve", func(context.Context) (string, error) { return item + " no. 7", nil })
		if err != nil {
			return "", err
		}
		charged, err := workflow.Step(ctx, "charge", func(context.Context) (int, error) { return price, nil })
		return fmt.Sprint(reserved, " for ", charged), err
	})
	eng, stop := serve(order)
	defer stop()

	ctx := context.Background()
	run := must(order.Start(ctx, eng, "tea", workflow.RunID("order-7")))
	fmt.Println(run.Result(ctx))

	price = 90
	plan := must(run.PlanFork(ctx, workflow.AtStep("charge#1")))
	for _, again := range plan.Again {
		fmt.Println(again.Step, again.Status)
	}
	fork := must(run.Fork(ctx, workflow.AtStep("charge#1")))
	fmt.Println(fork.Result(ctx))
	// Output:
	// tea no. 7 for 100 <nil>
	// charge#1 completed
	// tea no. 7 for 90 <nil>
}

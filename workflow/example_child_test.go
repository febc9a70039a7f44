package workflow_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// Payment is declared here, for everybody who starts it; a service with the
// dependencies that it needs implements it.
var Payment = workflow.Declare[int, string]("payment")

type bank struct{ name string }

func (b bank) pay(ctx workflow.Context, amount int) (string, error) {
	return workflow.Step(ctx, "transfer", func(context.Context) (string, error) {
		return fmt.Sprintf("%d by %s", amount, b.name), nil
	})
}

// A child is a run of its own, which any worker may execute.
func ExampleWorkflow_Call() {
	order := workflow.Define("order", func(ctx workflow.Context, amount int) (string, error) {
		receipt, err := Payment.Call(ctx, amount)
		return "paid " + receipt, err
	})
	eng, stop := serve(order, Payment.Implement(bank{"First Bank"}.pay))
	defer stop()

	ctx := context.Background()
	run := must(order.Start(ctx, eng, 42))
	fmt.Println(run.Result(ctx))
	// Output: paid 42 by First Bank <nil>
}

// With a run ID of your own a run is started once, however often it is tried.
func ExampleRunID() {
	order := workflow.Define("order", func(_ workflow.Context, amount int) (int, error) { return amount, nil })
	eng, stop := serve(order)
	defer stop()

	ctx := context.Background()
	for range 2 {
		run, err := order.Start(ctx, eng, 42, workflow.RunID("order-42"))
		if exists, ok := errors.AsType[*workflow.RunExistsError](err); ok {
			fmt.Println("again")
			run, err = order.Get(eng, exists.RunID), nil
		}
		if err != nil {
			panic(err)
		}
		fmt.Println(run.Result(ctx))
	}
	// Output:
	// 42 <nil>
	// again
	// 42 <nil>
}

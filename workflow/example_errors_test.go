package workflow_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// ErrOutOfStock is defined, so that it stays what it is in journals and over HTTP.
var ErrOutOfStock = workflow.DefineError("out of stock")

func ExampleDefineError() {
	order := workflow.Define("order", func(ctx workflow.Context, item string) (string, error) {
		err := workflow.Do(ctx, "reserve", func(context.Context) error {
			return workflow.Fatal(fmt.Errorf("item %s: %w", item, ErrOutOfStock))
		})
		if errors.Is(err, ErrOutOfStock) { // live and on replay
			tell := workflow.Do(ctx, "tell", func(context.Context) error {
				fmt.Println("tell the customer")
				return nil
			})
			err = errors.Join(err, tell)
		}
		return "", err
	})
	eng, stop := serve(order)
	defer stop()

	ctx := context.Background()
	run := must(order.Start(ctx, eng, "chair"))
	_, err := run.Result(ctx)
	fmt.Println(errors.Is(err, ErrOutOfStock)) // over workers and processes
	// Output:
	// tell the customer
	// true
}

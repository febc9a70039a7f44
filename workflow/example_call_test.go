package workflow_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// ErrSoldOut is known to the workflow and to its callers.
var ErrSoldOut = workflow.DefineError("sold out")

// Reserve is shared by the workflow and the code that calls it.
var Reserve = workflow.DefineCall[int, []string]("reserve")

// A call is a question to a run: the caller waits for what the run returns, or learns why it refuses.
func ExampleDefineCall() {
	show := workflow.Define("show", func(ctx workflow.Context, name string) (int, error) {
		requests, err := Reserve.Open(ctx, workflow.Token("show:"+name))
		if err != nil {
			return 0, err
		}
		sold := 0
		for req, err := range requests.All(ctx) {
			if err != nil {
				return 0, err
			}
			if sold+req.Input > 3 {
				if err := req.Refuse(ctx, fmt.Errorf("%d seats are left: %w", 3-sold, ErrSoldOut)); err != nil {
					return 0, err
				}
				continue
			}
			var seats []string
			for range req.Input {
				sold++
				seats = append(seats, fmt.Sprint("seat ", sold))
			}
			if err := req.Return(ctx, seats); err != nil {
				return 0, err
			}
			if sold == 3 {
				break
			}
		}
		return sold, nil
	})
	eng, stop := serve(show)
	defer stop()

	ctx := context.Background()
	run := must(show.Start(ctx, eng, "hamlet"))
	untilWaiting(run)
	key := workflow.IdempotencyKey("order-1")
	fmt.Println(Reserve.Call(ctx, eng, "show:hamlet", 2, key))
	fmt.Println(Reserve.Call(ctx, eng, "show:hamlet", 2, key)) // the same order again
	_, err := Reserve.Call(ctx, eng, "show:hamlet", 2)
	fmt.Println(errors.Is(err, ErrSoldOut))
	fmt.Println(Reserve.Call(ctx, eng, "show:hamlet", 1))
	fmt.Println(run.Result(ctx))
	// Output:
	// [seat 1 seat 2] <nil>
	// [seat 1 seat 2] <nil>
	// true
	// [seat 3] <nil>
	// 3 <nil>
}

package workflow_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// Time, IDs and random numbers come from the run, so that they are the same on replay.
func ExampleNewID() {
	lottery := workflow.Define("lottery", func(ctx workflow.Context, _ string) (bool, error) {
		id, began, winner := workflow.NewID(ctx), workflow.Now(ctx), workflow.Rand(ctx).IntN(1000)
		workflow.Logger(ctx).Info("drawn", "winner", winner) // appears once
		if err := workflow.Sleep(ctx, time.Millisecond); err != nil {
			return false, err
		}
		return len(id) == 36 && winner < 1000 && workflow.Now(ctx).After(began), nil
	})
	eng, stop := serve(lottery)
	defer stop()

	ctx := context.Background()
	run := must(lottery.Start(ctx, eng, ""))
	fmt.Println(run.Result(ctx))
	// Output: true <nil>
}

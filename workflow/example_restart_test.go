package workflow_test

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// counter is the input of a generation: what the one before has come to.
type counter struct{ Sum, Messages, Generation int }

var counting = workflow.Declare[counter, counter]("counting")

// count takes numbers forever. Its journal stays short, since it restarts after three.
func count(ctx workflow.Context, in counter) (counter, error) {
	numbers, err := workflow.NewHook[int](ctx, workflow.Token("numbers"))
	if err != nil {
		return in, err
	}
	for range 3 {
		n, err := numbers.Wait(ctx)
		if err != nil {
			return in, err
		}
		in.Sum, in.Messages = in.Sum+n, in.Messages+1
		if n == 0 {
			in.Generation = workflow.InfoOf(ctx).Generation
			return in, nil
		}
	}
	return counting.Restart(ctx, in)
}

// A run that takes payloads forever restarts now and then. Its hook goes along: payloads that were
// not taken come to the next generation.
func ExampleWorkflow_Restart() {
	eng, stop := serve(counting.Implement(count))
	defer stop()

	ctx := context.Background()
	run := must(counting.Start(ctx, eng, counter{}))
	for _, n := range []int{1, 2, 3, 4, 5, 6, 7, 0} {
		must(workflow.Resume(ctx, eng, "numbers", n))
	}
	fmt.Println(run.Result(ctx))
	// Output:
	// {28 8 2} <nil>
}

package workflow_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// A canceled run cleans up under [workflow.WithoutCancel].
func ExampleWithoutCancel() {
	booking := workflow.Define("booking", func(ctx workflow.Context, seat string) (_ string, err error) {
		if err := workflow.Do(ctx, "reserve", func(context.Context) error {
			fmt.Println("reserve", seat)
			return nil
		}); err != nil {
			return "", err
		}
		defer func() {
			if err != nil {
				undo := workflow.Do(workflow.WithoutCancel(ctx), "release", func(context.Context) error {
					fmt.Println("release", seat)
					return nil
				})
				err = errors.Join(err, undo)
			}
		}()
		return "flown", workflow.Sleep(ctx, 90*24*time.Hour)
	})
	eng, stop := serve(booking)
	defer stop()

	ctx := context.Background()
	run := must(booking.Start(ctx, eng, "12A"))
	untilWaiting(run)
	if err := run.Cancel(ctx); err != nil {
		panic(err)
	}
	_, err := run.Result(ctx)
	fmt.Println(errors.Is(err, workflow.ErrCanceled))
	// Output:
	// reserve 12A
	// release 12A
	// true
}

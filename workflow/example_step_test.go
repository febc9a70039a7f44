package workflow_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// What a workflow does to the world it does in steps. Their results are recorded.
func ExampleStep() {
	order := workflow.Define("order", func(ctx workflow.Context, amount int) (string, error) {
		receipt, err := workflow.Step(ctx, "charge", func(context.Context) (string, error) {
			return fmt.Sprintf("receipt for %d", amount), nil // call the payment service here
		})
		if err != nil {
			return "", err
		}
		err = workflow.Do(ctx, "mail", func(context.Context) error {
			fmt.Println("mail", receipt)
			return nil
		})
		return receipt, err
	})
	eng, stop := serve(order)
	defer stop()

	ctx := context.Background()
	run := must(order.Start(ctx, eng, 42))
	fmt.Println(run.Result(ctx))
	// Output:
	// mail receipt for 42
	// receipt for 42 <nil>
}

// A failing step is attempted again, four times in all if nothing else is said.
func ExampleMaxAttempts() {
	errDown := errors.New("the service is down")
	flaky := workflow.Define("flaky", func(ctx workflow.Context, _ string) (int, error) {
		return workflow.Step(ctx, "call", func(ctx context.Context) (int, error) {
			attempt := workflow.InfoOf(ctx).Attempt
			fmt.Println("attempt", attempt)
			if attempt < 3 {
				return 0, errDown
			}
			return attempt, nil
		}, workflow.MaxAttempts(5), workflow.Backoff(time.Millisecond, time.Second), workflow.Timeout(time.Minute))
	})
	eng, stop := serve(flaky)
	defer stop()

	ctx := context.Background()
	run := must(flaky.Start(ctx, eng, ""))
	fmt.Println(run.Result(ctx))
	// Output:
	// attempt 1
	// attempt 2
	// attempt 3
	// 3 <nil>
}

// A step that knows that another attempt can't help says so.
func ExampleFatal() {
	pay := workflow.Define("pay", func(ctx workflow.Context, _ string) (string, error) {
		err := workflow.Do(ctx, "charge", func(context.Context) error {
			return workflow.Fatal(errors.New("the card is stolen"))
		})
		if failed, ok := errors.AsType[*workflow.StepError](err); ok {
			return fmt.Sprintf("%s: %v", failed.Step, failed.Err), nil
		}
		return "paid", err
	})
	eng, stop := serve(pay)
	defer stop()

	ctx := context.Background()
	run := must(pay.Start(ctx, eng, ""))
	fmt.Println(run.Result(ctx))
	// Output: charge#1: the card is stolen <nil>
}

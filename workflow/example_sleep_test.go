package workflow_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// A sleep may take a year; [workflow.Run.Wake] ends it now.
func ExampleSleep() {
	trial := workflow.Define("trial", func(ctx workflow.Context, user string) (string, error) {
		if err := workflow.Sleep(ctx, 30*24*time.Hour); err != nil {
			return "", err
		}
		return user + "'s trial is over", nil
	})
	eng, stop := serve(trial)
	defer stop()

	ctx := context.Background()
	run := must(trial.Start(ctx, eng, "Ada"))
	if err := run.Wake(ctx); err != nil {
		panic(err)
	}
	fmt.Println(run.Result(ctx))
	// Output: Ada's trial is over <nil>
}

// A deadline bounds any wait. The hook stays open.
func ExampleWithTimeout() {
	approval := workflow.Define("approval", func(ctx workflow.Context, doc string) (string, error) {
		hook, err := workflow.NewHook[string](ctx, workflow.Token("approval:"+doc))
		if err != nil {
			return "", err
		}
		defer hook.Close()
		soon, cancel := workflow.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		answer, err := hook.Wait(soon)
		if errors.Is(err, context.DeadlineExceeded) {
			return "escalated", nil
		}
		return answer, err
	})
	eng, stop := serve(approval)
	defer stop()

	ctx := context.Background()
	run := must(approval.Start(ctx, eng, "doc-7"))
	fmt.Println(run.Result(ctx))
	// Output: escalated <nil>
}

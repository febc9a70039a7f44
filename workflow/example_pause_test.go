package workflow_test

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// A run that is paused goes on where it was: what was sent to it meanwhile has waited.
func ExampleRun_Pause() {
	invoice := workflow.Define("invoice", func(ctx workflow.Context, number string) (string, error) {
		hook, err := workflow.NewHook[string](ctx, workflow.Token("paid:"+number))
		if err != nil {
			return "", err
		}
		defer hook.Close()
		by, err := hook.Wait(ctx)
		return "paid by " + by, err
	})

	ctx := context.Background()
	eng, stop := serve(invoice)
	defer stop()
	run := must(invoice.Start(ctx, eng, "7"))
	fmt.Println(run.Pause(workflow.WithActor(ctx, workflow.Actor{Name: "ada"}), workflow.PauseRequest{Why: "the bank is closed"}))

	must(workflow.Resume(ctx, eng, "paid:7", "bob")) // durable, as ever
	info := must(run.Info(ctx))
	fmt.Printf("paused by %s: %s\n", info.Paused.By, info.Paused.Why)

	fmt.Println(run.Resume(ctx))
	fmt.Println(run.Result(ctx))
	// Output:
	// <nil>
	// paused by ada: the bank is closed
	// <nil>
	// paid by bob <nil>
}

// Runs of a workflow that is paused may be started, and begin when it is resumed.
func ExampleWorkflow_Pause() {
	greet := workflow.Define("greet", func(_ workflow.Context, name string) (string, error) { return "hello " + name, nil })

	ctx := context.Background()
	eng, stop := serve(greet)
	defer stop()
	fmt.Println(greet.Pause(workflow.WithActor(ctx, workflow.Actor{Name: "ada"}), eng, workflow.PauseRequest{Why: "a bad deploy"}))
	run := must(greet.Start(ctx, eng, "world"))
	fmt.Println(run.Status(ctx))

	fmt.Println(greet.Resume(ctx, eng))
	fmt.Println(run.Result(ctx))
	// Output:
	// <nil>
	// running <nil>
	// <nil>
	// hello world <nil>
}

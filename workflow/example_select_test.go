package workflow_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// Select waits for things of different kinds. What loses consumes nothing.
func ExampleSelect() {
	chase := workflow.Define("chase", func(ctx workflow.Context, invoice string) (string, error) {
		paid, err := workflow.NewHook[int](ctx, workflow.Token("paid:"+invoice))
		if err != nil {
			return "", err
		}
		defer paid.Close()
		report := workflow.Go(ctx, func(ctx workflow.Context) (string, error) {
			return "a report", workflow.Sleep(ctx, 365*24*time.Hour)
		})
		outcome := ""
		err = workflow.Select(ctx,
			workflow.OnPayload(paid, func(amount int) error {
				outcome = fmt.Sprint("paid ", amount)
				return nil
			}),
			workflow.OnDone(report, func(r string, err error) error {
				outcome = r
				return err
			}),
			workflow.OnTimer(30*24*time.Hour, func() error {
				outcome = "send a reminder"
				return nil
			}))
		return outcome, err
	})
	eng, stop := serve(chase)
	defer stop()

	ctx := context.Background()
	run := must(chase.Start(ctx, eng, "42"))
	must(workflow.Resume(ctx, eng, "paid:42", 100))
	fmt.Println(run.Result(ctx))
	// Output: paid 100 <nil>
}

// approvals opens a hook for each of the people who have to approve a document.
func approvals(ctx workflow.Context, doc string, people ...string) ([]func(workflow.Context) (string, error), error) {
	var waits []func(workflow.Context) (string, error)
	for _, who := range people {
		hook, err := workflow.NewHook[string](ctx, workflow.Token(doc+"/"+who))
		if err != nil {
			return nil, err
		}
		waits = append(waits, hook.Wait)
	}
	return waits, nil
}

// First returns what comes first, and cancels the other waits.
func ExampleFirst() {
	review := workflow.Define("any-approver", func(ctx workflow.Context, doc string) (string, error) {
		waits, err := approvals(ctx, doc, "legal", "finance")
		if err != nil {
			return "", err
		}
		i, comment, err := workflow.First(ctx, waits...)
		return fmt.Sprint(i, ": ", comment), err
	})
	eng, stop := serve(review)
	defer stop()

	ctx := context.Background()
	run := must(review.Start(ctx, eng, "doc-7"))
	untilWaiting(run)
	must(workflow.Resume(ctx, eng, "doc-7/finance", "fine with us"))
	fmt.Println(run.Result(ctx))
	// Output: 1: fine with us <nil>
}

// All waits for everything, in whatever order it comes.
func ExampleAll() {
	review := workflow.Define("all-approvers", func(ctx workflow.Context, doc string) ([]string, error) {
		waits, err := approvals(ctx, doc, "legal", "finance")
		if err != nil {
			return nil, err
		}
		return workflow.All(ctx, waits...)
	})
	eng, stop := serve(review)
	defer stop()

	ctx := context.Background()
	run := must(review.Start(ctx, eng, "doc-7"))
	untilWaiting(run)
	must(workflow.Resume(ctx, eng, "doc-7/finance", "fine with us"))
	must(workflow.Resume(ctx, eng, "doc-7/legal", "no objections"))
	fmt.Println(run.Result(ctx))
	// Output: [no objections fine with us] <nil>
}

// Go starts a branch of the workflow. Branches need no locks: they are executed one at
// a time, each until it waits.
func ExampleGo() {
	squares := workflow.Define("squares", func(ctx workflow.Context, n int) (int, error) {
		var futures []*workflow.Future[int]
		for i := range n {
			futures = append(futures, workflow.Go(ctx, func(ctx workflow.Context) (int, error) {
				return workflow.Step(ctx, "square", func(context.Context) (int, error) { return i * i, nil })
			}))
		}
		sum := 0
		for _, f := range futures {
			v, err := f.Wait(ctx)
			if err != nil {
				return 0, err
			}
			sum += v
		}
		return sum, nil
	})
	eng, stop := serve(squares)
	defer stop()

	ctx := context.Background()
	run := must(squares.Start(ctx, eng, 4))
	fmt.Println(run.Result(ctx))
	// Output: 14 <nil>
}

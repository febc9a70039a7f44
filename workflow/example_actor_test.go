package workflow_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// Two people have to agree: nobody approves a request of their own. The actor is named once, where the
// app knows its user.
func ExampleWithActor() {
	approvals := workflow.DefineHook[bool]("purchase approval")
	purchase := workflow.Define("purchase", func(ctx workflow.Context, item string) (string, error) {
		hook, err := approvals.New(ctx, workflow.Token("purchase:"+item))
		if err != nil {
			return "", err
		}
		defer hook.Close()
		for {
			approved, err := hook.Wait(ctx)
			switch {
			case err != nil:
				return "", err
			case !approved:
				return "", errors.New("refused by " + hook.By().Name)
			case hook.By().Name != workflow.InfoOf(ctx).StartedBy.Name:
				return item + ", approved by " + hook.By().String(), nil
			}
		}
	})
	eng, stop := serve(purchase)
	defer stop()

	ada := workflow.WithActor(context.Background(), workflow.Actor{Name: "ada", Via: "app"})
	grace := workflow.WithActor(context.Background(), workflow.Actor{Name: "grace", Via: "app"})
	run := must(purchase.Start(ada, eng, "a lathe"))
	must(approvals.Resume(ada, eng, "purchase:a lathe", true)) // does not count
	must(approvals.Resume(grace, eng, "purchase:a lathe", true))
	fmt.Println(run.Result(context.Background()))

	events := must(eng.Journal(context.Background(), run.ID(), 0, 100))
	fmt.Println(events[0].Kind, "by", events[0].By)
	// Output:
	// a lathe, approved by grace (app) <nil>
	// started by ada (app)
}

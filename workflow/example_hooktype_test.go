package workflow_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// Decision is a payload that checks itself.
type Decision struct {
	Approved bool
	By       string
}

// Validate implements [workflow.Validator].
func (d Decision) Validate() error {
	if d.By == "" {
		return errors.New("by whom?")
	}
	return nil
}

// Decisions is shared by the workflow and the code that resumes it.
var Decisions = workflow.DefineHook[Decision]("decision")

// A defined hook is typed at both ends: another payload does not compile, and one that
// does not validate is refused where it is sent.
func ExampleDefineHook() {
	review := workflow.Define("review", func(ctx workflow.Context, doc string) (string, error) {
		hook, err := Decisions.New(ctx, workflow.Token("review:"+doc))
		if err != nil {
			return "", err
		}
		defer hook.Close()
		d, err := hook.Wait(ctx)
		return fmt.Sprintf("approved=%t by %s", d.Approved, d.By), err
	})
	eng, stop := serve(review)
	defer stop()

	ctx := context.Background()
	run := must(review.Start(ctx, eng, "doc-7"))
	_, err := Decisions.Resume(ctx, eng, "review:doc-7", Decision{Approved: true})
	fmt.Println(err)
	must(Decisions.Resume(ctx, eng, "review:doc-7", Decision{Approved: true, By: "Ada"}))
	fmt.Println(run.Result(ctx))
	// Output:
	// payload for token "review:doc-7": by whom?
	// approved=true by Ada <nil>
}

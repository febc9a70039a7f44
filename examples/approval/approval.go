package main

import (
	"context"

	"github.com/tenter-dev/tenter/workflow"
)

// Approval asks people what becomes of a document.
var Approval = workflow.Declare[string, string]("approval")

// Decision is what they answer: the payload of the hook.
type Decision struct {
	Approved bool   `json:"approved"`
	Comment  string `json:"comment"`
}

// approve is the workflow. It is an ordinary function that outlives its process:
// after a crash it is called again, each step returns what it returned before, and
// the wait goes on.
func (a *app) approve(ctx workflow.Context, document string) (string, error) {
	hook, err := workflow.NewHook[Decision](ctx, workflow.Metadata(document))
	if err != nil {
		return "", err
	}

	err = workflow.Do(ctx, "ask", func(context.Context) error {
		return a.ask(document, hook.Token())
	})
	if err != nil {
		return "", err
	}

	decision, err := hook.Wait(ctx) // a second or a year
	if err != nil {
		return "", err
	}
	hook.Close() // the first decision counts

	return workflow.Step(ctx, "publish", func(context.Context) (string, error) {
		return a.publish(document, decision)
	})
}

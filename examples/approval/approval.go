package main

import (
	"context"

	"github.com/tenter-dev/tenter/workflow"
)

// Approval asks people what becomes of a document.
var Approval = workflow.Declare[string, string]("approval")

// Decisions are the hooks that they answer by. Their type has a name and is known to the
// engine, so it checks what comes, and the dashboard has a form for it.
var Decisions = workflow.DefineHook[Decision]("decision")

// Decision is what they answer: the payload of the hook.
type Decision struct {
	Approved bool   `json:"approved" jsonschema:"May it be published?"`
	Comment  string `json:"comment"`
}

// approve is the workflow. It is an ordinary function that outlives its process:
// after a crash it is called again, each step returns what it returned before, and
// the wait goes on.
func (a *app) approve(ctx workflow.Context, document string) (string, error) {
	hook, err := Decisions.New(ctx, workflow.Metadata(document))
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

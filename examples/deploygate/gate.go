package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// Gate decides about a deployment. The request that asks for it starts the run.
var Gate = workflow.Declare[Event, string]("deploy-gate")

// Decisions are the hooks of those who let deployments through.
var Decisions = workflow.DefineHook[Decision]("deploy decision")

// Decision is what they answer.
type Decision struct {
	Deploy  bool   `json:"deploy" title:"May it be deployed?"`
	Comment string `json:"comment,omitempty" jsonschema:"It is shown beside the deployment."`
}

// patience is how long somebody may take to decide. After 30 days GitHub gives up.
const patience = 29 * 24 * time.Hour

type keeper struct{ github *github }

func (k *keeper) keep(ctx workflow.Context, e Event) (string, error) {
	requests, err := workflow.NewWebhook(ctx, workflow.Token(e.token()), workflow.From("github"))
	if err != nil {
		return "", err
	}
	defer requests.Close()
	if _, err := requests.Wait(ctx); err != nil { // e is what it has in it
		return "", err
	}

	d, err := k.ask(ctx, e)
	if errors.Is(err, context.DeadlineExceeded) {
		d, err = Decision{Comment: "Nobody has decided."}, nil
	}
	if err != nil {
		return "", err
	}
	r := review{Environment: e.Environment, State: "rejected", Comment: d.Comment}
	if d.Deploy {
		r.State = "approved"
	}
	err = workflow.Do(ctx, "review", func(ctx context.Context) error {
		return k.github.review(ctx, e, r)
	})
	return r.State, err
}

// ask waits for a decision.
func (k *keeper) ask(ctx workflow.Context, e Event) (Decision, error) {
	hook, err := Decisions.New(ctx, workflow.Metadata(map[string]string{
		"repository": e.Repository.FullName, "environment": e.Environment, "ref": e.Deployment.Ref,
		"commit": "https://github.com/" + e.Repository.FullName + "/commit/" + e.Deployment.SHA, "by": e.Deployment.Creator.Login,
	}))
	if err != nil {
		return Decision{}, err
	}
	defer hook.Close()
	link, err := workflow.AnswerLink(ctx, hook, workflow.Addressee("release manager"), workflow.ExpiresIn(patience),
		workflow.PageTitle(fmt.Sprintf("Deploy %s to %s?", e.Repository.FullName, e.Environment)))
	if err != nil {
		return Decision{}, err
	}
	err = workflow.Do(ctx, "ask", func(context.Context) error { // it stands for a mail, or a message in a chat
		_, err := fmt.Printf("May %s be deployed to %s? %s\n", e.Repository.FullName, e.Environment, link.URL())
		return err
	})
	if err != nil {
		return Decision{}, err
	}
	soon, stop := workflow.WithTimeout(ctx, patience)
	defer stop()
	return hook.Wait(soon)
}

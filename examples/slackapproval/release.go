package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// Release asks whether a version may be released.
var Release = workflow.Declare[Question, string]("release")

// Question is what a release begins with.
type Question struct {
	Channel string `json:"channel"`
	Version string `json:"version"`
}

type office struct{ slack *slack }

func (o *office) release(ctx workflow.Context, q Question) (string, error) {
	// The token is generated, so nobody can guess it. Slack gets 200 without a body at once,
	// and the message changes when the run has handled the click.
	hook, err := workflow.NewWebhook(ctx, workflow.From("slack"))
	if err != nil {
		return "", err
	}
	defer hook.Close()

	ts, err := workflow.Step(ctx, "ask", func(ctx context.Context) (string, error) {
		return o.slack.post(ctx, q.Channel, ask(q.Version, hook.Token()))
	})
	if err != nil {
		return "", err
	}

	decision, err := o.decision(ctx, hook)
	if err != nil {
		return "", err
	}
	hook.Close() // the first click counts

	result := fmt.Sprintf("%s: %s", q.Version, decision)
	err = workflow.Do(ctx, "update", func(ctx context.Context) error {
		return o.slack.update(ctx, q.Channel, ts, say(result))
	})
	return result, err
}

// decision waits for a click, for a day.
func (o *office) decision(ctx workflow.Context, hook *workflow.Webhook) (string, error) {
	today, stop := workflow.WithTimeout(ctx, 24*time.Hour)
	defer stop()
	for {
		req, err := hook.Wait(today)
		if errors.Is(err, context.DeadlineExceeded) {
			return "nobody has decided", nil
		}
		if err != nil {
			return "", err
		}
		c, err := clickOf(req)
		if err != nil {
			workflow.Logger(ctx).Warn("a request that is not a click", "request", req, "error", err)
			continue
		}
		switch c.Actions[0].ActionID {
		case approve:
			return "approved by <@" + c.User.ID + ">", nil
		case reject:
			return "rejected by <@" + c.User.ID + ">", nil
		}
	}
}

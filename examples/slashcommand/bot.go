package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tenter-dev/tenter/workflow"
)

// Commands answers the slash commands of a channel. Its result is how many there were.
var Commands = workflow.Declare[string, int]("commands")

type bot struct {
	slack  *slack
	verify []workflow.WebhookOption // how to know that it is Slack who calls
}

func (b *bot) run(ctx workflow.Context, channel string) (int, error) {
	// Anyone who knows the channel can guess the URL. Outside of a demonstration, verify.
	opts := append([]workflow.WebhookOption{
		workflow.Token("slack_command:" + channel),
		workflow.RespondManually(),
	}, b.verify...)
	hook, err := workflow.NewWebhook(ctx, opts...)
	if err != nil {
		return 0, err
	}
	defer hook.Close()

	if err := workflow.Do(ctx, "tell", func(context.Context) error { return tell(hook.URL()) }); err != nil {
		return 0, err
	}

	n := 0
	for req, err := range hook.All(ctx) {
		if err != nil {
			return n, err
		}
		form, err := req.Form()
		if err != nil {
			if err := req.Respond(ctx, workflow.Text(http.StatusBadRequest, err.Error())); err != nil {
				return n, err
			}
			continue
		}
		n++
		switch {
		case form.Get("text") == "stop":
			return n, say(ctx, req, "Stopping.")
		case form.Get("command") == "/status":
			err = b.status(ctx, channel, req)
		default:
			err = say(ctx, req, "There is no command "+form.Get("command")+".")
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// status answers within the three seconds that Slack waits, and looks then.
func (b *bot) status(ctx workflow.Context, channel string, req *workflow.Request) error {
	if err := say(ctx, req, "Checking the status."); err != nil {
		return err
	}
	status, err := workflow.Step(ctx, "check", checkSystem)
	if err != nil {
		return err
	}
	return workflow.Do(ctx, "post", func(ctx context.Context) error {
		return b.slack.post(ctx, channel, "Status: "+status)
	})
}

// say answers a command. Only who gave it sees the answer.
func say(ctx workflow.Context, req *workflow.Request, text string) error {
	return req.Respond(ctx, workflow.JSON(http.StatusOK, map[string]string{
		"response_type": "ephemeral", "text": text,
	}))
}

func checkSystem(context.Context) (string, error) { return "all systems operational", nil }

func tell(url string) error {
	_, err := fmt.Printf(`The request URL of the slash commands is %[1]s. To be Slack:

  curl '%[1]s' -d command=/status -d user_name=ada
  curl '%[1]s' -d command=/weather -d text=Paris
  curl '%[1]s' -d command=/status -d text=stop

`, url)
	return err
}

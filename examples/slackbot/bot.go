package main

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// Bot answers the messages of one channel until somebody says /stop. Its result is
// how many it has answered.
var Bot = workflow.Declare[string, int]("slack-bot")

// Message is what Slack sends.
type Message struct {
	EventID string `json:"event_id"`
	Channel string `json:"channel"`
	User    string `json:"user"`
	Text    string `json:"text"`
}

// token is the address of a channel's bot. Anyone who knows the channel knows it.
func token(channel string) string { return "slack_messages:" + channel }

type bot struct{ slack *slack }

func (b *bot) run(ctx workflow.Context, channel string) (int, error) {
	hook, err := workflow.NewHook[Message](ctx, workflow.Token(token(channel)))
	if err != nil {
		return 0, err
	}
	defer hook.Close()

	n := 0
	for msg, err := range hook.All(ctx) {
		if err != nil {
			return n, err
		}
		if msg.Text == "/stop" {
			break
		}
		n++
		err := workflow.Do(ctx, "reply", func(ctx context.Context) error {
			return b.slack.post(ctx, channel, fmt.Sprintf("%d. %s says %q", n, msg.User, msg.Text))
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

package main

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// Bot answers the messages of one channel until somebody says /stop. Its result is
// how many it has answered.
var Bot = workflow.Declare[Chat, int]("slack-bot")

// Chat is what a generation of a bot needs to know.
type Chat struct {
	Channel  string `json:"channel"`
	Answered int    `json:"answered"`
}

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

func (b *bot) run(ctx workflow.Context, chat Chat) (int, error) {
	hook, err := workflow.NewHook[Message](ctx, workflow.Token(token(chat.Channel)))
	if err != nil {
		return chat.Answered, err
	}
	defer hook.Close()

	for msg, err := range hook.All(ctx) {
		if err != nil {
			return chat.Answered, err
		}
		if msg.Text == "/stop" {
			break
		}
		chat.Answered++
		err := workflow.Do(ctx, "reply", func(ctx context.Context) error {
			return b.slack.post(ctx, chat.Channel, fmt.Sprintf("%d. %s says %q", chat.Answered, msg.User, msg.Text))
		})
		if err != nil {
			return chat.Answered, err
		}
		if workflow.RestartDue(ctx) {
			return Bot.Restart(ctx, chat) // the next generation keeps the hook and its messages
		}
	}
	return chat.Answered, nil
}

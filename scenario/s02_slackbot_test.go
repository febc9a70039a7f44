package scenario_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// S2: a bot listens to a Slack channel. The endpoint finds its run from the channel
// alone; each message is processed in a step; /stop ends it.

type message struct {
	Text string `json:"text"`
}

var slackBot = workflow.Declare[string, int]("slack-bot")

type bot struct {
	ledger
	hello time.Duration // how long it takes to say hello
}

func (b *bot) run(ctx workflow.Context, channel string) (int, error) {
	hook, err := workflow.NewHook[message](ctx, workflow.Token("slack_messages:"+channel))
	if err != nil {
		return 0, err
	}
	defer hook.Close()
	if err := workflow.Do(ctx, "hello", func(ctx context.Context) error { return busy(ctx, b.hello) }); err != nil {
		return 0, err
	}
	n := 0
	for msg, err := range hook.All(ctx) {
		if err != nil {
			return n, err
		}
		if msg.Text == "/stop" {
			break
		}
		err := workflow.Do(ctx, "process", func(ctx context.Context) error {
			if strings.HasPrefix(msg.Text, "slow") {
				if err := busy(ctx, time.Second); err != nil {
					return err
				}
			}
			return b.enter(ctx, msg.Text)
		})
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func TestS02SlackBot(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		b := &bot{hello: time.Second}
		w.boot(slackBot.Implement(b.run))
		run := start(w, slackBot, "bot", "general")
		post := func(text string) {
			if info := w.send("slack_messages:general", message{text}); info.RunID != run.ID() {
				w.t.Errorf("%s reached run %s, want %s", text, info.RunID, run.ID())
			}
		}
		post("before 1")
		post("before 2")
		w.advance(5 * time.Second)
		post("slow 3")
		post("during 4")
		w.advance(5 * time.Second)
		w.status(run.ID(), workflow.StatusWaiting)
		post("waiting 5")
		post("/stop")
		want(w, run, 5)
		b.want(w.t, "before 1", "before 2", "slow 3", "during 4", "waiting 5")
		if _, err := w.resume("slack_messages:general", message{"too late"}); !errors.Is(err, workflow.ErrHookNotFound) {
			w.t.Errorf("a message to a bot that has ended: %v, want ErrHookNotFound", err)
		}
	})
}

func TestS02ThousandMessages(t *testing.T) {
	t.Parallel()
	undisturbed(t, func(w *world) {
		n := 1000
		if w.cache < 0 {
			n = 100 // each replays all that came before it
		}
		b := &bot{hello: time.Second}
		w.boot(slackBot.Implement(b.run))
		run := start(w, slackBot, "bot", "general")
		var sent []string
		for i := range n {
			text := fmt.Sprint("message ", i)
			switch {
			case i == n/3:
				w.advance(time.Minute) // it has heard of those that came before it listened
			case i%100 == 50:
				text = fmt.Sprint("slow ", i) // the next ones come in its middle
			case i%7 == 0:
				w.idle()
			}
			w.send("slack_messages:general", message{text})
			sent = append(sent, text)
		}
		w.send("slack_messages:general", message{"/stop"})
		want(w, run, n)
		b.want(w.t, sent...)
	})
}

// Command slackbot has one run for each channel, which the first message starts. The
// endpoint that Slack calls finds it by the channel alone, and need not know whether
// it is there.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/demo"
	"github.com/tenter-dev/tenter/workflow"
)

func main() {
	addr := flag.String("addr", "", "serve here until Ctrl-C, instead of playing a scene")
	b := &bot{slack: &slack{}}
	opts := engine.Options{
		Workflows:    []workflow.Definition{Bot.Implement(b.run)},
		RestartAfter: 100, // events, so that it is soon to be seen; leave the default in production
	}
	demo.Main(opts, func(ctx context.Context, eng *engine.Engine) error {
		return demo.Serve(ctx, *addr, events(eng), func(url string) error {
			return play(ctx, eng, url)
		})
	})
}

// events is the endpoint that Slack calls, again if it gets no answer.
func events(eng *engine.Engine) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var msg Message
		if err := json.NewDecoder(r.Body).Decode(&msg); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		info, err := workflow.Resume(r.Context(), eng, token(msg.Channel), msg,
			workflow.OrStart(Bot, Chat{Channel: msg.Channel}), workflow.IdempotencyKey(msg.EventID))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(info)
	})
}

// play is what happens in the channels.
func play(ctx context.Context, eng *engine.Engine, url string) error {
	var bots []string
	for _, msg := range []Message{
		{"e1", "general", "ada", "Good morning"},
		{"e2", "random", "bob", "Tea, anyone?"},
		{"e3", "general", "cyd", "Is the deploy out?"},
		{"e3", "general", "cyd", "Is the deploy out?"}, // Slack did not get our answer
		{"e4", "general", "ada", "/stop"},
		{"e5", "random", "bob", "/stop"},
	} {
		info, err := send(ctx, url, msg)
		if err != nil {
			return err
		}
		if info.Started {
			bots = append(bots, info.RunID)
		}
	}
	for _, id := range bots {
		n, err := Bot.Get(eng, id).Result(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("A bot stopped after %d.\n", n)
	}

	if _, err := send(ctx, url, Message{"e6", "general", "ada", "Still there?"}); err != nil {
		return err
	}
	info, err := send(ctx, url, Message{"e7", "general", "ada", "/stop"})
	if err != nil {
		return err
	}
	n, err := Bot.Get(eng, info.RunID).Result(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("A new bot answered, and stopped after %d.\n", n)
	return nil
}

// send sends a message as Slack does.
func send(ctx context.Context, url string, msg Message) (info workflow.HookInfo, err error) {
	body, err := json.Marshal(msg)
	if err != nil {
		return info, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return info, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return info, err
	}
	defer res.Body.Close()
	return info, json.NewDecoder(res.Body).Decode(&info)
}

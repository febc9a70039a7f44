// Command chat has a run for each channel of a chat, which the first message starts: a
// webhook's first request finds no run, and need not.
package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/demo"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

func main() {
	opts := engine.Options{Workflows: []workflow.Definition{Chat}}
	demo.Site(opts, routes, func(ctx context.Context, _ *engine.Engine, url string) error {
		fmt.Printf(`Each channel has a run, from its first message until somebody says bye:

  curl %[1]s/chat/general -d 'Good morning'
  curl %[1]s/chat/random -d 'Tea, anyone?'
  curl %[1]s/chat/general -d 'Is the deploy out?'
  curl %[1]s/chat/general -d bye
  curl %[1]s/chat/general -d 'Still there?'

`, url)
		<-ctx.Done()
		return nil
	})
}

// how says how messages are taken and answered. The route says it for the message that starts
// a run, and the run for all others.
var how = []workflow.WebhookOption{
	workflow.RespondManually(),
	workflow.DedupeHeader("Message-Id"), // clients send a message again if they get no answer
}

func routes(mux *http.ServeMux, eng *engine.Engine) {
	mux.Handle("POST /chat/{channel}", server.Webhook(eng,
		func(r *http.Request) (string, error) { return token(r.PathValue("channel")), nil },
		server.OrStart(Chat, func(token string, _ *workflow.Request) (string, error) {
			return channelOf(token), nil
		}, how...),
	))
}

// token is the address of a channel's run.
func token(channel string) string { return "chat:" + channel }

func channelOf(token string) string { return strings.TrimPrefix(token, "chat:") }

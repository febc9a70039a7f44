// Command slashcommand has a run that answers a channel's slash commands, one after
// the other, until somebody tells it to stop.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/demo"
	"github.com/tenter-dev/tenter/sender"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

func main() {
	b := &bot{slack: &slack{}}
	opts := engine.Options{Workflows: []workflow.Definition{Commands.Implement(b.run)}}
	if secret := os.Getenv("SLACK_SIGNING_SECRET"); secret != "" {
		b.verify = []workflow.WebhookOption{workflow.From("slack")}
		opts.Senders = map[string]*sender.Sender{"slack": sender.Must(sender.Slack(secret))}
	}
	demo.Site(opts, routes, func(ctx context.Context, eng *engine.Engine, _ string) error {
		run, err := Commands.Start(ctx, eng, "general")
		if err != nil {
			return err
		}
		n, err := run.Result(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("Stopped after %d commands.\n", n)
		return nil
	})
}

func routes(mux *http.ServeMux, eng *engine.Engine) {
	mux.Handle(server.WebhookPath, server.Webhooks(eng, server.Options{}))
}

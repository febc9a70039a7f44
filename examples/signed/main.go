// Command signed has a run that takes GitHub's webhooks: only those that GitHub
// signed, and each once, however often it is delivered.
package main

import (
	"cmp"
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
	secret := cmp.Or(os.Getenv("GITHUB_WEBHOOK_SECRET"), "It's a Secret to Everybody")
	opts := engine.Options{
		Workflows: []workflow.Definition{Deliveries},
		// The secret is here and nowhere else: what is stored is the sender's name.
		Senders: map[string]*sender.Sender{"github": sender.Must(sender.GitHub(secret))},
	}
	demo.Site(opts, routes, func(ctx context.Context, eng *engine.Engine, _ string) error {
		run, err := Deliveries.Start(ctx, eng, "main")
		if err != nil {
			return err
		}
		n, err := run.Result(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("The branch is deleted after %d pushes.\n", n)
		return nil
	})
}

func routes(mux *http.ServeMux, eng *engine.Engine) {
	mux.Handle(server.WebhookPath, server.Webhooks(eng, server.Options{}))
}

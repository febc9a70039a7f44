// Command dynamic has a run that reads each request and then decides what its caller
// is answered, on the connection that is still open: from a step, or straight from the
// workflow.
package main

import (
	"context"
	"net/http"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/demo"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

func main() {
	opts := engine.Options{Workflows: []workflow.Definition{FromStep, FromWorkflow}}
	demo.Site(opts, routes, func(ctx context.Context, eng *engine.Engine, _ string) error {
		if _, err := FromStep.Start(ctx, eng, struct{}{}); err != nil {
			return err
		}
		if _, err := FromWorkflow.Start(ctx, eng, struct{}{}); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
}

func routes(mux *http.ServeMux, eng *engine.Engine) {
	mux.Handle(server.WebhookPath, server.Webhooks(eng, server.Options{}))
}

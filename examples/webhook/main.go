// Command webhook gives a run a URL of its own, and waits until somebody calls it.
// The caller gets 202 Accepted; with -static, an answer that was set in advance.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/demo"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

func main() {
	static := flag.Bool("static", false, "answer with JSON and a header, instead of 202 Accepted")
	demo.Site(engine.Options{Workflows: []workflow.Definition{Listen}}, routes,
		func(ctx context.Context, eng *engine.Engine, _ string) error {
			run, err := Listen.Start(ctx, eng, *static)
			if err != nil {
				return err
			}
			said, err := run.Result(ctx)
			if err != nil {
				return err
			}
			fmt.Println(said)
			return nil
		})
}

func routes(mux *http.ServeMux, eng *engine.Engine) {
	mux.Handle(server.WebhookPath, server.Webhooks(eng, server.Options{}))
}

// Listen waits for one request.
var Listen = workflow.Define("listen", listen)

func listen(ctx workflow.Context, static bool) (string, error) {
	var opts []workflow.WebhookOption
	if static {
		thanks := workflow.JSON(http.StatusOK, map[string]any{"success": true, "message": "Webhook received"})
		thanks.Header.Set("X-Served-By", "tenter")
		opts = append(opts, workflow.RespondWith(thanks))
	}
	hook, err := workflow.NewWebhook(ctx, opts...)
	if err != nil {
		return "", err
	}
	defer hook.Close()

	err = workflow.Do(ctx, "tell", func(context.Context) error {
		_, err := fmt.Printf("Send a request to this run:\n\n  curl -i -X POST '%s?from=me' -d 'Hello, run'\n\n", hook.URL())
		return err
	})
	if err != nil {
		return "", err
	}

	req, err := hook.Wait(ctx) // a second or a year
	if err != nil {
		return "", err
	}
	hook.Close() // one request is enough: a second one is a 404
	// The caller has its answer already: it does not wait for this.
	return workflow.Step(ctx, "work", func(context.Context) (string, error) {
		return fmt.Sprintf("%s %s\nquery: %s\nuser agent: %s\nbody: %s",
			req.Method, req.URL.Path, req.URL.RawQuery, req.Header.Get("User-Agent"), req.Body), nil
	})
}

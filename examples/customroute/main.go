// Command customroute has no public route for webhooks. The app authenticates its
// callers itself, on routes of its own, and hands their requests to the run.
package main

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/demo"
	"github.com/tenter-dev/tenter/workflow"
)

func main() {
	opts := engine.Options{
		Workflows: []workflow.Definition{Purchase},
		Hooks:     []workflow.HookDefinition{Approvals},
	}
	demo.Site(opts, routes, func(ctx context.Context, eng *engine.Engine, url string) error {
		run, err := Purchase.Start(ctx, eng, Tender{Supplier: "acme", URL: url + "/suppliers/acme"})
		if err != nil {
			return err
		}
		result, err := run.Result(ctx)
		if err != nil {
			return err
		}
		fmt.Println(result)
		return nil
	})
}

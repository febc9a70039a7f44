package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// The first request for an order starts the run that gets it, and those that follow.
func ExampleOrStart() {
	dir, err := os.MkdirTemp("", "tenter")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	st, err := sqlite.Open(filepath.Join(dir, "app.db"))
	if err != nil {
		panic(err)
	}
	defer func() { _ = st.Close() }()

	follow := workflow.Define("follow", func(ctx workflow.Context, order string) (string, error) {
		updates, err := workflow.NewWebhook(ctx, workflow.Token("order:"+order))
		if err != nil {
			return "", err
		}
		var seen []string
		for update, err := range updates.All(ctx) {
			if err != nil {
				return "", err
			}
			seen = append(seen, string(update.Body))
			if string(update.Body) == "delivered" {
				break
			}
		}
		return strings.Join(seen, ", "), nil
	}, workflow.StartedByRequest())

	quiet := slog.New(slog.DiscardHandler)
	eng, err := engine.New(st, engine.Options{Workflows: []workflow.Definition{follow}, PublicURL: "https://example.com", Logger: quiet})
	if err != nil {
		panic(err)
	}
	defer func() { _ = eng.Close() }()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(ctx) }()

	mux := http.NewServeMux()
	mux.Handle("POST /orders/{order}", server.Webhook(eng,
		func(r *http.Request) (string, error) { return "order:" + r.PathValue("order"), nil },
		server.OrStart(follow, func(token string, _ *workflow.Request) (string, error) {
			return strings.TrimPrefix(token, "order:"), nil
		})))
	srv := httptest.NewServer(mux)
	defer srv.Close()

	for _, update := range []string{"paid", "shipped", "delivered"} {
		resp, err := srv.Client().Post(srv.URL+"/orders/7", "text/plain", strings.NewReader(update)) //nolint:noctx // an example
		if err != nil {
			panic(err)
		}
		_ = resp.Body.Close()
		fmt.Println(update, resp.StatusCode)
	}
	runs, err := eng.Runs(ctx, inspect.RunFilter{Workflow: "follow"})
	if err != nil {
		panic(err)
	}
	for _, r := range runs {
		fmt.Println(follow.Get(eng, r.ID).Result(ctx))
	}
	stop()
	if err := <-ended; err != nil {
		panic(err)
	}
	// Output:
	// paid 202
	// shipped 202
	// delivered 202
	// paid, shipped, delivered <nil>
}

package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/sender"
	"github.com/tenter-dev/tenter/workflow"
	"github.com/tenter-dev/tenter/workflowtest"
)

// An order that nobody cancels ends by itself, and crashes change nothing.
func TestHandling(t *testing.T) {
	t.Parallel()
	shopify := sender.Must(sender.Shopify("the client secret of nobody"))
	opts := engine.Options{
		Workflows: []workflow.Definition{Handling},
		Senders:   map[string]*sender.Sender{"shopify": shopify},
	}
	for _, tt := range []struct {
		after    time.Duration // since it was fulfilled
		canceled bool
		want     State
	}{
		{after: returnable - time.Hour, canceled: true, want: Canceled},
		{after: returnable + time.Hour, want: Fulfilled},
	} {
		workflowtest.CrashEverywhere(t, opts, func(t *testing.T, eng *workflowtest.Engine) {
			eng.Handle("POST /shopify/orders", orders(eng.Engine()))
			send := func(id, rest string) {
				t.Helper()
				r := &sender.Request{Header: http.Header{"X-Shopify-Webhook-Id": {id}}, Body: []byte(`{"id":7,"name":"#7"` + rest + `}`)}
				if err := shopify.Sign(r, time.Now()); err != nil {
					t.Fatal(err)
				}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://app.test/shopify/orders", strings.NewReader(string(r.Body)))
				if err != nil {
					t.Fatal(err)
				}
				req.Header = r.Header
				if got := eng.Send(req); got.Status != http.StatusAccepted {
					t.Errorf("%s: %d %s", rest, got.Status, got.Body)
				}
			}
			send("w1", "")
			send("w2", `,"fulfillment_status":"fulfilled"`)
			eng.Advance(tt.after)
			if tt.canceled {
				send("w3", `,"fulfillment_status":"fulfilled","cancelled_at":"2026-11-30T10:00:00Z"`)
			}
			runs, err := eng.Engine().Runs(t.Context(), inspect.RunFilter{})
			if err != nil || len(runs) != 1 {
				t.Fatalf("runs %v, %v; want one", runs, err)
			}
			if got := workflowtest.Result(eng, Handling.Get(eng, runs[0].ID)); got != tt.want {
				t.Errorf("%v later it is %s, want %s", tt.after, got, tt.want)
			}
		})
	}
}

// Command shopify has a run for each order of a shop. The webhook orders/create starts it, and
// orders/fulfilled and orders/cancelled of the same order reach it.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
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
	secret := cmp.Or(os.Getenv("SHOPIFY_CLIENT_SECRET"), "the client secret of nobody")
	opts := engine.Options{
		Workflows: []workflow.Definition{Handling},
		Senders:   map[string]*sender.Sender{"shopify": sender.Must(sender.Shopify(secret))},
	}
	demo.Site(opts, routes, func(ctx context.Context, _ *engine.Engine, url string) error {
		fmt.Printf(`To be Shopify, which signs what it sends:

  secret=${SHOPIFY_CLIENT_SECRET:-"the client secret of nobody"}
  sign() { printf %%s "$1" | openssl dgst -sha256 -hmac "$secret" -binary | base64; }
  deliver() { curl -s -w '%%{http_code}\n' '%s/shopify/orders' -d "$2" -H "X-Shopify-Webhook-Id: $1" -H "X-Shopify-Hmac-Sha256: $(sign "$2")"; }

  deliver w1 '{"id":1001,"name":"#1001","total_price":"59.90"}'
  deliver w1 '{"id":1001,"name":"#1001","total_price":"59.90"}'
  deliver w2 '{"id":1002,"name":"#1002","total_price":"7.50"}'
  deliver w3 '{"id":1001,"name":"#1001","total_price":"59.90","fulfillment_status":"fulfilled"}'
  deliver w4 '{"id":1002,"name":"#1002","total_price":"7.50","cancelled_at":"2026-11-30T10:00:00Z"}'

`, url)
		<-ctx.Done()
		return nil
	})
}

// how says how Shopify's requests are taken. Shopify signs no ID of a delivery, so it is the
// header that says what is a repeat.
var how = []workflow.WebhookOption{workflow.From("shopify"), workflow.DedupeHeader("X-Shopify-Webhook-Id")}

func routes(mux *http.ServeMux, eng *engine.Engine) { mux.Handle("POST /shopify/orders", orders(eng)) }

// orders is one URL for all topics. X-Shopify-Topic is not signed, so it is left alone: the body is
// the whole order, and says what has become of it.
func orders(eng *engine.Engine) http.Handler {
	return server.Webhook(eng, func(r *http.Request) (string, error) {
		var o Order
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil || o.ID == 0 {
			return "", errors.New("it is not an order")
		}
		return token(o.ID), nil
	}, server.OrStart(Handling, func(_ string, r *workflow.Request) (int64, error) {
		var o Order
		if err := r.JSON(&o); err != nil {
			return 0, err
		}
		if o.State() != Open {
			// It has come before orders/create. With 404, Shopify sends it again.
			return 0, fmt.Errorf("order %d is %s, but it has no run yet", o.ID, o.State())
		}
		return o.ID, nil
	}, how...))
}

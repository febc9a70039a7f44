package main

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/examples/internal/exampletest"
	"github.com/tenter-dev/tenter/sender"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

const printed = `code}\\n' '(\S+)' (?s:.*)cancelled_at.*\n\n`

func TestShopify(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, args ...string) (p *exampletest.Process, url string) {
		t.Helper()
		p = exampletest.Start(t, t.TempDir(), append(args, "-addr", "127.0.0.1:0")...)
		return p, p.WaitFor(printed)[1]
	}

	t.Run("as printed", func(t *testing.T) {
		t.Parallel()
		p, _ := start(t)
		if got, want := strings.Fields(p.Paste("curl", "openssl", "base64")), 5; len(got) != want || strings.Join(got, "") != strings.Repeat("202", want) {
			t.Errorf("answers are %v, want 202 for each", got)
		}
		p.WaitFor(`Order #1001: 59\.90, and the customer is thanked\.\n`)
		p.WaitFor(`Order #1002: it is canceled`)
		if n := strings.Count(p.Output(), "#1001: what it takes is reserved"); n != 1 {
			t.Errorf("what order 1001 takes is reserved %d times:\n%s", n, p.Output())
		}
	})

	t.Run("one run for each order", func(t *testing.T) {
		t.Parallel()
		p, url := start(t)
		const created = `{"id":7,"name":"#7","total_price":"1.00"}`
		var all sync.WaitGroup
		for range 20 { // at once: Shopify has got no answer
			all.Go(func() { wantStatus(t, deliver(t, url, "w1", created, ""), http.StatusAccepted) })
		}
		all.Wait()
		wantStatus(t, deliver(t, url, "w2", `{"id":7,"name":"#7","total_price":"1.00","fulfillment_status":"partial"}`, ""), http.StatusAccepted)
		wantStatus(t, deliver(t, url, "w3", `{"id":7,"name":"#7","total_price":"1.00","fulfillment_status":"fulfilled"}`, ""), http.StatusAccepted)
		p.WaitFor(`#7: 1\.00, and the customer is thanked`)
		wantStatus(t, deliver(t, url, "w4", `{"id":7,"name":"#7","total_price":"1.00","fulfillment_status":"fulfilled","cancelled_at":"2026-11-30T10:00:00Z"}`, ""), http.StatusAccepted)
		p.WaitFor(`#7: 1\.00 is paid back`)
		wantStatus(t, deliver(t, url, "w1", created, ""), http.StatusAccepted) // a late repeat starts nothing
		if n := strings.Count(p.Output(), "reserved."); n != 1 {
			t.Errorf("there were %d runs:\n%s", n, p.Output())
		}
	})

	t.Run("not from Shopify", func(t *testing.T) {
		t.Parallel()
		p, url := start(t)
		const created = `{"id":8,"name":"#8","total_price":"1.00"}`
		wantStatus(t, deliver(t, url, "w1", created, " "), http.StatusUnauthorized)
		wantStatus(t, exampletest.Send(t, http.MethodPost, url, nil, created), http.StatusUnauthorized)
		wantStatus(t, deliver(t, url, "w1", `{"products":[]}`, ""), http.StatusNotFound)
		wantStatus(t, deliver(t, url, "w1", created, ""), http.StatusAccepted)
		p.WaitFor(`#8: what it takes is reserved`)
	})

	t.Run("canceled before it was created", func(t *testing.T) {
		t.Parallel()
		p, url := start(t)
		const canceled = `{"id":9,"name":"#9","total_price":"1.00","cancelled_at":"2026-11-30T10:00:00Z"}`
		wantStatus(t, deliver(t, url, "w2", canceled, ""), http.StatusNotFound)
		wantStatus(t, deliver(t, url, "w1", `{"id":9,"name":"#9","total_price":"1.00"}`, ""), http.StatusAccepted)
		wantStatus(t, deliver(t, url, "w2", canceled, ""), http.StatusAccepted) // sent again
		p.WaitFor(`#9: it is canceled, and nothing is reserved`)
	})
}

// deliver sends what Shopify would have signed, with something added.
func deliver(t *testing.T, url, id, body, added string) exampletest.Answer {
	t.Helper()
	r := &sender.Request{Method: http.MethodPost, Header: http.Header{"X-Shopify-Webhook-Id": {id}}, Body: []byte(body)}
	if err := sender.Must(sender.Shopify("the client secret of nobody")).Sign(r, time.Now()); err != nil {
		t.Fatal(err)
	}
	return exampletest.Send(t, http.MethodPost, url, r.Header, body+added)
}

func wantStatus(t *testing.T, a exampletest.Answer, want int) {
	t.Helper()
	if a.Status != want {
		t.Errorf("%d %s, want %d", a.Status, a.Body, want)
	}
}

package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// process is the example at work.
type process struct {
	t    *testing.T
	url  string
	stop func()
}

func begin(t *testing.T, db string) *process {
	t.Helper()
	registry := prometheus.NewRegistry()
	p, err := newProviders(t.Context(), registry)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- serve(ctx, listener, db, p, registry) }()
	return &process{t: t, url: "http://" + listener.Addr().String(), stop: func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := p.shutdown(); err != nil {
			t.Errorf("shut the providers down: %v", err)
		}
	}}
}

// do sends a request as a part of a trace, if there is one, and returns the answer.
func (p *process) do(method, path, body, traceparent string) string {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if traceparent != "" {
		req.Header.Set("Traceparent", traceparent)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %s: %s, %v: %s", method, path, resp.Status, err, answer)
	}
	return strings.TrimSpace(string(answer))
}

// scraped waits until the metrics have a line that begins so and contains all of what,
// and returns them.
func (p *process) scraped(begin string, what ...string) string {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	give := time.After(20 * time.Second)
	for {
		all := p.do("GET", "/metrics", "", "")
	lines:
		for line := range strings.Lines(all) {
			if !strings.HasPrefix(line, begin) {
				continue
			}
			for _, w := range what {
				if !strings.Contains(line, w) {
					continue lines
				}
			}
			return all
		}
		select {
		case <-tick.C:
		case <-give:
			p.t.Fatalf("there is no %s with %v in:\n%s", begin, what, all)
		}
	}
}

const (
	orderTrace, orderSpan       = "0a000000000000000000000000000001", "0a00000000000001"
	approvalTrace, approvalSpan = "0b000000000000000000000000000001", "0b00000000000001"
)

// orderInTwo places an order in one process, and approves and pays it in the next. It returns what
// Prometheus gets of the second.
func orderInTwo(t *testing.T) (scrape string) {
	t.Helper()
	db := filepath.Join(t.TempDir(), "orders.db")
	first := begin(t, db)
	id := first.do("POST", "/orders", "book", "00-"+orderTrace+"-"+orderSpan+"-01")
	first.scraped("tenter_step_duration_seconds_count", `tenter_step="reserve"`)
	first.stop()
	second := begin(t, db)
	second.do("POST", "/approvals/"+id, "yes", "00-"+approvalTrace+"-"+approvalSpan+"-01")
	scrape = second.scraped("tenter_run_ended_total", `tenter_workflow="order"`)
	second.stop()
	return scrape
}

func TestReceiverGetsTracesAndMetrics(t *testing.T) {
	r := newReceiver(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.url)
	orderInTwo(t)
	order := `POST /orders
  start order
    run order
    step reserve 1 error: the stock says 503 Service Unavailable
      HTTP GET
        GET /stock/{item}
    step reserve 2
      HTTP GET
        GET /stock/{item}
    hook approval <- 0b00
    start payment
      run payment
      step transfer 1
`
	if diff := cmp.Diff(order, r.tree(orderTrace, orderSpan)); diff != "" {
		t.Errorf("the trace of the order (-want +got):\n%s", diff)
	}
	approval := `POST /approvals/{id}
  resume approval
`
	if diff := cmp.Diff(approval, r.tree(approvalTrace, approvalSpan)); diff != "" {
		t.Errorf("the trace of the approval (-want +got):\n%s", diff)
	}
	if n := r.sum("tenter.run.ended"); n != 2 {
		t.Errorf("%d runs ended, want 2", n)
	}
	if n := r.sum("tenter.payload.sent"); n != 1 {
		t.Errorf("%d payloads were sent, want 1", n)
	}
	if n := r.count("tenter.hook.wait"); n != 1 {
		t.Errorf("%d hooks waited, want 1", n)
	}
	if n := r.sum("tenter.replay.events"); n == 0 {
		t.Error("the second process has replayed nothing")
	}
	if n := r.count("tenter.commit.duration"); n == 0 {
		t.Error("no commit was measured")
	}
}

// Command telemetry takes orders over HTTP and shows what OpenTelemetry reports about them: metrics
// for Prometheus at /metrics, of which dashboard.json makes a Grafana dashboard, and both traces
// and metrics sent to where OTEL_EXPORTER_OTLP_ENDPOINT says, such as http://127.0.0.1:4318. What
// is set up for it is in providers.go, the workflow in orders.go.
//
// It is a module of its own, so that nobody else gets the dependencies.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	db := flag.String("db", "telemetry.db", "SQLite file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := run(ctx, *addr, *db); err != nil {
		fmt.Fprintln(os.Stderr, "telemetry:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr, db string) (err error) {
	registry := prometheus.NewRegistry()
	p, err := newProviders(ctx, registry)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.shutdown()) }()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	url := "http://" + listener.Addr().String()
	fmt.Printf("Order, then approve, and look at the metrics:\n\n  curl -d book %[1]s/orders\n  curl -d yes %[1]s/approvals/ID\n  curl %[1]s/metrics\n", url)
	return serve(ctx, listener, db, p, registry)
}

// serve takes orders until ctx ends.
func serve(ctx context.Context, listener net.Listener, db string, p *providers, registry *prometheus.Registry) error {
	st, err := sqlite.Open(db)
	if err != nil {
		return err
	}
	defer st.Close()
	shop := &shop{
		url:    "http://" + listener.Addr().String(),
		client: &http.Client{Transport: otelhttp.NewTransport(nil, p.http()...)},
	}
	shop.engine, err = engine.New(st, engine.Options{
		Workflows:      []workflow.Definition{Order.Implement(shop.order), Payment},
		Hooks:          []workflow.HookDefinition{Approvals},
		TracerProvider: p.tracers,
		MeterProvider:  p.meters,
	})
	if err != nil {
		return err
	}
	defer shop.engine.Close()

	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.Handle("/", otelhttp.NewHandler(shop.routes(), "shop", p.http()...))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go server.Serve(listener)
	defer server.Close()
	return shop.engine.Run(ctx)
}

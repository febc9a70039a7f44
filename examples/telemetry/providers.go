package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"
)

// providers are where spans and metrics go: metrics to Prometheus when it asks, and
// both to an OTLP receiver if there is one.
type providers struct {
	tracers *trace.TracerProvider
	meters  *metric.MeterProvider
}

func newProviders(ctx context.Context, registry prometheus.Registerer) (*providers, error) {
	scrape, err := exporter.New(exporter.WithRegisterer(registry))
	if err != nil {
		return nil, err
	}
	metrics := []metric.Option{metric.WithReader(scrape)}
	var traces []trace.TracerProviderOption
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" { // which the exporters read
		spans, err := otlptracehttp.New(ctx)
		if err != nil {
			return nil, err
		}
		points, err := otlpmetrichttp.New(ctx)
		if err != nil {
			return nil, err
		}
		traces = append(traces, trace.WithBatcher(spans))
		metrics = append(metrics, metric.WithReader(metric.NewPeriodicReader(points)))
	}
	return &providers{tracers: trace.NewTracerProvider(traces...), meters: metric.NewMeterProvider(metrics...)}, nil
}

// http are the options of instrumented handlers and clients.
func (p *providers) http() []otelhttp.Option {
	return []otelhttp.Option{
		otelhttp.WithTracerProvider(p.tracers), otelhttp.WithMeterProvider(p.meters),
		otelhttp.WithPropagators(propagation.TraceContext{}),
	}
}

// shutdown sends what is left.
func (p *providers) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	return errors.Join(p.tracers.Shutdown(ctx), p.meters.Shutdown(ctx))
}

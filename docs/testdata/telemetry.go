package p

import (
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// otel is what the page takes from go.opentelemetry.io/otel, which sets up globals that
// nothing here imports.
var otel interface {
	GetTracerProvider() trace.TracerProvider
	GetMeterProvider() metric.MeterProvider
}

var (
	st             store.Store
	Order, Payment workflow.Definition
)

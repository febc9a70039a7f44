package server

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traced is the context of a request, in the trace that its header traceparent names:
// what is sent to a run remembers where it came from. A handler around this one that has
// begun a span, such as otelhttp's, has seen to that already.
func traced(r *http.Request) context.Context {
	ctx := r.Context()
	if r.Header["Traceparent"] == nil || trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
}

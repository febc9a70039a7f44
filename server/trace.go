package server

import (
	"net/http"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traced is a request whose context is in the trace that its header traceparent names:
// what is sent to a run remembers where it came from. A handler around this one that has
// begun a span, such as otelhttp's, has seen to that already.
func traced(r *http.Request) *http.Request {
	ctx := r.Context()
	if r.Header["Traceparent"] == nil || trace.SpanContextFromContext(ctx).IsValid() {
		return r
	}
	return r.WithContext(propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header)))
}

package server_test

import (
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/tenter-dev/tenter/engine"
)

// The trace of a request goes on in what is sent to the run, and the run knows it.
func TestRequestsBringTheirTrace(t *testing.T) {
	t.Parallel()
	const traceID, spanID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	l := newLab(t)
	collector := l.collector()
	spans := tracetest.NewSpanRecorder()
	l.run(engine.Options{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))}, collector)
	run, u := open(l, collector, "")
	wantStatus(l, l.post(u, "hello", "Traceparent", "00-"+traceID+"-"+spanID+"-01"), 202)
	wantStatus(l, l.post(u, "stop"), 202)
	result(l, run)
	var sent, linked int
	for _, span := range spans.Ended() {
		if span.Name() == "resume" && span.Parent().TraceID().String() == traceID && span.Parent().SpanID().String() == spanID {
			sent++
		}
		if span.Name() != "hook" {
			continue
		}
		for _, link := range span.Links() {
			if link.SpanContext.TraceID().String() == traceID {
				linked++
			}
		}
	}
	if sent != 1 || linked != 1 {
		t.Errorf("%d spans of the request's trace and %d links to it, want one each", sent, linked)
	}
}

package client_test

import (
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/client"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/memdir"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// The caller's span is the parent of the spans of the engine behind the API.
func TestTraceGoesThroughTheAPI(t *testing.T) {
	t.Parallel()
	st, err := sqlite.Open(filepath.Join(memdir.TempDir(t), "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	spans := tracetest.NewSpanRecorder()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	eng, err := engine.New(st, engine.Options{TracerProvider: tracers, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = eng.Close() }()
	srv := httptest.NewServer(server.API(eng, server.APIOptions{
		Logger: slog.New(slog.DiscardHandler),
		Access: access.Policy{APIKeys: []access.APIKey{{Secret: writeKey, Scope: access.Write}}},
	}))
	defer srv.Close()
	c, err := client.New(srv.URL, client.Options{APIKey: writeKey, HTTPClient: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, caller := tracers.Tracer("app").Start(t.Context(), "caller")
	if _, err := c.StartRun(ctx, workflow.StartRequest{Workflow: "order", Input: []byte(`"book"`)}); err != nil {
		t.Fatal(err)
	}
	for _, span := range spans.Ended() {
		if span.Name() == "start order" && span.Parent().SpanID() == caller.SpanContext().SpanID() {
			return
		}
	}
	t.Errorf("no start is a child of the caller: %v", spans.Ended())
}

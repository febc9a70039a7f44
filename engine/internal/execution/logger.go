package execution

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// logHandler holds back what workflow code logs until its decisions are durable, and drops it
// on replay.
type logHandler struct {
	x  *Execution
	to slog.Handler
}

func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.to.Enabled(ctx, level)
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	if _, err := h.x.enter(); err != nil {
		return h.to.Handle(ctx, r) // a step or goroutine has captured the logger
	}
	if h.x.live {
		r = r.Clone()
		ctx = context.WithoutCancel(ctx)
		if span := trace.SpanContextFromContext(h.x.traced); span.IsValid() {
			ctx = trace.ContextWithRemoteSpanContext(ctx, span)
		}
		h.x.logs = append(h.x.logs, func() { _ = h.to.Handle(ctx, r) })
	}
	return nil
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{x: h.x, to: h.to.WithAttrs(attrs)}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{x: h.x, to: h.to.WithGroup(name)}
}

package engine

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"

	"github.com/tenter-dev/tenter/internal/run"
)

// calmHandler drops a line whose handler panics: what writes the log must not take the
// process along.
type calmHandler struct{ slog.Handler }

func (h *calmHandler) Handle(ctx context.Context, r slog.Record) (err error) {
	defer run.Recovered(&err)
	return h.Handler.Handle(ctx, r)
}

func (h *calmHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &calmHandler{h.Handler.WithAttrs(attrs)}
}

func (h *calmHandler) WithGroup(name string) slog.Handler {
	return &calmHandler{h.Handler.WithGroup(name)}
}

// logHandler holds back what workflow code logs until what it decided is durable,
// and drops it on replay.
type logHandler struct {
	x  *execution
	to slog.Handler
}

func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.to.Enabled(ctx, level)
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	if _, err := h.x.enter(); err != nil {
		return h.to.Handle(ctx, r) // a step or goroutine has captured it
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

package engine

import (
	"context"
	"log/slog"

	"github.com/tenter-dev/tenter/internal/run"
)

// calmHandler drops a line whose handler panics: logging must not take the process down.
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

package workflow

import (
	"context"
	"log/slog"

	"github.com/tenter-dev/tenter/internal/run"
)

// LogHandler adds to what is logged with the context of a step which step it was: the
// attributes run, workflow, step, step_id and attempt, the keys that the engine uses.
// So code that knows nothing of workflows says in the log where it was called from:
//
//	slog.SetDefault(slog.New(workflow.LogHandler(slog.NewJSONHandler(os.Stderr, nil))))
//	…
//	slog.InfoContext(ctx, "charged", "amount", amount)
//
// Workflow code logs with [Logger] instead.
func LogHandler(to slog.Handler) slog.Handler {
	if to == nil {
		panic("workflow: LogHandler of nil")
	}
	return stepHandler{to}
}

type stepHandler struct{ slog.Handler }

func (h stepHandler) Handle(ctx context.Context, r slog.Record) error {
	if scene, ok := ctx.Value(run.Key{}).(*run.Scene); ok && scene.Scope == nil && scene.Info.StepID != "" {
		i := scene.Info
		r = r.Clone()
		r.AddAttrs(slog.String("run", i.RunID), slog.String("workflow", i.Workflow), slog.String("step", i.Step),
			slog.String("step_id", i.StepID), slog.Int("attempt", i.Attempt))
	}
	return h.Handler.Handle(ctx, r)
}

func (h stepHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return stepHandler{h.Handler.WithAttrs(attrs)}
}

func (h stepHandler) WithGroup(name string) slog.Handler {
	return stepHandler{h.Handler.WithGroup(name)}
}

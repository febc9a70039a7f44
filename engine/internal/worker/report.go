package worker

import (
	"log/slog"
	"slices"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/store"
)

// logger returns the worker's logger with the attributes of the run.
func (a *actor) logger() *slog.Logger { return a.w.log.With("run", a.id, "workflow", a.workflow) }

// report reports a durable transition to the log and OpenTelemetry. So everything that happens
// is reported, and nothing twice: a replay has no transitions.
func (b *batch) report(t *store.Transition) {
	b.log(t)
	b.a.w.tel.Committed(b.a.traced, &b.a.head, t, b.spans)
}

func (b *batch) log(t *store.Transition) {
	ctx := b.a.traced
	debug := b.a.w.log.Enabled(ctx, slog.LevelDebug)
	for i := range b.spans {
		p := &b.spans[i]
		if p.Failure == nil {
			continue
		}
		log := b.a.logger().With("step", p.Name, "step_id", b.a.id+"/"+p.Ref, "attempt", p.Failure.Attempts, "error", p.Failure.Text)
		switch {
		case p.Kind == execution.StepRetry:
			log.WarnContext(ctx, "an attempt of a step failed, and is repeated", "retry_at", p.Until)
		case slices.Contains(p.Failure.Is, journal.IsCanceled):
			log.DebugContext(ctx, "step was canceled")
		default:
			log.WarnContext(ctx, "step failed")
		}
	}
	if debug && len(t.Events) > 0 && t.Events[0].Kind == store.Started {
		b.a.logger().DebugContext(ctx, "run began", "version", t.Version)
	}
	if !t.Status.Ended() || !debug && t.Status != store.Failed {
		return
	}
	log := b.a.logger().With("status", t.Status, "took", t.At.Sub(b.a.head.CreatedAt))
	if t.Status == store.Failed {
		log.WarnContext(ctx, "run failed", "error", journal.DecodeFailure(t.Events[len(t.Events)-1].Data).Text)
	} else {
		log.DebugContext(ctx, "run ended")
	}
}

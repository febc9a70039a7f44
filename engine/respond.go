package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// respondDirectly answers a request from a step.
func (e *Engine) respondDirectly(ctx context.Context, request, responder string, a run.Response) error {
	return e.respond(ctx, e.direct(), request, responder, a)
}

func (e *Engine) respond(ctx context.Context, in operations, request, responder string, a run.Response) error {
	if err := e.usable(ctx); err != nil {
		return fmt.Errorf("respond: %w", err)
	}
	if err := execution.CheckResponse(&a, e.opts.MaxPayload); err != nil {
		return fmt.Errorf("respond: %w", err)
	}
	r, err := execution.NewResponse(request, workflow.InfoOf(ctx).RunID, responder, a, e.store.Now(), e.opts.DedupeFor)
	if err != nil {
		return fmt.Errorf("respond: %w", err)
	}
	err = in.Respond(ctx, r)
	if errors.Is(err, store.ErrExists) {
		return e.respondedBefore(ctx, request)
	}
	if err != nil {
		return fmt.Errorf("respond: %w", err)
	}
	return nil
}

// respondedBefore is the outcome of a response to a request that has one.
func (e *Engine) respondedBefore(ctx context.Context, request string) error {
	first, err := e.store.Response(ctx, request)
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound): // it may be of the same transaction
		return fmt.Errorf("respond: %w", err)
	case first.Responder == journal.Server: // the caller's time was over, which is not for the run to know
		return nil
	}
	return &run.RespondConflict{Responder: "another step or place"}
}

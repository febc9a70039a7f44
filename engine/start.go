package engine

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/engine/internal/waiting"
	"github.com/tenter-dev/tenter/engine/internal/worker"
	"github.com/tenter-dev/tenter/internal/schema"
	"github.com/tenter-dev/tenter/internal/strictjson"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// StartRun starts a run and returns its ID once it is durable. Use
// [workflow.Workflow.Start], which has its errors, where the types are known.
func (e *Engine) StartRun(ctx context.Context, req workflow.StartRequest) (string, error) {
	return e.start(ctx, req, func(n store.NewRun) error {
		if w := e.running(); w != nil {
			if def := e.definition(n.Workflow, n.Version); def != nil {
				if err := w.Begin(ctx, n, def); !errors.Is(err, worker.ErrDeclined) {
					return err
				}
			}
		}
		return e.startElsewhere(ctx, n)
	})
}

// startElsewhere starts a run that any worker may execute.
func (e *Engine) startElsewhere(ctx context.Context, n store.NewRun) error {
	end := waiting.EndOf(n.ID)
	if e.store.Shared() {
		e.waits.Begin(end)
	}
	err := e.store.Start(ctx, n)
	if err != nil {
		e.waits.Forget(end)
	}
	return err
}

// start checks a request and calls insert with the new run.
func (e *Engine) start(ctx context.Context, req workflow.StartRequest, insert func(store.NewRun) error) (string, error) {
	fail := func(err error) (string, error) { return "", fmt.Errorf("start %s: %w", req.Workflow, err) }
	if err := e.usable(ctx); err != nil {
		return fail(err)
	}
	n, err := e.newRun(req)
	if err != nil {
		return fail(err)
	}
	if n.Actor, err = actorOf(ctx); err != nil {
		return fail(err)
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	started := e.tel.Starting(ctx, &n)
	err = insert(n)
	started(err)
	switch {
	case errors.Is(err, store.ErrExists):
		return fail(&workflow.RunExistsError{RunID: n.ID})
	case err != nil:
		return fail(fmt.Errorf("run %s: %w", n.ID, err)) // the caller may have to look for the run
	}
	return n.ID, nil
}

// newRun checks a request and generates the run's ID and secret.
func (e *Engine) newRun(req workflow.StartRequest) (store.NewRun, error) {
	n := store.NewRun{
		ID:       req.RunID,
		Workflow: req.Workflow,
		Version:  req.Version,
		Input:    req.Input,
		Secret:   execution.NewSecret(),
	}
	if err := execution.CheckName(n.Workflow); err != nil {
		return n, fmt.Errorf("workflow name %q: %w", n.Workflow, err)
	}
	if len(e.defs) > 0 && e.defs[n.Workflow] == nil && !e.elsewhere[n.Workflow] {
		return n, fmt.Errorf("%w: %q is not in this engine's Options.Workflows; if others execute it, name it in Options.Elsewhere",
			workflow.ErrUnknownWorkflow, n.Workflow)
	}
	if n.Version < 0 || n.Version > math.MaxInt32 {
		return n, fmt.Errorf("%w: version %d: versions count from 1, up to %d", workflow.ErrInvalidName, n.Version, math.MaxInt32)
	}
	if n.ID == "" {
		n.ID = newID()
	} else if err := execution.CheckName(n.ID); err != nil {
		return n, fmt.Errorf("run ID %q: %w", n.ID, err)
	}
	if err := execution.CheckSize("the input", n.Input, e.opts.MaxPayload); err != nil {
		return n, err
	}
	if len(n.Input) == 0 {
		return n, nil
	}
	check := strictjson.Check // an input given to StartRun may be anything
	def := e.definition(n.Workflow, n.Version)
	if def != nil {
		check = def.Check
	}
	err := check(n.Input)
	if err == nil && def != nil {
		err = schema.Check(n.Input, def.In)
	}
	if err != nil {
		return n, &workflow.InputError{Workflow: n.Workflow, Err: err}
	}
	return n, nil
}

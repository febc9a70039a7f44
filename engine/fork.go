package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// ForkRun makes a new run of the beginning of another's journal, or says what that would do, see
// [workflow.Run.Fork]. It fails with [workflow.ErrRunNotFound], *[workflow.ForkRefusedError],
// *[workflow.HookConflictError], *[workflow.RunExistsError] or [workflow.ErrInvalidName].
func (e *Engine) ForkRun(ctx context.Context, req workflow.ForkRequest) (workflow.ForkPlan, error) {
	return e.fork(ctx, e.direct(), req)
}

func (e *Engine) fork(ctx context.Context, in operations, req workflow.ForkRequest) (plan workflow.ForkPlan, err error) {
	if err := e.usable(ctx); err != nil {
		return plan, fmt.Errorf("fork run %s: %w", req.RunID, err)
	}
	if err := checkFork(&req); err != nil {
		return plan, e.runError("fork", req.RunID, err)
	}
	actor, err := actorOf(ctx)
	if err != nil {
		return plan, e.runError("fork", req.RunID, err)
	}
	n := store.NewRun{ID: cmp.Or(req.ForkID, newID()), Version: req.Version, Secret: execution.NewSecret(), Actor: actor}
	err = store.ErrConflict
	for tries := 0; tries < 3 && errors.Is(err, store.ErrConflict); tries++ { // the origin has changed since it was loaded
		plan, err = e.tryFork(ctx, in, req, n)
	}
	if errors.Is(err, store.ErrConflict) {
		err = &workflow.ForkRefusedError{RunID: req.RunID, Reason: "it keeps changing: try again"}
	}
	if err != nil {
		return workflow.ForkPlan{}, e.runError("fork", req.RunID, err)
	}
	return plan, nil
}

func checkFork(req *workflow.ForkRequest) error {
	if err := execution.CheckName(req.RunID); err != nil {
		return err
	}
	if req.ForkID != "" {
		if err := execution.CheckName(req.ForkID); err != nil {
			return fmt.Errorf("run ID %q: %w", req.ForkID, err)
		}
	}
	if req.Version < 0 || req.Version > math.MaxInt32 {
		return fmt.Errorf("%w: version %d: versions count from 1, up to %d", workflow.ErrInvalidName, req.Version, math.MaxInt32)
	}
	if (req.Step == "") == (req.Position == 0) {
		return &workflow.ForkRefusedError{RunID: req.RunID, Reason: "say where: at a step, or at a position, and not both"}
	}
	return nil
}

// tryFork fails with store.ErrConflict if the origin has changed since it was loaded.
func (e *Engine) tryFork(ctx context.Context, in operations, req workflow.ForkRequest, n store.NewRun) (workflow.ForkPlan, error) {
	l, err := e.store.Load(ctx, req.RunID, 0)
	if err != nil {
		return workflow.ForkPlan{}, err
	}
	over, err := e.backTo(ctx, &l, req)
	if err != nil {
		return workflow.ForkPlan{}, err
	}
	p, err := forkAt(&l, over, req)
	if err != nil {
		return workflow.ForkPlan{}, err
	}
	plan := workflow.ForkPlan{RunID: req.RunID, ForkID: req.ForkID, Position: p.position, Again: p.again()}
	n.Workflow, n.Version = l.Run.Workflow, cmp.Or(n.Version, l.Run.Version)
	f := p.fork(n, req.Step)
	for _, h := range p.openHooks() {
		if h.chosen {
			plan.Tokens = append(plan.Tokens, h.token)
		}
	}
	if err := e.forkable(ctx, p, plan.Tokens); err != nil {
		return plan, err
	}
	if req.DryRun {
		if _, err := e.store.Run(ctx, n.ID); !errors.Is(err, store.ErrNotFound) {
			return plan, cmp.Or(err, error(&workflow.RunExistsError{RunID: n.ID}))
		}
		return plan, nil
	}
	plan.ForkID = n.ID
	forked := e.tel.Forking(ctx, &f.Run, l.Run.Trace)
	taken, err := in.Fork(ctx, f)
	switch {
	case errors.Is(err, store.ErrExists) && taken.Token != "":
		err = &workflow.HookConflictError{Token: taken.Token, RunID: taken.RunID}
	case errors.Is(err, store.ErrExists):
		err = &workflow.RunExistsError{RunID: n.ID}
	}
	forked(err)
	return plan, err
}

// backTo makes of a run what it was in the generation that a request is about, if that is over.
func (e *Engine) backTo(ctx context.Context, l *store.Loaded, req workflow.ForkRequest) (over bool, err error) {
	r := &l.Run
	if req.Step == "" && req.Position > r.Base || req.Step != "" && journal.GenerationOf(req.Step) >= int(r.Generation) {
		return false, nil
	}
	all, err := e.store.Generations(ctx, r.ID)
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(all, func(g store.Generation) bool {
		if req.Step != "" {
			return g.Number == journal.GenerationOf(req.Step)
		}
		return req.Position > g.Base && req.Position <= g.Last
	})
	if i < 0 {
		if req.Position < 1 && req.Step == "" {
			return false, nil // it never was
		}
		return false, &workflow.ForkRefusedError{RunID: r.ID, Reason: "the journal of that generation was deleted, see engine.Options.KeepGenerationsFor"}
	}
	g := all[i]
	l.Events = l.Events[:0]
	for after := g.Base; after < g.Last; {
		page, err := e.store.Journal(ctx, r.ID, after, int(min(inspect.MaxLimit, g.Last-after)))
		if err != nil {
			return false, err
		}
		if len(page) == 0 {
			return false, store.ErrConflict // it was deleted meanwhile
		}
		l.Events = append(l.Events, page...)
		after = page[len(page)-1].Position
	}
	r.Generation, r.Base = int32(g.Number), g.Base //nolint:gosec // as many as there were
	r.Version = cmp.Or(journal.DecodeRestarted(l.Events[len(l.Events)-1].Data).Version, r.Version)
	return true, nil
}

// forkable looks for what others have and the fork would need: tokens, and IDs of children, that
// the author has chosen.
func (e *Engine) forkable(ctx context.Context, p *forkPoint, tokens []string) error {
	for _, token := range tokens {
		h, err := e.store.Hook(ctx, token)
		if err == nil {
			return &workflow.HookConflictError{Token: token, RunID: h.RunID}
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	if err := e.unopenedFree(ctx, p); err != nil {
		return err
	}
	for _, id := range p.chosenChildren() {
		_, err := e.store.Run(ctx, id)
		if err == nil {
			return &workflow.ForkRefusedError{
				RunID: p.run.ID,
				Reason: fmt.Sprintf("its child %s is under way there, whose ID its author has chosen, so there can't be a second one; "+
					"fork it where the child has not been started, or has ended", id),
			}
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// unopenedFree refuses to fork a run that still has a hook which the code had not opened at the place.
// The journal does not have its token.
func (e *Engine) unopenedFree(ctx context.Context, p *forkPoint) error {
	ids := p.unopened()
	if len(ids) == 0 {
		return nil
	}
	hooks, err := e.store.Hooks(ctx, store.HookFilter{RunID: p.run.ID, Limit: math.MaxInt32})
	if err != nil {
		return err
	}
	for _, h := range hooks {
		if slices.Contains(ids, h.ID) {
			return &workflow.HookConflictError{Token: h.Token, RunID: p.run.ID}
		}
	}
	return nil
}

package workflow

import (
	"context"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
)

// Context is what a workflow function gets, and what all durable calls take. Only
// the engine makes one. It is a [context.Context] whose Err, Done and Deadline
// change through events in the run's journal, never by the wall clock, so that a
// replay sees them change at the same place. Value gives only the engine's values.
//
// Steps get a plain context.Context, so a durable call with it does not compile. A
// workflow's Context that a step has captured does, and fails with
// [ErrNotInWorkflow]. To a step it has ended: Done is closed, and Err returns
// ErrNotInWorkflow, since neither the step's Timeout nor its StepID belongs to it.
type Context interface {
	context.Context
	scope() run.Scope
}

// scopeOf is what is behind a workflow's context. A nil one has nothing, and nothing goes
// on without.
func scopeOf(ctx Context) run.Scope {
	if ctx == nil {
		panic("workflow: the Context is nil: pass the one that the workflow function got")
	}
	return ctx.scope()
}

type scopeContext struct{ run.Scope }

func (c scopeContext) scope() run.Scope { return c.Scope }

// Info tells which run, and in a step which step, code belongs to.
type Info struct {
	RunID    string
	Workflow string
	Version  int

	Generation int   // how often the run has restarted, see [Workflow.Restart]
	Events     int64 // length of the journal of the generation; 0 in steps

	// StartedBy is who started the run, in whatever generation. It is nobody if that is not known,
	// and for a child run.
	StartedBy Actor

	// The rest is set in steps only.

	// StepID is unique among all runs, and the same in each attempt of the step: give
	// it to other systems as the idempotency key.
	StepID    string
	Step      string    // name of the step
	Attempt   int       // from 1
	StartedAt time.Time // of this attempt
}

// sceneOf is the run or step that a context, which may be nil, belongs to.
func sceneOf(ctx context.Context) (*run.Scene, bool) {
	if ctx == nil {
		return nil, false
	}
	scene, ok := ctx.Value(run.Key{}).(*run.Scene)
	return scene, ok
}

// InfoOf returns the run and step that ctx belongs to. It works in workflows and
// steps. It panics outside a run, and in a step that passes the Context of its workflow,
// which knows no StepID: that fails the step with [ErrNotInWorkflow].
func InfoOf(ctx context.Context) Info {
	scene, ok := sceneOf(ctx)
	if !ok {
		panic("workflow: InfoOf called with a context that belongs to no run")
	}
	if scene.Scope != nil {
		if err := scene.Scope.Misused(); err != nil {
			panic(err)
		}
		return infoOf(scene.Scope.Info())
	}
	return infoOf(scene.Info)
}

func infoOf(i run.Info) Info {
	return Info{
		RunID: i.RunID, Workflow: i.Workflow, Version: i.Version, Generation: i.Generation, Events: i.Events,
		StartedBy: Actor(journal.DecodeActor(i.StartedBy)),
		StepID:    i.StepID, Step: i.Step, Attempt: i.Attempt, StartedAt: i.StartedAt,
	}
}

// ClientFrom returns, inside a step, the client of the engine that executes it: to
// start, resume and look up other runs. It panics outside a step.
func ClientFrom(ctx context.Context) Client {
	scene, ok := sceneOf(ctx)
	if !ok || scene.Scope != nil {
		panic("workflow: ClientFrom called outside a step")
	}
	c, _ := scene.Client.(Client)
	return c
}

package workflow

import (
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/internal/run"
)

// Restart ends this generation of the run and begins the next, with an input, an empty journal and
// the newest version of the workflow that the worker has, under the same run ID. Callers that wait for
// the result go on waiting. A workflow that runs for years returns it now and then, since each
// replay goes through the journal of its generation; see [RestartDue]:
//
//	return Bot.Restart(ctx, in)
//
// What the workflow opened goes along. An open hook keeps its token, which is never free in between,
// its ID, and the payloads that were not taken: the next generation gets them from the hook that it
// opens with the same [Token] or [Named], in order. The same holds for webhooks, whose callers are
// still held. A hook that the next generation does not open is closed when that one restarts or
// ends. Children go on, and their results are recorded, but nobody gets them. Steps that are
// executing are canceled, and the restart waits for them, at most for engine.Options.StepGrace;
// deferred calls of Close do nothing.
//
// It always returns an error, and the workflow has to return it: [ErrRestarting], unless ctx has
// ended (then its error; a restart under [WithoutCancel] hands an order to cancel on to the next
// generation), or the input is too large. A workflow that returns something else is blocked, with
// the line of the call, until a deploy mends it; so is one whose newest version can't decode the
// input.
func (w *Workflow[In, Out]) Restart(ctx Context, in In) (Out, error) {
	var none Out
	if w == nil {
		return none, misused(errNilWorkflow)
	}
	return none, restart(ctx, w.name, in)
}

// Restart is [Workflow.Restart] for a workflow that can't name its handle, such as one made by
// [Define]. The input has to be of the workflow's type.
func Restart[Out any](ctx Context, in any) (none Out, err error) { return none, restart(ctx, "", in) }

func restart(ctx Context, workflow string, in any) error {
	input, err := encode(in)
	if err != nil {
		return fmt.Errorf("restart: encode input: %w", err)
	}
	err = scopeOf(ctx).Restart(workflow, input)
	if errors.Is(err, run.ErrRestarting) {
		return ErrRestarting
	}
	return fmt.Errorf("restart: %w", err)
}

// RestartDue reports whether the journal of the run's generation has become so long that it is time
// for [Workflow.Restart]: after engine.Options.RestartAfter events, as the option was when the
// generation began, or 16 MiB of data. It changes between durable calls only, and is the same on
// replay.
func RestartDue(ctx Context) bool { return mustCheck(ctx).RestartDue() }

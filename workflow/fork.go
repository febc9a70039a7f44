package workflow

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ForkRequest asks for a new run that begins with the journal of another one: its origin. Either Step
// or Position says up to where.
type ForkRequest struct {
	RunID string `json:"run_id"` // of the origin

	// Step is a step, such as "charge#1", that the fork executes again: it has what the origin's
	// journal has before the outcome of the step.
	Step string `json:"step,omitempty"`
	// Position is that of the last event that the fork has.
	Position int64 `json:"position,omitempty"`

	ForkID  string `json:"fork_id,omitempty"` // of the fork; empty: a new one
	Version int    `json:"version,omitempty"` // of the workflow; 0: that of the origin
	DryRun  bool   `json:"dry_run,omitempty"` // only say what it would do
}

// ForkPlan is what a fork does, or would do.
type ForkPlan struct {
	RunID    string `json:"run_id"`            // of the origin
	ForkID   string `json:"fork_id,omitempty"` // of the fork; empty if it is a dry run that names none
	Position int64  `json:"position"`          // of the last event that the fork has from its origin

	// Again is what the origin has done and the fork does not know of: steps and children that had
	// no outcome by then, in the order in which the origin's code asked for them. The fork does it
	// again, transactional steps too, as far as its code comes to it.
	Again []ForkedAgain `json:"again"`
	// Tokens are those of hooks that the fork takes over, which the origin's author chose and the
	// origin has given up.
	Tokens []string `json:"tokens,omitempty"`
}

// ForkedAgain is a step or child of the origin that a fork executes again.
type ForkedAgain struct {
	Step  string `json:"step,omitempty"`  // such as "charge#1"; empty if it is a child
	Child string `json:"child,omitempty"` // the run ID of a child of the origin; the fork starts another one
	// Status is how it has ended in the origin: StatusCompleted, StatusFailed, or StatusRunning if it
	// has not, and perhaps has not even begun.
	Status   Status    `json:"status"`
	Position int64     `json:"position"` // of the event whose turn asked for it
	At       time.Time `json:"at"`       // of that event
}

// ForkedFrom says where a run was forked from.
type ForkedFrom struct {
	RunID    string `json:"run_id"`
	Position int64  `json:"position"`       // of the last event that it has from there
	Step     string `json:"step,omitempty"` // the step that was chosen to be executed again, or empty
}

// ForkOption is an option of [Run.Fork] and [Run.PlanFork].
type ForkOption interface {
	applyFork(*ForkRequest) error
}

type forkOption func(*ForkRequest) error

func (o forkOption) applyFork(r *ForkRequest) error { return o(r) }

// AtStep forks a run where one of its steps, such as "charge#1", had no outcome yet: the fork executes
// it again.
func AtStep(step string) ForkOption {
	return forkOption(func(r *ForkRequest) error {
		r.Step = step
		if step == "" {
			return errors.New("AtStep: the step is empty")
		}
		return nil
	})
}

// AtPosition forks a run after an event of its journal: the last one that the fork has.
func AtPosition(position int64) ForkOption {
	return forkOption(func(r *ForkRequest) error {
		r.Position = position
		if position < 1 {
			return fmt.Errorf("AtPosition: the position is %d, and they count from 1", position)
		}
		return nil
	})
}

// ForkID gives the fork a run ID of your own, as [RunID] does.
func ForkID(id string) ForkOption {
	return forkOption(func(r *ForkRequest) error {
		r.ForkID = id
		return checkName("run ID", id)
	})
}

// ForkVersion lets another version of the workflow execute the fork: one that does what the journal
// has up to there. The default is the version of the origin.
func ForkVersion(version int) ForkOption {
	return forkOption(func(r *ForkRequest) error {
		r.Version = version
		if version < 1 {
			return fmt.Errorf("ForkVersion: the version is %d, and they count from 1", version)
		}
		return nil
	})
}

// Fork makes a new run that begins with the journal of this one up to a place, [AtStep] or
// [AtPosition], and goes on by itself from there. This run, its origin, may be running, blocked or
// have ended; it is not touched, and nothing that happens to it later touches the fork.
//
// Up to there the fork's code gets what the origin's code got: results, payloads, times, IDs and
// random numbers. Steps and children that had no outcome by then begin again, under the IDs of the
// fork, and so does all that comes after: what the origin has executed since is executed again. Ask
// PlanFork first what that is. The open hooks of the fork have tokens of their own, unless the author
// has chosen them: then the error is a *[HookConflictError] while a hook has the token. Payloads that
// the origin's journal does not have at that place, and HTTP requests that wait for an answer, stay
// with the origin. Deadlines that have passed since end at once.
//
// Generations that are over can be forked too, as long as their journal is there: the name of a step
// says which it is of. By default the version executes the fork that executed the generation.
//
// A place that a run can't be forked at is a *[ForkRefusedError].
// Other errors are those of [Workflow.Start].
func (r *Run[Out]) Fork(ctx context.Context, opts ...ForkOption) (*Run[Out], error) {
	plan, err := r.fork(ctx, false, opts)
	if err != nil {
		return nil, err
	}
	return &Run[Out]{client: r.client, id: plan.ForkID}, nil
}

// PlanFork says what Fork would do, and does nothing. It fails where Fork would.
func (r *Run[Out]) PlanFork(ctx context.Context, opts ...ForkOption) (ForkPlan, error) {
	return r.fork(ctx, true, opts)
}

func (r *Run[Out]) fork(ctx context.Context, dryRun bool, opts []ForkOption) (ForkPlan, error) {
	if err := r.usable(ctx); err != nil {
		return ForkPlan{}, fmt.Errorf("fork run %s: %w", r.ID(), err)
	}
	req := ForkRequest{RunID: r.id, DryRun: dryRun}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt.applyFork(&req); err != nil {
			return ForkPlan{}, fmt.Errorf("fork run %s: %w", r.id, err)
		}
	}
	return r.client.ForkRun(ctx, req)
}

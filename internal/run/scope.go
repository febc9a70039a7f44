package run

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
)

// Scope is what is behind a workflow's context: one branch of a run under one
// cancellation. As a context.Context it changes through journal events only.
//
// All methods but those of context.Context and Logger belong to the branch: called
// on another goroutine, those that can't return an error panic with [ErrForeign].
type Scope interface {
	context.Context

	// Misused returns an error if a step's function calls it, which has captured the scope.
	// Err returns it too, and Done is closed.
	Misused() error

	// Await blocks until one of ws is ready and returns the index of the first that
	// is, in the order given. It fails with the scope's error if that is set, even
	// if one is ready, so that a canceled wait consumes nothing.
	Await(ws ...Waitable) (int, error)

	// Step executes s, or returns its recorded outcome. StepFailed tells how it
	// failed; any other error means that it was never asked for.
	Step(s Step) ([]byte, error)

	// Timer returns a durable timer. One that is not in the future is ready at once
	// and costs nothing.
	Timer(kind TimerKind, at time.Time) Timer

	// Go starts a branch. The Waitable is ready when fn has returned.
	Go(fn func(Scope)) Waitable

	// StartChild asks for a child run; it is canceled with the scope. With an ID of the author's own it returns when the
	// ID is durably taken, or fails with ChildExists.
	StartChild(c Child) (ChildRun, error)

	// AwaitRun asks for the end of another run, and does not wait for it. When the scope ends it
	// fails with the scope's error.
	AwaitRun(runID string) (AwaitedRun, error)

	// NewHook opens a hook. With a token of the author's own it returns when the
	// token is durably claimed, or fails with HookConflict.
	NewHook(h Hook) (OpenHook, error)

	// AnswerLink makes a link under which somebody answers a hook of the run.
	AnswerLink(h OpenHook, l Link) (OpenLink, error)

	// Respond answers an HTTP request that was sent to a run. It returns when the answer is durable,
	// or fails with RespondConflict.
	Respond(request, sentTo string, r Response) error

	// Patched reports whether the code is to take the way of a patch.
	Patched(id string) bool

	// Restart asks for the next generation of the run, with an input; the error with which it always
	// returns, ErrRestarting unless it is refused, ends the code. workflow is the run's, if it is known.
	Restart(workflow string, input []byte) error

	// RestartDue reports whether the journal of the generation is long enough for a restart.
	RestartDue() bool

	// PublicURL is where this run's webhooks are reached, without a slash at the end.
	PublicURL() string

	WithCancel() (Scope, func())
	WithDeadline(at time.Time) (Scope, func())
	WithoutCancel() Scope

	Now() time.Time
	// Derive returns 32 bytes that only this run can know: each call with a label
	// gives other ones, each replay the same.
	Derive(label journal.Label) [32]byte
	Logger() *slog.Logger
	Info() Info

	// Check returns ErrForeign unless it is called on the branch's own goroutine.
	Check() error
}

// Waitable is something a branch can wait for.
type Waitable interface {
	// Ready reports whether Await would return at once.
	Ready() bool
}

// TimerKind says what a timer is for.
type TimerKind string

// The kinds of timers. Only sleeps end when a run is woken.
const (
	Sleep    = TimerKind(journal.Sleep)
	Deadline = TimerKind(journal.Deadline)
)

// Timer is a durable timer.
type Timer interface {
	Waitable
	Stop()
}

// OpenHook is a hook of this run.
type OpenHook interface {
	// Ready reports whether a payload is there, or none will come any more.
	Waitable
	ID() string
	Token() string
	// By returns who sent the payload that was taken last, as it is stored.
	By() string
	// Take returns the next payload, or false if none will come any more. Only
	// after Ready.
	Take() (data []byte, ok bool)
	// Close is idempotent.
	Close()
}

// ChildRun is a child run of this run.
type ChildRun interface {
	Waitable
	ID() string
	// Result is the child's outcome. Only after Ready.
	Result() ([]byte, *journal.Failure)
}

// AwaitedRun is another run whose end this run awaits.
type AwaitedRun interface {
	Waitable
	RunID() string
	// Result is the run's outcome, with its workflow. The error is ErrRunMissing, AwaitCycle, or that
	// of the scope. Only after Ready.
	Result() (workflow string, data []byte, failure *journal.Failure, err error)
}

// Info tells code which run and step it is in.
type Info struct {
	RunID      string
	Workflow   string
	Version    int
	Generation int
	Events     int64 // that the generation has had; 0 in steps
	StepID     string
	Step       string
	Attempt    int
	StartedAt  time.Time
	StartedBy  string // who started the run, as it is stored
}

// Key is the context key under which a step or workflow finds its Scene.
type Key struct{}

// CheckOutside returns an error if ctx is a workflow's: what talks to a client is a side effect,
// and belongs in a step.
func CheckOutside(ctx context.Context) error {
	if ctx == nil {
		return errors.New("the context is nil: pass context.Background() if there is no other")
	}
	if s, ok := ctx.Value(Key{}).(*Scene); ok && s.Scope != nil {
		return errors.New("a workflow can't talk to a client: do it in a step, or use Call or Go of the workflow for a child run")
	}
	return nil
}

// Scene is what the engine puts into the contexts of workflows and steps.
type Scene struct {
	Scope  Scope // nil in steps
	Info   Info  // in workflows: ask Scope
	Client any   // the engine's workflow.Client

	// Respond answers an HTTP request from a step. It is nil in workflows, whose Scope does.
	Respond func(ctx context.Context, request, responder string, r Response) error
	// Inherited reports, in the steps of a fork, whether requests that were sent to a run are its
	// origin's to answer. It is nil elsewhere.
	Inherited func(sentTo string) bool
}

package workflow

import (
	"errors"
	"fmt"
	"sync"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
)

// Errors that callers may want to act on, by errors.Is. All of them keep their
// identity in journals and over HTTP.
var (
	// ErrHookNotFound: no open hook has the token. It is unknown, closed, or its run
	// has ended. Nothing was written.
	ErrHookNotFound = DefineError("hook not found")
	// ErrHookClosed: the hook was closed by its workflow, and all that it had
	// accepted has been delivered.
	ErrHookClosed = DefineError("hook is closed")
	// ErrRunNotFound: there is no run with the ID.
	ErrRunNotFound = DefineError("run not found")
	// ErrRunExists: the run ID is taken; see [RunExistsError].
	ErrRunExists = DefineError("run exists")
	// ErrAwaitCycle: the run awaits the one that asks, directly or through others, so neither would
	// ever go on. The error that wraps it says through which.
	ErrAwaitCycle = DefineError("runs await each other")
	// ErrRunEnded: the run has ended already.
	ErrRunEnded = DefineError("run has ended")
	// ErrRunPaused: the run is paused, or its workflow is.
	ErrRunPaused = DefineError("run is paused")
	// ErrCanceled: the run was canceled or terminated.
	ErrCanceled = DefineError(journal.IsRunCanceled)
	// ErrTerminated: the run was terminated. It is ErrCanceled too.
	ErrTerminated = DefineError(journal.IsRunTerminated)
	// ErrRestarting: the workflow has called Restart, and ends with this error, for the next
	// generation of its run to begin. Deferred functions that undo things when the workflow fails
	// have to leave them alone.
	ErrRestarting = DefineError(journal.IsRestarting)
	// ErrPayloadTooLarge: an input, a payload, a result or the metadata of a hook is
	// above engine.Options.MaxPayload. Nothing was written.
	ErrPayloadTooLarge = DefineError("payload is too large")
	// ErrOutcomeUnknown: an attempt of a step did not return, so nobody knows whether it had its
	// effect; or the store did not answer, or the engine stopped before it had, so nobody knows
	// whether a run or a payload was written. Repeat the call with the same [RunID] or
	// [IdempotencyKey].
	ErrOutcomeUnknown = DefineError("outcome is unknown")
	// ErrAlreadyResponded: the request has been answered from elsewhere.
	ErrAlreadyResponded = DefineError("already responded")
	// ErrInvalidName: a run ID, or the name of a workflow, step, hook type or sender, is empty, longer
	// than 512 bytes, not valid UTF-8, or has control characters; or an idempotency key is empty or
	// not valid UTF-8. Nothing was written.
	ErrInvalidName = DefineError("invalid name")
	// ErrUnknownWorkflow: the engine that was asked has workflows, but not this one.
	ErrUnknownWorkflow = DefineError("unknown workflow")
	// ErrOldWorker: a run or a workflow can't be paused, because a worker is live whose version of
	// Tenter knows no pauses. Nothing was written.
	ErrOldWorker = DefineError("old worker")
	// ErrLinkNotFound: there is no such link to an answer page, or it is not signed by a key of the
	// engine, for its database: nobody can tell which.
	ErrLinkNotFound = DefineError("link not found")
	// ErrEngineClosed: the engine has been closed.
	ErrEngineClosed = DefineError("engine is closed")

	// ErrNotInWorkflow: a durable call was made outside the workflow's own code, in a
	// step, a goroutine or another run. The error that wraps it says which call, on which
	// line. Calls that return no error panic with it. The run is unharmed; a step that
	// returns it is not attempted again.
	ErrNotInWorkflow = run.ErrForeign

	errNilClient   = Fatal(errors.New("the client is nil: pass an engine"))
	errNilWorkflow = Fatal(errors.New("the workflow is nil: make it with Define or Declare"))
	errNilRun      = Fatal(errors.New("the run is nil: Start returned an error instead of it"))
	errNilHookType = Fatal(errors.New("the hook type is nil: make it with DefineHook"))
	errNilTopic    = Fatal(errors.New("the topic is nil: make it with DefineTopic"))
	errNilHook     = errors.New("the hook is nil: what should have opened it returned an error instead")
	errNilFuture   = errors.New("the future is nil")
)

// misused is an error of the line of the author's code that makes the call.
func misused(err error) error {
	if at, call := run.Caller(); at != "" {
		return fmt.Errorf("%s at %s: %w", call, at, err)
	}
	return err
}

// maxErrorName is the longest name of a defined error in bytes.
const maxErrorName = 512

var defined sync.Map // name → *definedError

type definedError struct{ name string }

func (e *definedError) Error() string { return e.name }

// DefineError returns a sentinel error that survives the journal: when a step or a child run fails
// with an error that wraps it, errors.Is holds in the workflow, live and on replay, and for callers
// that await the result, also in another process that has defined it too. The name must be unique
// in the program and stay as it is as long as journals have it. Define errors in package-level
// variables; DefineError panics if the name is empty, longer than 512 bytes, or defined already.
func DefineError(name string) error {
	e := &definedError{name: name}
	if name == "" || len(name) > maxErrorName {
		panic(fmt.Sprintf("workflow: DefineError needs a name of 1 to %d bytes", maxErrorName))
	}
	if _, dup := defined.LoadOrStore(name, e); dup {
		panic(fmt.Sprintf("workflow: error %q is defined twice", name))
	}
	return e
}

// StepError is the error of a step that failed for good: after its attempts, by
// [Fatal], or because it was canceled.
type StepError struct {
	Step     string // ID within the run: the step's name and how often the run had called it, as in "charge#1"
	Attempts int    // attempts that were made
	Err      error  // of the last attempt, in recorded form
}

func (e *StepError) Error() string {
	if e.Attempts == 0 {
		return fmt.Sprintf("%s was not attempted: %v", run.StepTitle(e.Step), e.Err)
	}
	return fmt.Sprintf("%s failed after %d %s: %v", run.StepTitle(e.Step), e.Attempts, plural(e.Attempts, "attempt"), e.Err)
}

// Unwrap returns the error of the last attempt.
func (e *StepError) Unwrap() error { return e.Err }

// PanicError is the error of a step or workflow that panicked, or that called
// runtime.Goexit, as testing.T.FailNow does.
type PanicError struct {
	Value string // what it panicked with, as text
	At    string // file and line of your code where it did, if that is known
	Stack string // from there on, as far as it is your code
}

func (e *PanicError) Error() string { return run.PanicText(e.Value, e.At) }

// RunError is the error of a run that did not complete.
type RunError struct {
	RunID    string
	Workflow string
	Err      error // what the workflow returned, in recorded form
}

func (e *RunError) Error() string {
	return fmt.Sprintf("run %s of %s: %v", e.RunID, e.Workflow, e.Err)
}

// Unwrap returns what the workflow returned.
func (e *RunError) Unwrap() error { return e.Err }

// RunExistsError says which run has the ID that was asked for. It is
// [ErrRunExists].
type RunExistsError struct {
	RunID string

	relation journal.Relation
}

func (e *RunExistsError) Error() string {
	switch e.relation {
	case journal.Itself:
		return fmt.Sprintf("run %s exists: it is the run that asks, and can't be its own child; choose another RunID", e.RunID)
	case journal.Parent:
		return fmt.Sprintf("run %s exists: it is the parent of the run that asks; choose another RunID", e.RunID)
	case journal.Kid:
		return fmt.Sprintf("run %s exists: the run that asks has started it before; wait for that child, or choose another RunID", e.RunID)
	default:
		return fmt.Sprintf("run %s exists: look at it with Get, or choose another RunID", e.RunID)
	}
}

// Unwrap returns [ErrRunExists].
func (e *RunExistsError) Unwrap() error { return ErrRunExists }

// HookConflictError is the error of a token that is taken, by another run or by this
// one. Another run that has it is a run like any other: a step can await, resume or
// cancel it.
type HookConflictError struct {
	Token  string
	RunID  string // of the owner
	HookID string // of the hook that has it, if the owner is the run that asked

	at       string
	relation journal.Relation
}

func (e *HookConflictError) Error() string {
	taken := "token " + run.QuoteToken(e.Token) + " is taken by "
	switch e.relation {
	case journal.Itself:
		hook := "another hook"
		if e.HookID != "" {
			hook = "hook " + e.HookID
		}
		taken += hook + " of this same run"
		if e.at != "" {
			taken += ", opened at " + e.at
		}
		return taken + ": use that hook, close it before you open another one, or choose another token"
	case journal.Parent:
		return taken + "run " + e.RunID + ", the parent of this run, which may be waiting for this run: " +
			"close the parent's hook before the child is started, or choose another token"
	case journal.Kid:
		return taken + "run " + e.RunID + ", a child of this run: wait for its result first, or choose another token"
	default:
		return taken + "run " + e.RunID + ": wait until that run closes its hook or ends, or choose another token"
	}
}

// PayloadError is the error of a payload that does not decode into the hook's type
// or does not validate; from Resume also of one that has fields which the type does not
// have. From Resume it means that nothing was written. From Wait it means that this payload
// is gone and the workflow may wait for the next.
type PayloadError struct {
	Token string // empty: it was to be published
	Err   error
}

func (e *PayloadError) Error() string {
	if e.Token == "" {
		return fmt.Sprintf("payload: %v", e.Err)
	}
	return fmt.Sprintf("payload for token %s: %v", run.QuoteToken(e.Token), e.Err)
}

// Unwrap returns why the payload was refused.
func (e *PayloadError) Unwrap() error { return e.Err }

// InputError is the error of an input that does not decode into what the workflow takes, or
// that has fields which that type does not have.
// Nothing was started. Only an engine that has the workflow can tell; elsewhere the run is
// started, and fails.
type InputError struct {
	Workflow string
	Err      error
}

func (e *InputError) Error() string {
	return fmt.Sprintf("input of workflow %s: %v", e.Workflow, e.Err)
}

// Unwrap returns why the input was refused.
func (e *InputError) Unwrap() error { return e.Err }

// HookTypeError is the error of a payload sent through the handle of one hook type
// to a hook of another. [NewHook] returns it for a token under which the run has carried a hook of
// another form over a restart: of another type, a webhook instead of a hook, or from another
// sender; that one stays as it is. So it does for the token to which the payload was sent that has
// started the run, if one of the two is a webhook and the other is not.
type HookTypeError struct {
	Token string
	Want  string // the handle's name; of a carried hook the form that was asked for
	Got   string // the hook's, empty if it has none; of a carried hook its form

	carried bool
}

func (e *HookTypeError) Error() string {
	switch {
	case e.carried:
		return fmt.Sprintf("token %s is that of %s, which was there when the run began or restarted, not of %s: open it as what it was, or, if the run has carried it over a restart, close it before Restart",
			run.QuoteToken(e.Token), e.Got, e.Want)
	case e.Got == "":
		return fmt.Sprintf("token %s belongs to a hook of no defined type, not of type %q", run.QuoteToken(e.Token), e.Want)
	}
	return fmt.Sprintf("token %s belongs to a hook of type %q, not %q", run.QuoteToken(e.Token), e.Got, e.Want)
}

// RetryRefusedError says why a run can't be retried.
type RetryRefusedError struct {
	RunID  string
	Reason string
}

func (e *RetryRefusedError) Error() string {
	return fmt.Sprintf("run %s can't be retried: %s", e.RunID, e.Reason)
}

// ForkRefusedError says why a run can't be forked at a place.
type ForkRefusedError struct {
	RunID  string
	Reason string
}

func (e *ForkRefusedError) Error() string {
	return fmt.Sprintf("run %s can't be forked there: %s", e.RunID, e.Reason)
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

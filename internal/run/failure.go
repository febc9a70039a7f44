package run

import (
	"errors"
	"fmt"
)

// Failure is an error in its recorded form: what of it survives the journal.
type Failure struct {
	Text string `json:"error"`
	// Is are the names of the defined errors that errors.Is finds in it.
	Is []string `json:"is,omitempty"`
	// As are the typed errors that errors.As finds in it, outermost first.
	As []Typed `json:"as,omitempty"`
	// Step failures: the number of attempts made.
	Attempts int `json:"attempts,omitempty"`
}

// Typed is a recorded typed error.
type Typed struct {
	Type     string   `json:"type"`
	Step     string   `json:"step,omitempty"`
	Attempts int      `json:"attempts,omitempty"`
	RunID    string   `json:"run_id,omitempty"`
	Workflow string   `json:"workflow,omitempty"`
	Token    string   `json:"token,omitempty"`
	Stack    string   `json:"stack,omitempty"`
	Want     string   `json:"want,omitempty"`
	Got      string   `json:"got,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Cause    *Failure `json:"cause,omitempty"`
}

// Names of errors that are defined for everybody.
const (
	IsCanceled         = "context.Canceled"
	IsDeadlineExceeded = "context.DeadlineExceeded"
	IsRunCanceled      = "run canceled"
	IsRunTerminated    = "run terminated"
)

// Types of typed errors.
const (
	AsStep     = "step"
	AsPanic    = "panic"
	AsRun      = "run"
	AsConflict = "hook_conflict"
	AsExists   = "run_exists"
	AsPayload  = "payload"
	AsInput    = "input"
	AsHookType = "hook_type"
	AsRefused  = "retry_refused"
)

// Panicked is the failure of code that panicked with v.
func Panicked(v any, stack []byte) Failure {
	text := fmt.Sprintf("panic: %v", v)
	return Failure{Text: text, As: []Typed{{Type: AsPanic, Stack: string(stack), Cause: &Failure{Text: fmt.Sprint(v)}}}}
}

// ErrForeign is what durable calls return or panic with on a goroutine that is not
// their branch's.
var ErrForeign = errors.New("not called by the workflow's own code: use it in the workflow function or a branch started with workflow.Go, " +
	"not in a step or a goroutine of your own; steps get what they need as arguments")

// StepFailed is the error of a step that failed.
type StepFailed struct {
	Step     string // its ID within the run, such as "charge#1"
	Attempts int
	Cause    Failure
}

func (e *StepFailed) Error() string { return e.Cause.Text }

// HookConflict is the error of a token that another run owns.
type HookConflict struct{ Token, RunID string }

func (e *HookConflict) Error() string { return "token is taken by run " + e.RunID }

// ChildExists is the error of a child whose run ID another run has.
type ChildExists struct{ RunID string }

func (e *ChildExists) Error() string { return "run " + e.RunID + " exists" }

package run

import (
	"encoding/base64"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
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
	HookID   string   `json:"hook_id,omitempty"`
	Relation Relation `json:"relation,omitempty"`
	At       string   `json:"at,omitempty"` // file and line
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

// MaxStack is how much is kept of a stack, in bytes.
const MaxStack = 2 * MaxText

// Panicked is the failure of code that panicked with v, for the deferred function that has
// recovered it.
func Panicked(v any) Failure {
	at, stack := authorStack()
	if at == "" { // it was not the author's code
		stack = string(debug.Stack())
	}
	p := Typed{Type: AsPanic, At: at, Stack: CutTo(stack, MaxStack), Cause: &Failure{Text: PanicValue(v)}}
	return Failure{Text: Cut(PanicText(p.Cause.Text, at)), As: []Typed{p}}
}

// PanicText says with what code panicked, and where if that is known.
func PanicText(value, at string) string {
	if at == "" || strings.Contains(value, at) {
		return "panic: " + value
	}
	return "panic: " + value + ", at " + at
}

// ErrForeign is what durable calls return or panic with on a goroutine that is not
// their branch's, or for what belongs to another run.
var ErrForeign = errors.New("not in the workflow's own code")

// Foreign is the error of the durable call that the author's code makes, on a goroutine
// that is not its branch's.
func Foreign() error {
	return fmt.Errorf("%s: %w: make the call in the workflow function or in a branch started with workflow.Go, "+
		"not in a step or in a goroutine of your own; hand to steps what they need as arguments", describeCaller(), ErrForeign)
}

// Stray is the error of a durable call that waits for what belongs to another run.
func Stray() error {
	return fmt.Errorf("%s: %w: it waits for a hook, future or timer of another run; a run can wait only for its own", describeCaller(), ErrForeign)
}

func describeCaller() string {
	at, call := Caller()
	if at == "" {
		return "a durable call"
	}
	return call + " at " + at
}

// StepTitle names a step for people, such as "step charge#1". One whose name says that
// it is a step is not called so twice.
func StepTitle(ref string) string {
	if strings.HasPrefix(ref, "step ") {
		return ref
	}
	return "step " + ref
}

// StepFailed is the error of a step that failed.
type StepFailed struct {
	Step     string // its ID within the run, such as "charge#1"
	Attempts int
	Cause    Failure
}

func (e *StepFailed) Error() string { return e.Cause.Text }

// HookConflict is the error of a token that another hook has.
type HookConflict struct {
	Token, RunID string
	HookID       string // of the hook that has it, if its run is the one that asked
	At           string // where that was opened, as far as it is known
	Relation     Relation
}

func (e *HookConflict) Error() string { return "token is taken by run " + e.RunID }

// ChildExists is the error of a child whose run ID another run has.
type ChildExists struct {
	RunID    string
	Relation Relation
}

func (e *ChildExists) Error() string { return "run " + e.RunID + " exists" }

// Relation is what a run is to the one that is in conflict with it.
type Relation string

// Relations. The others are no relation at all.
const (
	Itself Relation = "itself"
	Parent Relation = "parent"
	Kid    Relation = "child"
)

// QuoteToken quotes a token for people. A generated one is a secret, and is masked: it is
// known by its form.
func QuoteToken(token string) string {
	const generated = 32 // 24 bytes
	if len(token) == generated && strings.ToLower(token) != token && strings.ToUpper(token) != token {
		if _, err := base64.RawURLEncoding.DecodeString(token); err == nil {
			return `"***"`
		}
	}
	return strconv.Quote(token)
}

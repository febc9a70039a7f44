package run

import (
	"encoding/base64"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/tenter-dev/tenter/internal/journal"
)

// MaxStack is how much is kept of a stack, in bytes.
const MaxStack = 2 * MaxText

// Panicked is the failure of code that panicked with v, for the deferred function that has
// recovered it.
func Panicked(v any) journal.Failure {
	at, stack := authorStack()
	if at == "" { // it was not the author's code
		stack = string(debug.Stack())
	}
	p := journal.Typed{Type: journal.AsPanic, At: at, Stack: CutTo(stack, MaxStack), Cause: &journal.Failure{Text: PanicValue(v)}}
	return journal.Failure{Text: Cut(PanicText(p.Cause.Text, at)), As: []journal.Typed{p}}
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

// Captured is the error of a step that uses the Context of its workflow.
func Captured(ref string) error {
	at, _ := Caller()
	if at != "" {
		at = " at " + at
	}
	return fmt.Errorf("%s uses the Context of its workflow, which it has captured%s: %w: "+
		"use the ctx that the step's function gets, which has the StepID and the Timeout", StepTitle(ref), at, ErrForeign)
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
	Cause    journal.Failure
}

func (e *StepFailed) Error() string { return e.Cause.Text }

// ErrRestarting is the error of a restart that was asked for.
var ErrRestarting = errors.New(journal.IsRestarting)

// HookMismatch is the error of a token under which the run carries something else from the
// generation before.
type HookMismatch struct{ Token, Want, Got string }

func (e *HookMismatch) Error() string { return "token is that of " + e.Got + ", not of " + e.Want }

// HookConflict is the error of a token that another hook has.
type HookConflict struct {
	Token, RunID string
	HookID       string // of the hook that has it, if its run is the one that asked
	At           string // where that was opened, as far as it is known
	Relation     journal.Relation
}

func (e *HookConflict) Error() string { return "token is taken by run " + e.RunID }

// ChildExists is the error of a child whose run ID another run has.
type ChildExists struct {
	RunID    string
	Relation journal.Relation
}

func (e *ChildExists) Error() string { return "run " + e.RunID + " exists" }

// ErrRunMissing is the error of an await for a run that is not there.
var ErrRunMissing = errors.New("there is no such run")

// AwaitCycle is the error of an await that would never end: of these runs each awaits the next,
// and the last the first.
type AwaitCycle struct{ RunIDs []string }

func (e *AwaitCycle) Error() string {
	var b strings.Builder
	for i, id := range e.RunIDs {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s awaits %s", id, e.RunIDs[(i+1)%len(e.RunIDs)])
	}
	return b.String()
}

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

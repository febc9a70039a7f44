package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
)

// MaxErrorText is how many bytes are kept of the text of an error or of the value of a
// panic. Of a longer one the journal has the beginning, followed by "… (truncated, n bytes
// in all)", and so has all that shows errors. A recorded error has 64 KiB of text at most,
// including that of the typed errors of this package that it wraps, of which a thousand are
// looked at.
const MaxErrorText = run.MaxText

// maxRecord is how much text there is in the record of an error, in bytes.
const maxRecord = 4 * MaxErrorText

// record turns an error into its recorded form. Errors from record and restore
// have the same text, and are the same to errors.Is for defined errors and to
// errors.As for the errors of this package. Workflows get the recorded form on the
// live path too, so that live and replay can't differ.
func record(err error) *journal.Failure {
	return (&recorder{errors: 1000, text: maxRecord}).record(err)
}

// recorder makes a record of an error. It has to end whatever the error is: one that
// wraps itself, or a million others.
type recorder struct {
	errors int // still to be looked at
	text   int // still to be kept, in bytes
}

func (r *recorder) record(err error) *journal.Failure {
	f := &journal.Failure{Text: r.keep(run.ErrorText(err), MaxErrorText)}
	canceled, late := false, false
	run.WalkOn(err, &r.errors, func(e error) (deeper bool) {
		canceled = canceled || run.Same(e, context.Canceled)
		late = late || run.Same(e, context.DeadlineExceeded)
		switch e := e.(type) { //nolint:errorlint // WalkOn takes the chain apart itself
		case *definedError:
			addName(f, e.name)
		case *recorded:
			for _, name := range e.unknown {
				addName(f, name)
			}
		default:
			t, cause, ok := typed(e)
			if !ok {
				return true
			}
			if t.Stack != "" {
				t.Stack = r.keep(t.Stack, run.MaxStack)
			}
			if cause != nil {
				t.Cause = r.record(cause)
				canceled = canceled || slices.Contains(t.Cause.Is, journal.IsCanceled)
				late = late || slices.Contains(t.Cause.Is, journal.IsDeadlineExceeded)
			}
			f.As = append(f.As, t)
			return cause == nil // else its cause has the rest
		}
		return true
	})
	if canceled {
		addName(f, journal.IsCanceled)
	}
	if late {
		addName(f, journal.IsDeadlineExceeded)
	}
	return f
}

// keep takes of the text that there may still be.
func (r *recorder) keep(s string, limit int) string {
	s = run.CutTo(s, min(limit, r.text))
	r.text = max(r.text-len(s), 0)
	return s
}

// typed is an error of this package without what it wraps, which comes apart.
func typed(err error) (t journal.Typed, cause error, ok bool) {
	switch e := err.(type) { //nolint:errorlint // one error at a time
	case *StepError:
		return journal.Typed{Type: journal.AsStep, Step: e.Step, Attempts: e.Attempts}, e.Err, true
	case *PanicError:
		return journal.Typed{Type: journal.AsPanic, At: e.At, Stack: e.Stack}, errors.New(e.Value), true
	case *RunError:
		return journal.Typed{Type: journal.AsRun, RunID: e.RunID, Workflow: e.Workflow}, e.Err, true
	case *RunExistsError:
		return journal.Typed{Type: journal.AsExists, RunID: e.RunID, Relation: e.relation}, nil, true
	case *HookConflictError:
		return journal.Typed{Type: journal.AsConflict, Token: e.Token, RunID: e.RunID, HookID: e.HookID, At: e.at, Relation: e.relation}, nil, true
	case *PayloadError:
		return journal.Typed{Type: journal.AsPayload, Token: e.Token}, e.Err, true
	case *InputError:
		return journal.Typed{Type: journal.AsInput, Workflow: e.Workflow}, e.Err, true
	case *HookTypeError:
		t := journal.Typed{Type: journal.AsHookType, Token: e.Token, Want: e.Want, Got: e.Got}
		if e.carried {
			t.Relation = journal.Itself
		}
		return t, nil, true
	case *RetryRefusedError:
		return journal.Typed{Type: journal.AsRefused, RunID: e.RunID, Reason: run.Cut(e.Reason)}, nil, true
	case *RefusedError:
		return journal.Typed{Type: journal.AsCallRefused, Token: e.Token, RunID: e.RunID}, e.Err, true
	case *UnansweredError:
		return journal.Typed{Type: journal.AsUnanswered, Token: e.Token, RunID: e.RunID, Request: e.Request}, e.Err, true
	case *ForkRefusedError:
		return journal.Typed{Type: journal.AsForkRefused, RunID: e.RunID, Reason: run.Cut(e.Reason)}, nil, true
	}
	return journal.Typed{}, nil, false
}

func addName(f *journal.Failure, name string) {
	if !slices.Contains(f.Is, name) {
		f.Is = append(f.Is, name)
	}
}

// recorded is an error that was restored from its recorded form.
type recorded struct {
	text    string
	errs    []error
	unknown []string // names that this program does not define
}

func (e *recorded) Error() string   { return e.text }
func (e *recorded) Unwrap() []error { return e.errs }

// restore is the inverse of record.
func restore(f journal.Failure) error {
	e := &recorded{text: f.Text}
	for _, name := range f.Is {
		switch name {
		case journal.IsCanceled:
			e.errs = append(e.errs, context.Canceled)
		case journal.IsDeadlineExceeded:
			e.errs = append(e.errs, context.DeadlineExceeded)
		default:
			if known, ok := defined.Load(name); ok {
				e.errs = append(e.errs, known.(error))
			} else {
				e.unknown = append(e.unknown, name)
			}
		}
	}
	for _, t := range f.As {
		e.errs = append(e.errs, restoreTyped(t))
	}
	return e
}

func restoreTyped(t journal.Typed) error {
	var cause error
	if t.Cause != nil {
		cause = restore(*t.Cause)
	}
	switch t.Type {
	case journal.AsStep:
		return &StepError{Step: t.Step, Attempts: t.Attempts, Err: cause}
	case journal.AsPanic:
		e := &PanicError{At: t.At, Stack: t.Stack}
		if cause != nil {
			e.Value = cause.Error()
		}
		return e
	case journal.AsRun:
		return &RunError{RunID: t.RunID, Workflow: t.Workflow, Err: cause}
	case journal.AsExists:
		return &RunExistsError{RunID: t.RunID, relation: t.Relation}
	case journal.AsConflict:
		return &HookConflictError{Token: t.Token, RunID: t.RunID, HookID: t.HookID, at: t.At, relation: t.Relation}
	case journal.AsPayload:
		return &PayloadError{Token: t.Token, Err: cause}
	case journal.AsInput:
		return &InputError{Workflow: t.Workflow, Err: cause}
	case journal.AsHookType:
		return &HookTypeError{Token: t.Token, Want: t.Want, Got: t.Got, carried: t.Relation == journal.Itself}
	case journal.AsRefused:
		return &RetryRefusedError{RunID: t.RunID, Reason: t.Reason}
	case journal.AsCallRefused:
		return &RefusedError{Token: t.Token, RunID: t.RunID, Err: cause}
	case journal.AsUnanswered:
		return &UnansweredError{Token: t.Token, RunID: t.RunID, Request: t.Request, Err: cause}
	case journal.AsForkRefused:
		return &ForkRefusedError{RunID: t.RunID, Reason: t.Reason}
	default:
		return errors.New(t.Type)
	}
}

// encodeError returns the recorded form of an error.
func encodeError(err error) json.RawMessage { return record(err).Encode() }

// decodeError is the inverse of encodeError.
func decodeError(data json.RawMessage) error {
	var f journal.Failure
	if err := json.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("decode a recorded error: %w", err)
	}
	return restore(f)
}

package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tenter-dev/tenter/internal/run"
)

// record turns an error into its recorded form. Errors from record and restore
// have the same text, and are the same to errors.Is for defined errors and to
// errors.As for the errors of this package. Workflows get the recorded form on the
// live path too, so that live and replay can't differ.
func record(err error) *run.Failure {
	f := &run.Failure{Text: err.Error()}
	walk(err, func(e error) (deeper bool) {
		switch e := e.(type) { //nolint:errorlint // walk takes the chain apart itself
		case *definedError:
			addName(f, e.name)
		case *recorded:
			for _, name := range e.unknown {
				addName(f, name)
			}
		case *StepError:
			f.As = append(f.As, run.Typed{Type: run.AsStep, Step: e.Step, Attempts: e.Attempts, Cause: cause(e.Err)})
			return false // its cause has the rest
		case *PanicError:
			f.As = append(f.As, run.Typed{Type: run.AsPanic, At: e.At, Stack: e.Stack, Cause: &run.Failure{Text: e.Value}})
		case *RunError:
			f.As = append(f.As, run.Typed{Type: run.AsRun, RunID: e.RunID, Workflow: e.Workflow, Cause: cause(e.Err)})
			return false
		case *RunExistsError:
			f.As = append(f.As, run.Typed{Type: run.AsExists, RunID: e.RunID, Relation: e.relation})
		case *HookConflictError:
			f.As = append(f.As, run.Typed{Type: run.AsConflict, Token: e.Token, RunID: e.RunID, HookID: e.HookID, At: e.at, Relation: e.relation})
		case *PayloadError:
			f.As = append(f.As, run.Typed{Type: run.AsPayload, Token: e.Token, Cause: cause(e.Err)})
			return false
		case *InputError:
			f.As = append(f.As, run.Typed{Type: run.AsInput, Workflow: e.Workflow, Cause: cause(e.Err)})
			return false
		case *HookTypeError:
			f.As = append(f.As, run.Typed{Type: run.AsHookType, Token: e.Token, Want: e.Want, Got: e.Got})
		case *RetryRefusedError:
			f.As = append(f.As, run.Typed{Type: run.AsRefused, RunID: e.RunID, Reason: e.Reason})
		}
		return true
	})
	if errors.Is(err, context.Canceled) {
		addName(f, run.IsCanceled)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		addName(f, run.IsDeadlineExceeded)
	}
	return f
}

// cause records what a typed error wraps, if anything.
func cause(err error) *run.Failure {
	if err == nil {
		return nil
	}
	return record(err)
}

func addName(f *run.Failure, name string) {
	if !slices.Contains(f.Is, name) {
		f.Is = append(f.Is, name)
	}
}

// walk calls f for err and all that it wraps, outermost first. It goes no deeper
// where f says so.
func walk(err error, f func(error) (deeper bool)) {
	for err != nil && f(err) {
		switch e := err.(type) { //nolint:errorlint // this takes the chain apart
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		case interface{ Unwrap() []error }:
			for _, inner := range e.Unwrap() {
				walk(inner, f)
			}
			return
		default:
			return
		}
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
func restore(f run.Failure) error {
	e := &recorded{text: f.Text}
	for _, name := range f.Is {
		switch name {
		case run.IsCanceled:
			e.errs = append(e.errs, context.Canceled)
		case run.IsDeadlineExceeded:
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

func restoreTyped(t run.Typed) error {
	var cause error
	if t.Cause != nil {
		cause = restore(*t.Cause)
	}
	switch t.Type {
	case run.AsStep:
		return &StepError{Step: t.Step, Attempts: t.Attempts, Err: cause}
	case run.AsPanic:
		e := &PanicError{At: t.At, Stack: t.Stack}
		if cause != nil {
			e.Value = cause.Error()
		}
		return e
	case run.AsRun:
		return &RunError{RunID: t.RunID, Workflow: t.Workflow, Err: cause}
	case run.AsExists:
		return &RunExistsError{RunID: t.RunID, relation: t.Relation}
	case run.AsConflict:
		return &HookConflictError{Token: t.Token, RunID: t.RunID, HookID: t.HookID, at: t.At, relation: t.Relation}
	case run.AsPayload:
		return &PayloadError{Token: t.Token, Err: cause}
	case run.AsInput:
		return &InputError{Workflow: t.Workflow, Err: cause}
	case run.AsHookType:
		return &HookTypeError{Token: t.Token, Want: t.Want, Got: t.Got}
	case run.AsRefused:
		return &RetryRefusedError{RunID: t.RunID, Reason: t.Reason}
	default:
		return errors.New(t.Type)
	}
}

// MarshalError returns the recorded form of an error, for implementations of [Client]
// that are far from their engine: see [UnmarshalError].
func MarshalError(err error) json.RawMessage {
	data, _ := json.Marshal(record(err)) // texts and numbers never fail
	return data
}

// UnmarshalError is the inverse of [MarshalError]. The error has the same text, and is
// the same to errors.Is for errors of [DefineError] and to errors.As for those of this
// package.
func UnmarshalError(data json.RawMessage) error {
	var f run.Failure
	if err := json.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("decode a recorded error: %w", err)
	}
	return restore(f)
}

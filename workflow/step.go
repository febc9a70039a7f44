package workflow

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/tenter-dev/tenter/internal/run"
)

// StepOption is an option of [Step], [Do], [TxStep] and [TxDo].
type StepOption interface {
	applyStep(*run.Step)
}

type stepOption func(*run.Step)

func (o stepOption) applyStep(s *run.Step) { o(s) }

// The defaults of a step's retries.
const (
	defaultMaxAttempts = 4
	defaultBackoff     = time.Second
	defaultMaxBackoff  = time.Minute
)

// MaxAttempts sets how often a failing step is attempted, the first one included.
// The default is 4; 0 or less means without end.
func MaxAttempts(n int) StepOption {
	return stepOption(func(s *run.Step) { s.MaxAttempts = n })
}

// Backoff sets the wait before the first retry, which doubles with each further one
// up to most, or stays at first if most is less; a negative time is 0. The defaults
// are 1 s and 1 min. Each wait is up to a fifth longer or shorter, by chance. A retry holds no worker.
func Backoff(first, most time.Duration) StepOption {
	return stepOption(func(s *run.Step) { s.Backoff = run.Backoff{Initial: first, Max: max(first, most)} })
}

// Timeout bounds each attempt: its context ends after d, by the clock of the worker. An attempt
// that fails because of it is retried like any other. There is no bound by default, nor with a
// d of 0 or less.
func Timeout(d time.Duration) StepOption {
	return stepOption(func(s *run.Step) { s.Timeout = d })
}

// Step executes fn and returns its result, which is recorded once: a replay returns the record and
// does not execute fn again. Side effects belong in steps.
//
// An attempt that returns an error or panics is repeated (see [MaxAttempts],
// [Backoff], [Fatal], [RetryAfter]); then Step returns a *[StepError]. A crash in
// the middle of an attempt repeats it too, without counting it, so fn is executed
// at least once: use [Info.StepID] as the idempotency key towards other systems.
//
// Some errors of this package come again whatever is tried, and fail the step without
// another attempt unless they are wrapped in [RetryAfter]: [ErrAlreadyResponded],
// [ErrNotInWorkflow], [ErrPayloadTooLarge], [ErrInvalidName], [ErrInvalidToken],
// [ErrRunEnded], *[RunExistsError], *[PayloadError], *[InputError], *[HookTypeError], and
// those of values that do not encode and of options and responses that are wrong.
//
// The name identifies the step in the journal, together with how often the run has
// called that name. It has 1 to 512 bytes of valid UTF-8 without control characters. The result is
// stored as JSON; one that does not encode, or is above engine.Options.MaxPayload,
// fails the step without another attempt. If ctx has ended Step returns ctx.Err() and
// does not execute fn.
//
// Fn gets a plain context, from the worker: it ends when the run
// is canceled or ctx's deadline passes. Step returns only when fn has returned, and
// if that was a success it is a success; an fn that does not return within the
// engine's grace period is given up with [ErrOutcomeUnknown]. It must not use the Context of the
// workflow (see [Context]), nor assign to the workflow's variables: a replay does not call it, so
// what it has learned has to be its result.
func Step[T any](ctx Context, name string, fn func(context.Context) (T, error), opts ...StepOption) (T, error) {
	if fn == nil {
		var zero T
		return zero, nilFunc(name)
	}
	s := newStep(name, opts)
	s.Func = func(ctx context.Context) ([]byte, *run.StepError) {
		return attempt(ctx, func(ctx context.Context) ([]byte, error) {
			v, err := fn(ctx)
			if err != nil {
				return nil, err
			}
			return encodeResult(v)
		})
	}
	return typedStep[T](ctx, s)
}

// Do is [Step] for functions without a result.
func Do(ctx Context, name string, fn func(context.Context) error, opts ...StepOption) error {
	if fn == nil {
		return nilFunc(name)
	}
	s := newStep(name, opts)
	s.Func = func(ctx context.Context) ([]byte, *run.StepError) {
		return attempt(ctx, func(ctx context.Context) ([]byte, error) { return nil, fn(ctx) })
	}
	_, err := execStep(ctx, s)
	return err
}

// newStep is a step that has no function yet.
func newStep(name string, opts []StepOption) run.Step {
	s := run.Step{
		Name:        name,
		MaxAttempts: defaultMaxAttempts,
		Backoff:     run.Backoff{Initial: defaultBackoff, Max: defaultMaxBackoff},
	}
	for _, opt := range opts {
		if opt != nil {
			opt.applyStep(&s)
		}
	}
	return s
}

func nilFunc(name string) error { return misused(fmt.Errorf("step %q: its function is nil", name)) }

// execStep executes a step, or returns its recorded outcome.
func execStep(ctx Context, s run.Step) ([]byte, error) {
	data, err := scopeOf(ctx).Step(s)
	if failed, ok := errors.AsType[*run.StepFailed](err); ok {
		return nil, &StepError{Step: failed.Step, Attempts: failed.Attempts, Err: restore(failed.Cause)}
	}
	return data, err
}

// typedStep is execStep for a step with a result.
func typedStep[T any](ctx Context, s run.Step) (T, error) {
	var result T
	s.Out = reflect.TypeFor[T]()
	data, err := execStep(ctx, s)
	if err != nil {
		return result, err
	}
	if err := decode(data, &result); err != nil {
		return result, fmt.Errorf("decode result of step %s: %w", s.Name, err)
	}
	return result, nil
}

func encodeResult(v any) ([]byte, error) {
	data, err := encode(v)
	if err != nil {
		return nil, Fatal(fmt.Errorf("encode result: %w", err))
	}
	return data, nil
}

// attempt calls fn once and records what comes of it.
func attempt(ctx context.Context, fn func(context.Context) ([]byte, error)) (data []byte, failed *run.StepError) {
	defer func() {
		v := recover()
		if err, ok := v.(error); ok && errors.Is(err, ErrNotInWorkflow) {
			data, failed = nil, stepFailure(err) // it names the line, and no retry helps
		} else if v != nil {
			data, failed = nil, &run.StepError{Failure: run.Panicked(v)}
		}
	}()
	data, err := fn(ctx)
	if err == nil {
		return data, nil
	}
	return nil, stepFailure(err)
}

// stepFailure records the error of an attempt, and says whether and when another one may help.
func stepFailure(err error) *run.StepError {
	failed := &run.StepError{Failure: *record(err)}
	run.Walk(err, func(e error) (deeper bool) {
		switch e := e.(type) { //nolint:errorlint // Walk takes the chain apart
		case *fatalError:
			failed.Fatal = true
		case *retryAfterError:
			if failed.RetryAfter == 0 {
				failed.RetryAfter = max(e.d, 1) // 0 is the backoff
			}
		case *RunError, *StepError:
			return false // it says why something else failed, which may succeed if it is done again
		}
		failed.Fatal = failed.Fatal || lasting(e) && failed.RetryAfter == 0
		return true
	})
	return failed
}

// lasting reports whether an error of this module comes again with each attempt, since
// what was asked for is wrong and nothing that happens meanwhile mends it. Others may
// pass: a hook is opened later, or a worker has another version.
func lasting(err error) bool {
	switch err.(type) { //nolint:errorlint // one error at a time
	case *PayloadError, *InputError, *HookTypeError, *RunExistsError:
		return true
	}
	switch err {
	case ErrNotInWorkflow, ErrAlreadyResponded, ErrPayloadTooLarge, ErrInvalidName, ErrInvalidToken, ErrRunExists, ErrRunEnded: //nolint:errorlint // one error at a time
		return true
	}
	return false
}

type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }

// Fatal wraps the error of a step so that the step is not retried. Fatal(nil) is
// nil.
func Fatal(err error) error {
	if err == nil {
		return nil
	}
	return &fatalError{err}
}

type retryAfterError struct {
	err error
	d   time.Duration
}

func (e *retryAfterError) Error() string { return e.err.Error() }
func (e *retryAfterError) Unwrap() error { return e.err }

// RetryAfter wraps the error of a step so that its next attempt, if it has one
// left, begins after d instead of after the backoff, at once if d is 0 or less.
// RetryAfter(nil, d) is nil.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{err, d}
}

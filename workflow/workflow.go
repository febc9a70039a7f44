package workflow

import (
	"fmt"
	"reflect"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/strictjson"
)

// Workflow is the typed handle of a workflow: with it runs are started and found
// again. It holds no state and is safe for concurrent use.
type Workflow[In, Out any] struct {
	name string
	impl *run.Workflow // nil if only declared
}

// Definition is an implemented workflow, to be given to engine.Options.Workflows.
// It is made by [Define] or [Workflow.Implement].
type Definition interface {
	definition() (*run.Workflow, error)
}

// DefineOption is an option of [Define] and [Workflow.Implement].
type DefineOption interface {
	applyWorkflow(*run.Workflow)
}

type defineOption func(*run.Workflow)

func (o defineOption) applyWorkflow(w *run.Workflow) { o(w) }

// Version sets the version of an implementation, 1 to 2³¹-1; the default is 1. A run
// stays on the version on which it began. An engine may have several versions of a
// workflow: the highest one begins new runs, the others finish their own. A run whose
// version no worker has is blocked until one comes.
func Version(v int) DefineOption {
	return defineOption(func(w *run.Workflow) { w.Version = v })
}

// StartedByRequest says that the first request to a webhook starts runs of the workflow, by
// server.OrStart, which needs to be told: the run opens the webhook, with [NewWebhook] and the token
// that the request was sent to. [OrStart] refuses such a workflow.
func StartedByRequest() DefineOption {
	return defineOption(func(w *run.Workflow) { w.ByRequest = true })
}

// Declare names a workflow and its types, so that it can be started by code that
// does not have its implementation or what that depends on. Declare it once, next
// to its types, and give [Workflow.Implement]'s result to the engine that runs it. The
// name may not be empty or have control characters, which the engine checks; journals
// have it, so it stays. Inputs and results are stored as JSON.
func Declare[In, Out any](name string) *Workflow[In, Out] {
	return &Workflow[In, Out]{name: name}
}

// Implement binds fn to the workflow. Fn may be a method value, which brings its
// dependencies along.
//
// Fn must be deterministic: it decides, and leaves side effects to steps. Between
// durable calls it may use no clock, no randomness, no I/O and no goroutines; it
// has [Now], [Rand], [Step] and [Go] for that.
func (w *Workflow[In, Out]) Implement(fn func(Context, In) (Out, error), opts ...DefineOption) Definition {
	return implement(w.name, fn, opts)
}

// Define declares and implements a workflow at once. Its function can't name the
// handle that Define returns (an initialization cycle); use Declare and Implement
// for workflows that start themselves, or that have dependencies.
func Define[In, Out any](name string, fn func(Context, In) (Out, error), opts ...DefineOption) *Workflow[In, Out] {
	return implement(name, fn, opts)
}

func implement[In, Out any](name string, fn func(Context, In) (Out, error), opts []DefineOption) *Workflow[In, Out] {
	impl := &run.Workflow{
		Name:    name,
		Version: 1,
		In:      reflect.TypeFor[In](),
		Out:     reflect.TypeFor[Out](),
		Check:   checkInput[In],
		Decodes: func(input []byte) error { return decode(input, new(In)) },
	}
	if fn != nil {
		impl.Func = func(s run.Scope, input []byte) ([]byte, *journal.Failure) {
			return execute(s, input, fn)
		}
	}
	for _, opt := range opts {
		if opt != nil {
			opt.applyWorkflow(impl)
		}
	}
	return &Workflow[In, Out]{name: name, impl: impl}
}

// checkInput is stricter than execute, which has to take what was accepted by programs of
// yesterday and tomorrow.
func checkInput[In any](input []byte) error {
	if len(input) == 0 {
		return nil
	}
	if err := strictjson.CheckType(input, reflect.TypeFor[In]()); err != nil {
		return err
	}
	return decode(input, new(In))
}

func execute[In, Out any](s run.Scope, input []byte, fn func(Context, In) (Out, error)) ([]byte, *journal.Failure) {
	var in In
	if err := decode(input, &in); err != nil {
		return nil, record(fmt.Errorf("decode input: %w", err))
	}
	out, err := fn(scopeContext{s}, in)
	if err != nil {
		return nil, record(err)
	}
	data, err := encode(out)
	if err != nil {
		return nil, record(fmt.Errorf("encode result: %w", err))
	}
	return data, nil
}

// Name returns the name of the workflow.
func (w *Workflow[In, Out]) Name() string { return w.name }

// definition is for the engine. It fails for a workflow that is only declared.
func (w *Workflow[In, Out]) definition() (*run.Workflow, error) {
	if w == nil {
		return nil, fmt.Errorf("workflow is nil")
	}
	if w.impl == nil {
		return nil, fmt.Errorf("workflow %q is declared but not implemented: pass what Implement returns", w.name)
	}
	return w.impl, nil
}

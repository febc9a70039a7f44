// Package tricky has code that a check by names would get wrong.
package tricky

import (
	"context"
	"errors"
	"sync"
	"time"

	. "github.com/tenter-dev/tenter/workflow"
)

// A dot import, and a literal as a workflow.
var Dotted = Define("dotted", func(ctx Context, _ string) (time.Time, error) {
	at, err := Step(ctx, "clock", func(context.Context) (time.Time, error) { return time.Now(), nil })
	if err != nil {
		return time.Now(), err // want `time.Now gives another time`
	}
	return at, nil
})

// Names that mean something else here.

type clock struct{}

func (clock) Now() int           { return 1 }
func (clock) Sleep(d int) int    { return d }
func (clock) Step(fn func()) int { fn(); return 0 }

func names(ctx Context, _ string) (int, error) {
	time := clock{}
	ids := 0
	n := time.Step(func() { ids++ })
	return time.Now() + time.Sleep(n) + ids, nil
}

// A generic workflow, generic helpers, and instantiated functions as values.

type stack[T any] struct{ items []T }

func (s *stack[T]) push(v T) int64 { s.items = append(s.items, v); return time.Now().Unix() }

func (s *stack[T]) pop() (zero T) { return zero }

func first[T any](vs ...T) T { time.Sleep(1); return vs[0] }

func generic[In, Out any](ctx Context, in In) (Out, error) {
	var s stack[In]
	_ = s.push(in) // want `stack.push reaches time.Now`
	_ = s.pop()
	_ = first(in)     // want `first reaches time.Sleep`
	_ = first[In](in) // want `first reaches time.Sleep`
	f := first[In]    // a value, which may be for a step
	_ = f
	var lost In
	defer func() { _ = lost }()
	return Step(ctx, "generic", func(context.Context) (out Out, err error) {
		lost = in // want `the step assigns to lost`
		return out, err
	})
}

// A helper that workflow and step call: only the call in the workflow is wrong.

func slow() error { time.Sleep(time.Second); return nil }

func both(ctx Context, _ string) error {
	if err := slow(); err != nil { // want `slow reaches time.Sleep`
		return err
	}
	work := func() error {
		time.Sleep(time.Second) // want `time.Sleep begins again`
		return slow()           // want `slow reaches time.Sleep`
	}
	if err := work(); err != nil {
		return err
	}
	return Do(ctx, "both", func(context.Context) error { return errors.Join(slow(), work()) })
}

// Method values and expressions.

type worker struct {
	mu sync.Mutex
	n  int
}

func (w *worker) do(context.Context) error { w.mu.Lock(); defer w.mu.Unlock(); w.n++; return nil }

func (w *worker) count() int { w.mu.Lock(); defer w.mu.Unlock(); return w.n }

func (w *worker) main(ctx Context, _ string) (int, error) {
	if err := Do(ctx, "method value", w.do); err != nil {
		return 0, err
	}
	if err := Do(ctx, "in parentheses", (w.do)); err != nil {
		return 0, err
	}
	n := 0
	if err := Do(ctx, "in parentheses", (func(context.Context) error { n++; return nil })); err != nil { // want `the step assigns to n`
		return n, err
	}
	_ = (w.count)() // want `worker.count reaches sync.Mutex.Lock`
	fn := (*worker).count
	_ = (*worker).count(w) // want `worker.count reaches sync.Mutex.Lock`
	_ = fn
	return w.count(), nil // want `worker.count reaches sync.Mutex.Lock`
}

// A conversion, and a step that is built by a function.

type stepFunc func(context.Context) error

func logged(fn stepFunc) stepFunc {
	return func(ctx context.Context) error {
		began := time.Now()
		defer func() { _ = time.Since(began) }()
		return fn(ctx)
	}
}

func built(ctx Context, _ string) error {
	if err := Do(ctx, "converted", stepFunc(func(context.Context) error { return slow() })); err != nil {
		return err
	}
	return Do(ctx, "built", logged(func(context.Context) error { return slow() }))
}

// Closures in closures: each belongs to what executes it.

func nested(ctx Context, _ string) (string, error) {
	var out string
	f := Go(ctx, func(ctx Context) (string, error) {
		_ = time.Now() // want `time.Now gives another time`
		return Step(ctx, "inner", func(ctx context.Context) (string, error) {
			_ = time.Now()
			inner := ""
			func() {
				_ = time.Now()
				inner = "kept"
				out = "lost" // want `the step assigns to out`
			}()
			return inner, ctx.Err()
		})
	})
	inner, err := f.Wait(ctx)
	return out + inner, err
}

// A closure that gives closures to a step.

func steps(ctx Context, _ string) (string, error) {
	run := func(name string, fn func() error) error {
		Logger(ctx).Info("run", "step", name)
		return Do(ctx, name, func(context.Context) error { return fn() })
	}
	out := ""
	err := run("a", func() error {
		time.Sleep(time.Second)
		out = "lost" // want `the step assigns to out`
		return nil
	})
	return out, err
}

// A workflow in a function that is none.

func setup() *Workflow[string, string] {
	began := time.Now()
	go func() { time.Sleep(time.Second) }()
	return Define("in a function", func(ctx Context, _ string) (string, error) {
		_ = time.Since(began) // want `time.Since gives another time`
		return "", nil
	})
}

// A child that is defined in a function: to define it is not to execute it.

func child() *Workflow[string, string] {
	return Define("child", func(ctx Context, _ string) (string, error) {
		_ = time.Now() // want `time.Now gives another time`
		return "", nil
	})
}

func parent(ctx Context, in string) (string, error) { return child().Call(ctx, in) }

// A conversion is not a call that gets a context.

type branch func(Context) error

func pause(ctx Context) error { return Sleep(ctx, time.Second) }

func convert() branch { _ = time.Now(); return branch(pause) }

// The context need not come first.
func last(name string, ctx Context) error {
	_ = time.Now() // want `time.Now gives another time`
	return Sleep(ctx, time.Second)
}

// A range over a function, whose body is workflow code.
func messages(ctx Context, hook *Hook[string]) (n int, err error) {
	for _, err := range hook.All(ctx) {
		if err != nil {
			return n, err
		}
		_ = time.Now() // want `time.Now gives another time`
		n++
	}
	return n, nil
}

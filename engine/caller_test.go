package engine_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

func nothing(context.Context) error { return nil }

func genericDo[T any](ctx workflow.Context, name string) error {
	var zero T
	_, err := workflow.Step(ctx, name, func(context.Context) (T, error) { return zero, nil }) // line: generic
	return err
}

// inlinedDo is small enough to be inlined.
func inlinedDo(ctx workflow.Context, name string) error {
	return workflow.Do(ctx, name, nothing) // line: inlined
}

// steps are done one for each that is ranged over.
func steps(ctx workflow.Context, names ...string) iter.Seq[error] {
	return func(yield func(error) bool) {
		for _, name := range names {
			if !yield(workflow.Do(ctx, name, nothing)) { // line: iterator
				return
			}
		}
	}
}

func errorsOf[T any](seq iter.Seq2[T, error]) iter.Seq[error] {
	return func(yield func(error) bool) {
		for _, err := range seq { // line: nested iterator
			if !yield(err) {
				return
			}
		}
	}
}

// divergences are ways to ask for something. Each does so at the line that has its name
// in a comment, and asks for another thing if it is changed.
var divergences = map[string]func(ctx workflow.Context, hook *workflow.Hook[string], step string, changed bool) error{
	"direct": func(ctx workflow.Context, _ *workflow.Hook[string], step string, _ bool) error {
		return workflow.Do(ctx, step, nothing) // line: direct
	},
	"generic": func(ctx workflow.Context, _ *workflow.Hook[string], step string, _ bool) error {
		return genericDo[[]string](ctx, step)
	},
	"inlined": func(ctx workflow.Context, _ *workflow.Hook[string], step string, _ bool) error {
		return inlinedDo(ctx, step)
	},
	"closure": func(ctx workflow.Context, _ *workflow.Hook[string], step string, _ bool) error {
		do := func() error {
			return workflow.Do(ctx, step, nothing) // line: closure
		}
		return do()
	},
	"method value": func(ctx workflow.Context, hook *workflow.Hook[string], step string, changed bool) error {
		closeIt := hook.Close
		if changed {
			closeIt() // line: method value
		}
		return workflow.Do(ctx, step, nothing)
	},
	"deferred": func(ctx workflow.Context, hook *workflow.Hook[string], step string, changed bool) error {
		func() {
			if changed {
				defer hook.Close()
			}
		}() // line: deferred
		return workflow.Do(ctx, step, nothing)
	},
	"range over a hook": func(ctx workflow.Context, hook *workflow.Hook[string], step string, changed bool) error {
		hook.Close()
		if changed {
			for _, err := range hook.All(ctx) { // line: range over a hook
				return err
			}
		}
		return workflow.Do(ctx, step, nothing)
	},
	"body of a range": func(ctx workflow.Context, hook *workflow.Hook[string], step string, _ bool) error {
		for _, err := range hook.All(ctx) {
			if err != nil {
				return err
			}
			if err := workflow.Do(ctx, step, nothing); err != nil { // line: body of a range
				return err
			}
			break
		}
		return nil
	},
	"iterator": func(ctx workflow.Context, _ *workflow.Hook[string], step string, _ bool) error {
		for err := range steps(ctx, step) {
			return err
		}
		return nil
	},
	"nested iterator": func(ctx workflow.Context, hook *workflow.Hook[string], step string, changed bool) error {
		hook.Close()
		if changed {
			_ = slices.Collect(errorsOf(hook.All(ctx)))
		}
		return workflow.Do(ctx, step, nothing)
	},
	"through the standard library": func(ctx workflow.Context, hook *workflow.Hook[string], step string, changed bool) error {
		closeOnce := sync.OnceFunc(hook.Close)
		if changed {
			closeOnce() // line: through the standard library
		}
		return workflow.Do(ctx, step, nothing)
	},
	"branch": func(ctx workflow.Context, _ *workflow.Hook[string], step string, _ bool) error {
		_, err := workflow.Go(ctx, func(ctx workflow.Context) (int, error) {
			return 0, workflow.Do(ctx, step, nothing) // line: branch
		}).Wait(ctx)
		return err
	},
	"select": func(ctx workflow.Context, hook *workflow.Hook[string], step string, changed bool) error {
		hook.Close()
		if changed {
			return workflow.Select(ctx, // line: select
				workflow.OnPayload(hook, func(string) error { return nil }))
		}
		return workflow.Do(ctx, step, nothing)
	},
}

// A divergence names the line of the author's code, however the call is made.
func TestDivergenceNamesTheLine(t *testing.T) {
	t.Parallel()
	for name, body := range divergences {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				of := func(step string, changed bool) *workflow.Workflow[string, string] {
					return workflow.Define("diverge", func(ctx workflow.Context, _ string) (string, error) {
						hook, err := workflow.NewHook[string](ctx, workflow.Token("diverge"))
						if err != nil {
							return "", err
						}
						last, err := workflow.NewHook[string](ctx, workflow.Token("last"))
						if err != nil {
							return "", err
						}
						if err := body(ctx, hook, step, changed); err != nil {
							return "", err
						}
						return last.Wait(ctx)
					})
				}
				l.run(engine.Options{Build: "1"}, of("before", false))
				r := mustStart(l, of("before", false), "")
				if name == "body of a range" {
					l.resume("diverge", "")
				}
				l.run(engine.Options{Build: "2"}, of("after", true))
				l.resume("last", "")
				info := wantStatus(l, workflow.Get[string](l.eng, r.ID()), workflow.StatusBlocked)
				if want := ", at " + lineOf(t, name) + "; "; !strings.Contains(info.Reason, want) {
					t.Errorf("the reason is\n%s\nwant in it %q", info.Reason, want)
				}
			})
		})
	}
}

// lineOf is the line of this file that a comment marks.
func lineOf(t *testing.T, name string) string {
	t.Helper()
	file := thisFile()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if strings.HasSuffix(strings.TrimSpace(line), "// line: "+name) {
			return fmt.Sprintf("%s:%d", file, n)
		}
	}
	t.Fatalf("no line is marked as that of %q", name)
	return ""
}

// panics are ways to panic, each at the line that has its name in a comment.
var panics = map[string]func(ctx workflow.Context) error{
	"panic": func(workflow.Context) error {
		panic("on purpose") // line: panic
	},
	"nil map": func(workflow.Context) error {
		var m map[string]int
		m["a"] = 1 //nolint:staticcheck // line: nil map
		return nil
	},
	"nil pointer": func(workflow.Context) error {
		var p *things
		p.hook.Close() // line: nil pointer
		return nil
	},
	"in the standard library": func(workflow.Context) error {
		return errors.New(strings.Repeat("a", -len(os.Args))) // line: in the standard library
	},
	"in package workflow": func(workflow.Context) error {
		var none *workflow.Hook[string]
		return errors.New(none.Token()) // line: in package workflow
	},
	"in a deferred function": func(workflow.Context) error {
		defer func() {
			panic("again") // line: in a deferred function
		}()
		panic("at first")
	},
	"in a range": func(ctx workflow.Context) error {
		for range steps(ctx, "a") { //nolint:errcheck // it does not come to one
			panic("in the body") // line: in a range
		}
		return nil
	},
	"in a step": func(ctx workflow.Context) error {
		return workflow.Do(ctx, "panic", func(context.Context) error {
			panic("in the step") // line: in a step
		}, workflow.MaxAttempts(1))
	},
	"in a branch": func(ctx workflow.Context) error {
		_, err := workflow.Go(ctx, func(workflow.Context) (int, error) {
			panic("in the branch") // line: in a branch
		}).Wait(ctx)
		return err
	},
	"Goexit": func(workflow.Context) error {
		runtime.Goexit() // line: Goexit
		return nil
	},
}

// A panic names the line of the author's code, in its text and so in logs, and its stack
// begins there.
func TestPanicNamesTheLine(t *testing.T) {
	t.Parallel()
	for name, body := range panics {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				wf := workflow.Define("panics", func(ctx workflow.Context, _ string) (string, error) { return "", body(ctx) })
				l.run(engine.Options{}, wf)
				err := mustFail(l, mustStart(l, wf, ""))
				p, ok := errors.AsType[*workflow.PanicError](err)
				if !ok {
					t.Fatalf("the error is %v", err)
				}
				want := lineOf(t, name)
				if p.At != want || !strings.HasSuffix(err.Error(), ", at "+want) {
					t.Errorf("the error is %v, at %s; want it at %s", err, p.At, want)
				}
				frames := strings.Split(p.Stack, "\n")
				if !strings.HasPrefix(frames[0], "github.com/tenter-dev/tenter/engine_test.") || frames[1] != "\t"+want {
					t.Errorf("the stack is\n%s", p.Stack)
				}
				if logged := l.logs.String(); !strings.Contains(logged, ", at "+want) {
					t.Errorf("the log is\n%s", logged)
				}
			})
		})
	}
}

func thisFile() string {
	_, file, _, _ := runtime.Caller(0)
	return file
}

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

var (
	errDeclined   = workflow.DefineError("engine_test: card declined")
	errOutOfStock = workflow.DefineError("engine_test: out of stock")
)

// What an error is survives steps, children, results and replays.
func TestErrorsSurvive(t *testing.T) {
	t.Parallel()
	failing := func(err error) func(workflow.Context) error {
		return func(ctx workflow.Context) error {
			return workflow.Do(ctx, "fail", func(context.Context) error { return workflow.Fatal(err) })
		}
	}
	for name, tt := range map[string]struct {
		body func(workflow.Context) error
		want []error
	}{
		"defined":           {failing(errDeclined), []error{errDeclined}},
		"wrapped":           {failing(fmt.Errorf("order 7: %w", errDeclined)), []error{errDeclined}},
		"joined":            {failing(errors.Join(errDeclined, fmt.Errorf("and: %w", errOutOfStock))), []error{errDeclined, errOutOfStock}},
		"context.Canceled":  {failing(context.Canceled), []error{context.Canceled}},
		"deadline":          {failing(fmt.Errorf("slow: %w", context.DeadlineExceeded)), []error{context.DeadlineExceeded}},
		"ErrHookNotFound":   {failing(workflow.ErrHookNotFound), []error{workflow.ErrHookNotFound}},
		"RunExistsError":    {failing(&workflow.RunExistsError{RunID: "r"}), []error{workflow.ErrRunExists}},
		"from the workflow": {func(workflow.Context) error { return fmt.Errorf("here: %w", errDeclined) }, []error{errDeclined}},
		"an ended context": {func(ctx workflow.Context) error {
			inner, cancel := workflow.WithTimeout(ctx, time.Minute)
			defer cancel()
			return workflow.Sleep(inner, time.Hour)
		}, []error{context.DeadlineExceeded}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				child := workflow.Define("child", func(ctx workflow.Context, _ string) (string, error) { return "", tt.body(ctx) })
				parent := workflow.Define("parent", func(ctx workflow.Context, _ string) (string, error) {
					_, err := child.Call(ctx, "")
					for _, want := range tt.want {
						if !errors.Is(err, want) {
							return "", fmt.Errorf("in the parent: %v", err) //nolint:errorlint // its identity is in question
						}
					}
					if err := workflow.Sleep(ctx, time.Hour); err != nil {
						return "", err
					}
					return "", fmt.Errorf("parent: %w", err)
				})
				l.run(engine.Options{CacheSize: noCache}, child, parent)
				err := mustFail(l, mustStart(l, parent, ""))
				for _, want := range tt.want {
					wantIs(l, err, want)
				}
				if errors.Is(err, workflow.ErrRunEnded) || errors.Is(err, workflow.ErrCanceled) {
					t.Errorf("%v is more than it should be", err)
				}
				client := l.client()
				runs, _ := client.Runs(t.Context(), inspect.RunFilter{Workflow: "child"})
				_, err = workflow.Get[string](client, runs[0].ID).Result(t.Context())
				for _, want := range tt.want {
					wantIs(l, err, want)
				}
			})
		})
	}
}

// errors.As finds the typed errors at each level.
func TestTypedErrorsSurvive(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		child := workflow.Define("child", func(ctx workflow.Context, _ string) (string, error) {
			return "", workflow.Do(ctx, "fail", func(context.Context) error {
				panic(&workflow.HookConflictError{Token: "t", RunID: "r"})
			}, workflow.MaxAttempts(1))
		})
		conflict := workflow.Define("conflict", func(ctx workflow.Context, _ string) (string, error) {
			return "", workflow.Do(ctx, "fail", func(context.Context) error {
				return workflow.Fatal(fmt.Errorf("wrapped: %w", &workflow.HookConflictError{Token: "t", RunID: "r"}))
			})
		})
		payload := workflow.Define("payload", func(workflow.Context, string) (string, error) {
			return "", &workflow.PayloadError{Token: "t", Err: errDeclined}
		})
		parent := workflow.Define("parent", func(ctx workflow.Context, _ string) (string, error) {
			_, err := child.Call(ctx, "")
			return "", err
		})
		l.run(engine.Options{CacheSize: noCache}, child, conflict, payload, parent)

		err := mustFail(l, mustStart(l, parent, "", workflow.RunID("p")))
		outer, _ := errors.AsType[*workflow.RunError](err)
		inner, ok := errors.AsType[*workflow.RunError](outer.Err)
		if !ok || outer.RunID != "p" || inner.Workflow != "child" {
			t.Errorf("outer %v, inner %v", outer, inner)
		}
		if step, ok := errors.AsType[*workflow.StepError](err); !ok || step.Step != "fail#1" || step.Attempts != 1 {
			t.Errorf("step error %v", step)
		}
		if panicked, ok := errors.AsType[*workflow.PanicError](err); !ok || panicked.Stack == "" {
			t.Errorf("panic error %v", panicked)
		}
		wantContains(l, err.Error(), "run p of parent", "of child", "fail#1", "1 attempt:", `token "t"`)

		err = mustFail(l, mustStart(l, conflict, ""))
		if got, ok := errors.AsType[*workflow.HookConflictError](err); !ok || *got != (workflow.HookConflictError{Token: "t", RunID: "r"}) {
			t.Errorf("conflict error %v", got)
		}
		err = mustFail(l, mustStart(l, payload, ""))
		wantIs(l, err, errDeclined)
		if got, ok := errors.AsType[*workflow.PayloadError](err); !ok || got.Token != "t" {
			t.Errorf("payload error %v", got)
		}
	})
}

// Each call that an error comes through adds to its record what it adds to its text. It
// does not double it.
func TestTheRecordOfAnErrorDoesNotDoubleWithEachCall(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		deep := workflow.Declare[int, string]("deep")
		l.run(engine.Options{}, deep.Implement(func(ctx workflow.Context, n int) (string, error) {
			if n == 0 {
				return "", errDeclined
			}
			return deep.Call(ctx, n-1)
		}))
		var sizes []int
		for n := range 9 {
			r := mustStart(l, deep, n)
			wantIs(l, mustFail(l, r), errDeclined)
			events, err := l.eng.Journal(t.Context(), r.ID(), 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, len(events[len(events)-1].Data))
		}
		if sizes[8] > 8*sizes[4] {
			t.Errorf("the records of errors through 0 to 8 calls have %v bytes", sizes)
		}
	})
}

// privateError is of a type that no journal knows.
type privateError struct{ error }

func (e privateError) Unwrap() error { return e.error }

// What the code sees is the recorded form on the live path too, so that a decision by
// what an error is comes out the same on replay.
func TestErrorsLiveAndReplayed(t *testing.T) {
	t.Parallel()
	var texts []string
	got, err := inWorkflow(t, func(ctx workflow.Context) (string, error) {
		err := workflow.Do(ctx, "fail", func(context.Context) error {
			return workflow.Fatal(privateError{fmt.Errorf("private: %w", errDeclined)})
		})
		texts = append(texts, err.Error())
		if _, ok := errors.AsType[privateError](err); ok {
			return "saw what no replay can see", nil
		}
		if err := workflow.Sleep(ctx, time.Hour); err != nil {
			return "", err
		}
		return fmt.Sprint(errors.Is(err, errDeclined)), nil
	})
	if got != "true" || err != nil {
		t.Errorf("result %q, error %v", got, err)
	}
	if len(texts) < 2 || texts[0] != texts[len(texts)-1] {
		t.Errorf("texts live and replayed: %q", texts)
	}
}

func TestDefineErrorRefuses(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", errDeclined.Error()} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("error %q can be defined", name)
				}
			}()
			_ = workflow.DefineError(name)
		}()
	}
}

// A list of runs says why each failed, and at which step.
func TestListsSayWhyRunsFailed(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("w", func(ctx workflow.Context, how string) (string, error) {
			switch how {
			case "step":
				return "", workflow.Do(ctx, "charge", func(context.Context) error { return workflow.Fatal(errors.New("card declined\nby the bank")) })
			case "code":
				return "", errors.New("no such customer")
			}
			return "", nil
		})
		l.run(engine.Options{}, wf)
		for _, how := range []string{"step", "code", "not"} {
			r, err := wf.Start(t.Context(), l.eng, how, workflow.RunID(how))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = r.Result(t.Context())
		}
		runs, err := l.eng.Runs(t.Context(), inspect.RunFilter{})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string][2]string{}
		for _, r := range runs {
			got[r.ID] = [2]string{r.Error, r.FailedStep}
		}
		want := map[string][2]string{
			"step": {"step charge#1 failed after 1 attempt: card declined", "charge#1"},
			"code": {"no such customer", ""},
			"not":  {"", ""},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("why runs failed (-want +got):\n%s", d)
		}
	})
}

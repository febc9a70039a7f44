package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

var foreignChild = workflow.Declare[string, string]("foreign-child")

// things are what a run has opened, for somebody else to misuse.
type things struct {
	hook   *workflow.Hook[string]
	future *workflow.Future[string]
	cancel context.CancelFunc
}

func openThings(ctx workflow.Context) (things, error) {
	hook, err := workflow.NewHook[string](ctx)
	_, cancel := workflow.WithCancel(ctx)
	future := workflow.Go(ctx, hook.Wait)
	return things{hook, future, cancel}, err
}

// durableCalls are all calls that only a workflow's own code may make.
var durableCalls = map[string]func(workflow.Context, things) error{
	"Step": func(ctx workflow.Context, _ things) error {
		_, err := workflow.Step(ctx, "no", func(context.Context) (int, error) { return 1, nil })
		return err
	},
	"Do": func(ctx workflow.Context, _ things) error {
		return workflow.Do(ctx, "no", func(context.Context) error { return nil })
	},
	"Sleep":      func(ctx workflow.Context, _ things) error { return workflow.Sleep(ctx, time.Second) },
	"SleepUntil": func(ctx workflow.Context, _ things) error { return workflow.SleepUntil(ctx, time.Now().Add(1)) },
	"NewHook": func(ctx workflow.Context, _ things) error {
		_, err := workflow.NewHook[string](ctx)
		return err
	},
	"NewHook with a token": func(ctx workflow.Context, _ things) error {
		_, err := workflow.NewHook[string](ctx, workflow.Token("no"))
		return err
	},
	"Hook.Wait": func(ctx workflow.Context, t things) error {
		_, err := t.hook.Wait(ctx)
		return err
	},
	"Hook.All": func(ctx workflow.Context, t things) error {
		for _, err := range t.hook.All(ctx) {
			return err
		}
		return nil
	},
	"Hook.Close":  func(_ workflow.Context, t things) error { t.hook.Close(); return nil },
	"CancelFunc":  func(_ workflow.Context, t things) error { t.cancel(); return nil },
	"Future.Wait": func(ctx workflow.Context, t things) error { _, err := t.future.Wait(ctx); return err },
	"Go": func(ctx workflow.Context, t things) error {
		_, err := workflow.Go(ctx, t.hook.Wait).Wait(ctx)
		return err
	},
	"First": func(ctx workflow.Context, t things) error { _, _, err := workflow.First(ctx, t.hook.Wait); return err },
	"All":   func(ctx workflow.Context, t things) error { _, err := workflow.All(ctx, t.hook.Wait); return err },
	"Select on a payload": func(ctx workflow.Context, t things) error {
		return workflow.Select(ctx, workflow.OnPayload(t.hook, func(string) error { return nil }))
	},
	"Select on a timer": func(ctx workflow.Context, _ things) error {
		return workflow.Select(ctx, workflow.OnTimer(time.Second, func() error { return nil }))
	},
	"Workflow.Call": func(ctx workflow.Context, _ things) error { _, err := foreignChild.Call(ctx, ""); return err },
	"Workflow.Go":   func(ctx workflow.Context, _ things) error { _, err := foreignChild.Go(ctx, "").Wait(ctx); return err },
	"WithTimeout":   func(ctx workflow.Context, _ things) error { workflow.WithTimeout(ctx, 1); return nil },
	"WithDeadline":  func(ctx workflow.Context, _ things) error { workflow.WithDeadline(ctx, time.Now()); return nil },
	"WithCancel":    func(ctx workflow.Context, _ things) error { workflow.WithCancel(ctx); return nil },
	"WithoutCancel": func(ctx workflow.Context, _ things) error { workflow.WithoutCancel(ctx); return nil },
	"Now":           func(ctx workflow.Context, _ things) error { workflow.Now(ctx); return nil },
	"NewID":         func(ctx workflow.Context, _ things) error { workflow.NewID(ctx); return nil },
	"Rand":          func(ctx workflow.Context, _ things) error { workflow.Rand(ctx); return nil },
}

// lent is what a run has let out.
type lent struct {
	ctx workflow.Context
	things
}

// misuse makes a call and returns the error that it returns or panics with.
func misuse(call func(workflow.Context, things) error, ctx workflow.Context, t things) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err, _ = v.(error)
		}
	}()
	return call(ctx, t)
}

// misuseAll makes all durable calls and says which of them did not fail as they should.
func misuseAll(ctx workflow.Context, t things) error {
	var wrong error
	for name, call := range durableCalls {
		err := misuse(call, ctx, t)
		if !errors.Is(err, workflow.ErrNotInWorkflow) || !strings.Contains(err.Error(), "foreign_test.go:") || !saysCall(err, name) {
			wrong = errors.Join(wrong, fmt.Errorf("%s: %w", name, err))
		}
	}
	return wrong
}

// saysCall tells whether an error begins with the name of a call of durableCalls.
func saysCall(err error, name string) bool {
	name, _, _ = strings.Cut(name, " ")
	said, _, _ := strings.Cut(err.Error(), " at ")
	return strings.TrimPrefix(said, "workflow.") == name
}

// goOn does something of everything, to see that a run is unharmed.
func goOn(ctx workflow.Context, t things) (string, error) {
	got, err := t.future.Wait(ctx)
	if err != nil {
		return "", err
	}
	if err := workflow.Sleep(ctx, time.Hour); err != nil {
		return "", err
	}
	return workflow.Step(ctx, "end", func(context.Context) (string, error) { return got + "!", nil })
}

func TestForeignCalls(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]func(workflow.Context, things, lent) error{
		"in a goroutine while the workflow executes": func(ctx workflow.Context, t things, _ lent) error {
			done := make(chan error)
			go func() { done <- misuseAll(ctx, t) }()
			return <-done
		},
		"in a step": func(ctx workflow.Context, t things, _ lent) error {
			return workflow.Do(ctx, "misuse", func(context.Context) error { return workflow.Fatal(misuseAll(ctx, t)) })
		},
		"in another run": func(_ workflow.Context, _ things, other lent) error {
			return misuseAll(other.ctx, other.things)
		},
		"with things of another run": func(ctx workflow.Context, _ things, other lent) error {
			_, waited := other.hook.Wait(ctx)
			_, done := other.future.Wait(ctx)
			selected := workflow.Select(ctx, workflow.OnPayload(other.hook, func(string) error { return nil }))
			for _, err := range []error{waited, done, selected} {
				if !errors.Is(err, workflow.ErrNotInWorkflow) || !strings.Contains(err.Error(), "of another run") {
					return fmt.Errorf("took a thing of another run: %w", err)
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				var other lent
				lender := workflow.Define("lender", func(ctx workflow.Context, _ string) (string, error) {
					t, err := openThings(ctx)
					if err != nil {
						return "", err
					}
					other = lent{ctx, t}
					return goOn(ctx, t)
				})
				misuser := workflow.Define("misuser", func(ctx workflow.Context, _ string) (string, error) {
					t, err := openThings(ctx)
					if err != nil {
						return "", err
					}
					if err := body(ctx, t, other); err != nil {
						return "", err
					}
					return goOn(ctx, t)
				})
				l.run(engine.Options{}, lender, misuser)
				first := mustStart(l, lender, "")
				r := mustStart(l, misuser, "")
				for _, r := range []*workflow.Run[string]{first, r} {
					wantStatus(l, r, workflow.StatusWaiting)
					hooks, err := l.eng.Hooks(l.Context(), inspect.HookFilter{RunID: r.ID()})
					if err != nil || len(hooks) != 1 {
						t.Fatalf("hooks %v, error %v; want the one that the run opened", hooks, err)
					}
					l.resume(hooks[0].Token, "ok")
					if got := mustResult(l, r); got != "ok!" {
						t.Errorf("result is %q, want ok!", got)
					}
				}
			})
		})
	}
}

// A goroutine that a workflow leaves behind meets a run that is parked, gone on, or
// evicted.
func TestForeignCallsLater(t *testing.T) {
	t.Parallel()
	for _, cache := range []int{0, noCache} {
		t.Run(fmt.Sprintf("CacheSize %d", cache), func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				wrong := make(chan error, 10)
				leaver := workflow.Define("leaver", func(ctx workflow.Context, _ string) (string, error) {
					t, err := openThings(ctx)
					if err != nil {
						return "", err
					}
					left := time.After(time.Minute)
					go func() {
						<-left
						wrong <- misuseAll(ctx, t)
					}()
					return goOn(ctx, t)
				})
				l.run(engine.Options{CacheSize: cache}, leaver)
				r := mustStart(l, leaver, "")
				l.advance(2 * time.Minute)
				hooks, _ := l.eng.Hooks(l.Context(), inspect.HookFilter{RunID: r.ID()})
				l.resume(hooks[0].Token, "ok")
				l.advance(2 * time.Minute)
				if got := mustResult(l, r); got != "ok!" {
					t.Errorf("result is %q, want ok!", got)
				}
				l.advance(2 * time.Minute)
				for len(wrong) > 0 {
					if err := <-wrong; err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// A durable call in a step is a mistake that another attempt does not mend.
func TestDurableCallInAStepIsNotRepeated(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		attempts := 0
		wf := workflow.Define("wf", func(ctx workflow.Context, _ string) (string, error) {
			return "", workflow.Do(ctx, "nap", func(context.Context) error {
				attempts++
				return fmt.Errorf("nap: %w", workflow.Sleep(ctx, time.Second))
			})
		})
		l.run(engine.Options{}, wf)
		err := mustFail(l, mustStart(l, wf, ""))
		wantContains(l, err.Error(), workflow.ErrNotInWorkflow.Error(), "after 1 attempt:")
		if attempts != 1 {
			t.Errorf("%d attempts", attempts)
		}
	})
}

// A step that uses the Context of its workflow would get no StepID, and ignore its timeout.
func TestContextOfTheWorkflowInAStep(t *testing.T) {
	t.Parallel()
	uses := map[string]func(outer workflow.Context) error{
		"InfoOf": func(outer workflow.Context) error {
			if id := workflow.InfoOf(outer).StepID; id != "" {
				return errors.New("the outer context knows the StepID " + id)
			}
			return nil
		},
		"Err": func(outer workflow.Context) error { return outer.Err() },
		"Done": func(outer workflow.Context) error {
			select {
			case <-outer.Done():
				return context.Cause(outer)
			case <-time.After(time.Hour):
				return nil
			}
		},
		"derived": func(outer workflow.Context) error {
			ctx, cancel := context.WithTimeout(outer, time.Hour)
			defer cancel()
			<-ctx.Done()
			return context.Cause(ctx)
		},
		"Now": func(outer workflow.Context) error {
			workflow.Now(outer)
			return nil
		},
	}
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				attempts := 0
				wf := workflow.Define("wf", func(ctx workflow.Context, _ string) (string, error) {
					return workflow.Step(ctx, "charge", func(context.Context) (string, error) {
						attempts++
						return "used", use(ctx)
					})
				})
				l.run(engine.Options{}, wf)
				err := mustFail(l, mustStart(l, wf, ""))
				wantContains(l, err.Error(), workflow.ErrNotInWorkflow.Error(), "foreign_test.go:", "after 1 attempt:")
				if attempts != 1 {
					t.Errorf("%d attempts", attempts)
				}
			})
		})
	}
}

// The Context of a workflow can be watched from a goroutine of the author's own, and is what it
// was once the step has returned.
func TestContextOfTheWorkflowBesideSteps(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("wf", func(ctx workflow.Context, _ string) (string, error) {
			plain, cancel := context.WithCancel(ctx)
			defer cancel()
			for range 3 {
				if err := workflow.Do(ctx, "step", func(context.Context) error { return plain.Err() }); err != nil {
					return "", err
				}
				if err := ctx.Err(); err != nil {
					return "", err
				}
			}
			return workflow.InfoOf(ctx).RunID, plain.Err()
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		if got := mustResult(l, r); got != r.ID() {
			t.Errorf("result is %q", got)
		}
	})
}

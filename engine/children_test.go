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

func TestChildren(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		double := workflow.Define("double", func(ctx workflow.Context, n int) (int, error) {
			return 2 * n, workflow.Sleep(ctx, time.Duration(n)*time.Hour)
		})
		wf := workflow.Define("sum", func(ctx workflow.Context, n int) (int, error) {
			var children []*workflow.Future[int]
			for i := range n {
				children = append(children, double.Go(ctx, i))
			}
			sum := 0
			for _, c := range children {
				v, err := c.Wait(ctx)
				if err != nil {
					return 0, err
				}
				sum += v
			}
			return sum, nil
		})
		l.run(engine.Options{CacheSize: noCache}, wf, double)
		r := mustStart(l, wf, 5)
		if got := mustResult(l, r); got != 20 {
			t.Errorf("result is %d", got)
		}
		children, err := l.eng.Runs(t.Context(), inspect.RunFilter{ParentID: r.ID()})
		if err != nil || len(children) != 5 {
			t.Errorf("children %v, error %v", children, err)
		}
		for _, c := range children {
			if c.ParentID != r.ID() || c.Status != workflow.StatusCompleted {
				t.Errorf("child %+v", c)
			}
		}
	})
}

// A child whose run ID is taken is an error; the run that has it is left alone.
func TestChildExists(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		child := define("child")
		wf := workflow.Define("parent", func(ctx workflow.Context, _ string) (string, error) {
			_, err := child.Call(ctx, "mine", workflow.RunID("taken"))
			exists, ok := errors.AsType[*workflow.RunExistsError](err)
			if !ok || exists.RunID != "taken" || !errors.Is(err, workflow.ErrRunExists) {
				return "", fmt.Errorf("want a *RunExistsError: %w", err)
			}
			got, err := child.Call(ctx, "mine", workflow.RunID("free"))
			if err != nil {
				return "", err
			}
			return got, workflow.Sleep(ctx, time.Hour)
		})
		l.run(engine.Options{CacheSize: noCache}, wf, child)
		taken := mustStart(l, child, "theirs", workflow.RunID("taken"))
		if got := mustResult(l, mustStart(l, wf, "")); got != "mine" {
			t.Errorf("result is %q", got)
		}
		if got := mustResult(l, taken); got != "theirs" {
			t.Errorf("the run that had the ID came to %q", got)
		}
	})
}

// A chain of children has IDs that commands and the API take, however long it is.
func TestDistantDescendantsHaveValidIDs(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		const depth = 200
		var link *workflow.Workflow[int, int]
		link = workflow.Define("link", func(ctx workflow.Context, n int) (int, error) {
			if n == depth {
				return n, nil
			}
			return link.Call(ctx, n+1)
		})
		l.run(engine.Options{}, link)
		if got := mustResult(l, mustStart(l, link, 1, workflow.RunID("root"))); got != depth {
			t.Errorf("the chain has returned %d", got)
		}
		runs, err := l.eng.Runs(t.Context(), inspect.RunFilter{Limit: 2 * depth})
		if err != nil || len(runs) != depth {
			t.Fatalf("%d runs in a chain of %d: %v", len(runs), depth, err)
		}
		for _, r := range runs {
			if !strings.HasPrefix(r.ID, "root") || len(r.ID) > 512 {
				t.Errorf("a descendant of root has the ID %q, of %d bytes", r.ID, len(r.ID))
			}
			if _, err := l.eng.RunInfo(t.Context(), r.ID); err != nil {
				t.Errorf("look up %q: %v", r.ID, err)
			}
		}
	})
}

// Should somebody have taken the very ID that a child would get, the call fails; it
// does not wait forever for another caller's run.
func TestAChildWhoseGeneratedIDIsTakenFails(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		child := define("child")
		wf := workflow.Define("parent", func(ctx workflow.Context, _ string) (string, error) { return child.Call(ctx, "") })
		l.run(engine.Options{}, wf, child)
		mustResult(l, mustStart(l, wf, "", workflow.RunID("one")))
		children, err := l.eng.Runs(t.Context(), inspect.RunFilter{ParentID: "one"})
		if err != nil || len(children) != 1 {
			t.Fatalf("children %v, error %v", children, err)
		}
		mustStart(l, child, "", workflow.RunID(strings.Replace(children[0].ID, "one", "two", 1)))
		wantIs(l, mustFail(l, mustStart(l, wf, "", workflow.RunID("two"))), workflow.ErrRunExists)
	})
}

// Cancel reaches children, unless they were started without it.
func TestCancelChildren(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		under func(workflow.Context) workflow.Context
		want  workflow.Status
	}{
		"with the parent": {func(ctx workflow.Context) workflow.Context { return ctx }, workflow.StatusCanceled},
		"without":         {workflow.WithoutCancel, workflow.StatusCompleted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				child := workflow.Define("child", func(ctx workflow.Context, _ string) (string, error) {
					return "", workflow.Sleep(ctx, 24*time.Hour)
				})
				wf := workflow.Define("parent", func(ctx workflow.Context, _ string) (string, error) {
					f := child.Go(tt.under(ctx), "", workflow.RunID("child-1"))
					return f.Wait(ctx)
				})
				l.run(engine.Options{CacheSize: noCache}, wf, child)
				r := mustStart(l, wf, "")
				l.advance(time.Hour)
				if err := r.Cancel(t.Context()); err != nil {
					t.Fatal(err)
				}
				wantIs(l, mustFail(l, r), context.Canceled)
				c := workflow.Get[string](l.eng, "child-1")
				_, _ = resultSoon(l, c)
				wantStatus(l, c, tt.want)
			})
		})
	}
}

// A child that loses a race is canceled; its parent goes on.
func TestChildLosesRace(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		child := workflow.Define("child", func(ctx workflow.Context, d time.Duration) (string, error) {
			return d.String(), workflow.Sleep(ctx, d)
		})
		wf := workflow.Define("parent", func(ctx workflow.Context, _ string) (string, error) {
			call := func(d time.Duration) func(workflow.Context) (string, error) {
				return func(ctx workflow.Context) (string, error) {
					return child.Call(ctx, d, workflow.RunID(d.String()))
				}
			}
			_, got, err := workflow.First(ctx, call(time.Hour), call(time.Minute))
			if err != nil {
				return "", err
			}
			return got, workflow.Sleep(ctx, time.Minute)
		})
		l.run(engine.Options{CacheSize: noCache}, wf, child)
		if got := mustResult(l, mustStart(l, wf, "")); got != "1m0s" {
			t.Errorf("result is %q", got)
		}
		wantStatus(l, workflow.Get[string](l.eng, "1m0s"), workflow.StatusCompleted)
		wantStatus(l, workflow.Get[string](l.eng, "1h0m0s"), workflow.StatusCanceled)
	})
}

// Errors and canceled children come to the parent as a *RunError.
func TestChildFails(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		child := workflow.Define("child", func(ctx workflow.Context, _ string) (string, error) {
			return "", workflow.Sleep(ctx, 24*time.Hour)
		})
		wf := workflow.Define("parent", func(ctx workflow.Context, id string) (bool, error) {
			_, err := child.Call(ctx, "", workflow.RunID(id))
			failed, ok := errors.AsType[*workflow.RunError](err)
			if !ok || failed.RunID != id || failed.Workflow != "child" {
				return false, fmt.Errorf("want a *RunError: %w", err)
			}
			if !errors.Is(err, workflow.ErrCanceled) {
				return false, fmt.Errorf("want ErrCanceled: %w", err)
			}
			return errors.Is(err, workflow.ErrTerminated), nil
		})
		l.run(engine.Options{CacheSize: noCache}, wf, child)
		canceled, terminated := mustStart(l, wf, "c"), mustStart(l, wf, "t")
		if err := workflow.Get[string](l.eng, "c").Cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := workflow.Get[string](l.eng, "t").Terminate(t.Context(), "enough"); err != nil {
			t.Fatal(err)
		}
		if mustResult(l, canceled) || !mustResult(l, terminated) {
			t.Error("the parents do not see how their children ended")
		}
	})
}

// A child with an ID that is empty is refused, as any start is. Older versions took it for
// none, so code that says so has left its journal, until it leaves RunID out.
func TestChildWithoutItsRunID(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		child := workflow.Define("child", func(ctx workflow.Context, _ string) (string, error) {
			return "done", workflow.Sleep(ctx, time.Hour)
		})
		parent := func(opts ...workflow.StartOption) workflow.Definition {
			return workflow.Define("parent", func(ctx workflow.Context, _ string) (string, error) {
				out, err := child.Call(ctx, "", opts...)
				if errors.Is(err, workflow.ErrInvalidName) {
					return "refused", workflow.Sleep(ctx, time.Hour)
				}
				return out, err
			})
		}
		handle := workflow.Declare[string, string]("parent")
		l.run(engine.Options{CacheSize: noCache}, parent(), child)
		old := mustStart(l, handle, "")
		l.run(engine.Options{CacheSize: noCache}, parent(workflow.RunID("")), child)
		if got := mustResult(l, mustStart(l, handle, "")); got != "refused" {
			t.Errorf("result is %q", got)
		}
		l.advance(time.Hour)
		old = workflow.Get[string](l.eng, old.ID())
		wantStatus(l, old, workflow.StatusBlocked)
		l.run(engine.Options{CacheSize: noCache, Build: "mended"}, parent(), child)
		if got := mustResult(l, workflow.Get[string](l.eng, old.ID())); got != "done" {
			t.Errorf("result of the old one is %q", got)
		}
	})
}

// A child that has not ended when its parent does goes on.
func TestChildOutlivesParent(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		child := workflow.Define("child", func(ctx workflow.Context, _ string) (string, error) {
			return "done", workflow.Sleep(ctx, time.Hour)
		})
		wf := workflow.Define("parent", func(ctx workflow.Context, _ string) (string, error) {
			child.Go(ctx, "", workflow.RunID("child-1"))
			return "", nil
		})
		l.run(engine.Options{}, wf, child)
		mustResult(l, mustStart(l, wf, ""))
		if got := mustResult(l, workflow.Get[string](l.eng, "child-1")); got != "done" {
			t.Errorf("result is %q", got)
		}
	})
}

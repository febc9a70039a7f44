package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// A failed run goes on from its journal after the cause has been mended: what had
// succeeded is not executed again.
func TestRetryFailedRun(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		broken, charged := true, 0
		wf := workflow.Define("order", func(ctx workflow.Context, _ string) (string, error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token("order"))
			if err != nil {
				return "", err
			}
			if err := workflow.Do(ctx, "charge", func(context.Context) error { charged++; return nil }); err != nil {
				return "", err
			}
			if err := workflow.Do(ctx, "ship", func(context.Context) error {
				if broken {
					return errors.New("no carrier")
				}
				return nil
			}); err != nil {
				return "", err
			}
			return hook.Wait(ctx)
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		l.resume("order", "paid")
		wantContains(l, mustFail(l, r).Error(), "ship#1", "4 attempts", "no carrier")
		_, err := workflow.Resume(t.Context(), l.eng, "order", "")
		wantIs(l, err, workflow.ErrHookNotFound)
		broken = false
		if err := r.Retry(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := mustResult(l, r); got != "paid" || charged != 1 {
			t.Errorf("result is %q, charged %d times", got, charged)
		}
	})
}

// A run whose code has done something after the failure is not retried, or a
// compensated order would ship.
func TestRetryRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		compensate func(workflow.Context) error
		names      string
	}{
		"step": {func(ctx workflow.Context) error {
			return workflow.Do(ctx, "refund", func(context.Context) error { return nil })
		}, "refund#1"},
		"child": {func(ctx workflow.Context) error { _, err := define("child").Call(ctx, ""); return err }, "child#1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				wf := workflow.Define("order", func(ctx workflow.Context, _ string) (string, error) {
					err := workflow.Do(ctx, "ship", func(context.Context) error { return workflow.Fatal(errors.New("no carrier")) })
					return "", errors.Join(err, tt.compensate(ctx))
				})
				l.run(engine.Options{}, wf, define("child"))
				r := mustStart(l, wf, "")
				_ = mustFail(l, r)
				before := l.journal(r.ID())
				refused, ok := errors.AsType[*workflow.RetryRefusedError](r.Retry(t.Context()))
				if !ok || !strings.Contains(refused.Reason, tt.names) || !strings.Contains(refused.Reason, "ship#1") {
					t.Errorf("error is %v, want a *RetryRefusedError that names %s", refused, tt.names)
				}
				wantStatus(l, r, workflow.StatusFailed)
				if after := l.journal(r.ID()); len(after) != len(before) {
					t.Errorf("the journal has changed: %q", after)
				}
			})
		})
	}
}

// A token that another run has by now can't be reclaimed, and nothing changes.
func TestRetryConflict(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		broken := true
		wf := workflow.Define("order", func(ctx workflow.Context, _ string) (string, error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token("t"))
			if err != nil {
				return "", err
			}
			if err := workflow.Do(ctx, "ship", func(context.Context) error {
				if broken {
					return workflow.Fatal(errors.New("no carrier"))
				}
				return nil
			}); err != nil {
				return "", err
			}
			return hook.Wait(ctx)
		})
		l.run(engine.Options{}, wf, tokenWaiter)
		r := mustStart(l, wf, "")
		_ = mustFail(l, r)
		other := mustStart(l, tokenWaiter, "t")
		broken = false
		conflict, ok := errors.AsType[*workflow.HookConflictError](r.Retry(t.Context()))
		if !ok || conflict.Token != "t" || conflict.RunID != other.ID() {
			t.Errorf("error is %v, want a *HookConflictError of %s", conflict, other.ID())
		}
		wantStatus(l, r, workflow.StatusFailed)
		l.resume("t", "theirs")
		mustResult(l, other)
		if err := r.Retry(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.advance(time.Second)
		l.resume("t", "ours")
		if got := mustResult(l, r); got != "ours" {
			t.Errorf("result is %q", got)
		}
	})
}

// Workflow code that panicked or returned an error by mistake is retried with mended
// code.
func TestRetryMendedCode(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		broken, steps := true, 0
		wf := workflow.Define("buggy", func(ctx workflow.Context, _ string) (string, error) {
			if err := workflow.Do(ctx, "work", func(context.Context) error { steps++; return nil }); err != nil {
				return "", err
			}
			if broken {
				panic("a bug")
			}
			return "mended", workflow.Sleep(ctx, time.Hour)
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		_ = mustFail(l, r)
		broken = false
		if err := r.Retry(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := mustResult(l, r); got != "mended" || steps != 1 {
			t.Errorf("result is %q after %d steps", got, steps)
		}
	})
}

// changing is a workflow whose code differs from deploy to deploy.
func changing(second string, last ...string) *workflow.Workflow[string, string] {
	return workflow.Define("changing", func(ctx workflow.Context, _ string) (string, error) {
		for _, name := range append([]string{"first", second}, last...) {
			if err := workflow.Do(ctx, name, func(context.Context) error { return nil }); err != nil {
				return "", err
			}
		}
		hook, err := workflow.NewHook[string](ctx, workflow.Token("changing"))
		if err != nil {
			return "", err
		}
		return hook.Wait(ctx)
	})
}

// Code that asks for other things than the journal has blocks its run, says where,
// and does no harm; the right code goes on.
func TestDivergence(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		code *workflow.Workflow[string, string]
		says []string
	}{
		"another step": {changing("other"), []string{"after event 2 (step_completed first#1)", `the journal has "step second#1"`, `the code asked for "step other#1"`, "retrying_test.go:"}},
		"a step more":  {changing("second", "third"), []string{"after event 3", `the journal has "hook 1 token changing"`, `the code asked for "step third#1"`, "retrying_test.go:"}},
		"nothing more": {workflow.Define("changing", func(ctx workflow.Context, _ string) (string, error) {
			return "", workflow.Do(ctx, "first", func(context.Context) error { return nil })
		}), []string{"after event 2", `the journal has "step second#1"`, `the code asked for "return"`}},
		"an error": {workflow.Define("changing", func(ctx workflow.Context, _ string) (string, error) {
			if err := workflow.Do(ctx, "first", func(context.Context) error { return nil }); err != nil {
				return "", err
			}
			return "", errors.New("mine")
		}), []string{"after event 2", `the journal has "step second#1"`, "return the error: mine"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				right := changing("second")
				l.run(engine.Options{Build: "1"}, right)
				r := mustStart(l, right, "")
				before := l.journal(r.ID())
				l.run(engine.Options{Build: "2"}, tt.code)
				l.resume("changing", "kept")
				l.advance(time.Minute)
				r = workflow.Get[string](l.eng, r.ID())
				info := wantStatus(l, r, workflow.StatusBlocked)
				wantContains(l, info.Reason, tt.says...)
				wantContains(l, l.logs.String(), "run is blocked", r.ID())
				if after := l.journal(r.ID()); len(after) != len(before) {
					t.Errorf("the journal has changed from %q to %q", before, after)
				}
				// The same build leaves it alone, a retry has it try again.
				logged := l.logs.count("run is blocked")
				l.run(engine.Options{Build: "2"}, tt.code)
				l.advance(time.Hour)
				if n := l.logs.count("run is blocked"); n != logged {
					t.Errorf("blocked %d times more", n-logged)
				}
				r = workflow.Get[string](l.eng, r.ID())
				if err := r.Retry(t.Context()); err != nil {
					t.Fatal(err)
				}
				l.advance(time.Second)
				wantStatus(l, r, workflow.StatusBlocked)
				// Another build goes on with it by itself.
				l.run(engine.Options{Build: "3"}, right)
				if got := mustResult(l, workflow.Get[string](l.eng, r.ID())); got != "kept" {
					t.Errorf("result is %q", got)
				}
			})
		})
	}
}

// After a divergence Retry unblocks the run for the same build too.
func TestUnblock(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{Build: "1"}, changing("second"))
		r := mustStart(l, changing("second"), "")
		l.run(engine.Options{Build: "1"}, changing("other"))
		l.resume("changing", "kept")
		l.advance(time.Minute)
		wantStatus(l, workflow.Get[string](l.eng, r.ID()), workflow.StatusBlocked)
		l.run(engine.Options{Build: "1"}, changing("second"))
		r = workflow.Get[string](l.eng, r.ID())
		l.advance(time.Minute)
		wantStatus(l, r, workflow.StatusBlocked)
		if err := r.Retry(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := mustResult(l, r); got != "kept" {
			t.Errorf("result is %q", got)
		}
	})
}

// A blocked run goes on by itself with the right build also when nothing has come for
// it, and what it waits for was still to come when it was blocked.
func TestABlockedRunThatOnlySleepsGoesOnWithTheRightBuild(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		sleepy := func(steps ...string) *workflow.Workflow[string, string] {
			return workflow.Define("sleepy", func(ctx workflow.Context, _ string) (string, error) {
				for _, name := range steps {
					if err := workflow.Do(ctx, name, func(context.Context) error { return nil }); err != nil {
						return "", err
					}
				}
				return "awake", workflow.Sleep(ctx, time.Hour)
			})
		}
		l.run(engine.Options{Build: "1"}, sleepy())
		r := mustStart(l, sleepy(), "")
		l.run(engine.Options{Build: "2"}, sleepy("more"))
		l.advance(2 * time.Hour)
		wantStatus(l, workflow.Get[string](l.eng, r.ID()), workflow.StatusBlocked)
		l.run(engine.Options{Build: "1"}, sleepy())
		if got := mustResult(l, workflow.Get[string](l.eng, r.ID())); got != "awake" {
			t.Errorf("result is %q", got)
		}
	})
}

// A blocked run can be terminated, and takes payloads meanwhile.
func TestTerminateBlocked(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{Build: "1"}, changing("second"))
		r := mustStart(l, changing("second"), "")
		l.run(engine.Options{Build: "2"}, changing("other"))
		l.resume("changing", "kept")
		l.advance(time.Minute)
		r = workflow.Get[string](l.eng, r.ID())
		wantStatus(l, r, workflow.StatusBlocked)
		l.resume("changing", "another")
		if err := r.Terminate(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		wantIs(l, mustFail(l, r), workflow.ErrTerminated)
		unread, err := l.eng.Mailbox(t.Context(), r.ID())
		if err != nil || len(unread) != 2 {
			t.Errorf("unread %v, error %v; want both payloads", unread, err)
		}
	})
}

// Two retry a failed run at once. The one that comes second learns what has become of the run,
// and not that its look at it was too old.
func TestTwoRetry(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		broken := true
		wf := workflow.Define("order", func(ctx workflow.Context, _ string) (string, error) {
			if broken {
				return "", errors.New("broken")
			}
			return "mended", nil
		})
		p := newProbe(l.store)
		l.eng, l.stop = l.runOn(p, engine.Options{}, wf)
		r := mustStart(l, wf, "")
		_ = mustFail(l, r)
		broken = false
		second := p.hold("Retry", held{})
		done := make(chan error, 1)
		go func() { done <- r.Retry(t.Context()) }()
		<-second.reached
		if err := r.Retry(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := mustResult(l, r); got != "mended" {
			t.Errorf("result is %q", got)
		}
		close(second.goOn)
		refused, ok := errors.AsType[*workflow.RetryRefusedError](<-done)
		if !ok || !strings.Contains(refused.Reason, "it is completed") {
			t.Errorf("the second retry: %v", refused)
		}
	})
}

package engine_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// failNow stands for t.FailNow and the like.
func failNow() { runtime.Goexit() }

func explode() { panic("boom") }

// What author code may do to end in an unusual way, and what the error has to say.
func TestUnusualEnds(t *testing.T) {
	t.Parallel()
	inBranch := func(f func()) func(workflow.Context) error {
		return func(ctx workflow.Context) error {
			_, err := workflow.Go(ctx, func(workflow.Context) (int, error) { f(); return 0, nil }).Wait(ctx)
			return err
		}
	}
	inStep := func(f func()) func(workflow.Context) error {
		return func(ctx workflow.Context) error {
			return workflow.Do(ctx, "end", func(context.Context) error { f(); return nil }, workflow.MaxAttempts(2))
		}
	}
	for name, tt := range map[string]struct {
		body  func(workflow.Context) error
		value string
		stack string
	}{
		"panic in a workflow":  {func(workflow.Context) error { explode(); return nil }, "boom", "explode"},
		"panic in a branch":    {inBranch(explode), "boom", "explode"},
		"panic in a step":      {inStep(explode), "boom", "explode"},
		"Goexit in a workflow": {func(workflow.Context) error { failNow(); return nil }, "runtime.Goexit", "failNow"},
		"Goexit in a branch":   {inBranch(failNow), "runtime.Goexit", "failNow"},
		"Goexit in a step":     {inStep(failNow), "runtime.Goexit", "failNow"},
		"panic with an error":  {func(workflow.Context) error { panic(errors.New("boom")) }, "boom", "hazard_test.go"},
		"panic with nil":       {func(workflow.Context) error { panic(nil) }, "nil", "hazard_test.go"}, //nolint:govet // on purpose
		"panic in a deferred function": {func(workflow.Context) error {
			defer explode()
			return nil
		}, "boom", "explode"},
		"panic over a panic": {func(workflow.Context) error {
			defer explode()
			panic("first")
		}, "boom", "explode"},
		"panic after a wait": {func(ctx workflow.Context) error {
			if err := workflow.Sleep(ctx, time.Hour); err != nil {
				return err
			}
			explode()
			return nil
		}, "boom", "explode"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				ended := false
				wf := workflow.Define("end", func(ctx workflow.Context, _ string) (string, error) {
					defer func() { ended = true }()
					return "", tt.body(ctx)
				})
				bystander := workflow.Define("bystander", func(ctx workflow.Context, _ string) (string, error) {
					return "well", workflow.Sleep(ctx, 24*time.Hour)
				})
				l.run(engine.Options{}, wf, bystander)
				other := mustStart(l, bystander, "")
				r := mustStart(l, wf, "")
				err := mustFail(l, r)
				panicked, ok := errors.AsType[*workflow.PanicError](err)
				if !ok {
					t.Fatalf("error is %v, want a *PanicError in it", err)
				}
				wantContains(l, panicked.Value, tt.value)
				wantContains(l, panicked.Stack, tt.stack)
				if step, ok := errors.AsType[*workflow.StepError](err); strings.Contains(name, "step") != ok {
					t.Errorf("step error is %v", step)
				} else if ok && step.Attempts != 2 {
					t.Errorf("%d attempts, want 2", step.Attempts)
				}
				if !ended {
					t.Error("the workflow's deferred functions were not executed")
				}
				wantStatus(l, r, workflow.StatusFailed)
				if got := mustResult(l, other); got != "well" {
					t.Errorf("the run beside it came to %q", got)
				}
			})
		})
	}
}

// Author code that swallows whatever it can must not keep an evicted branch alive.
// It counts all goroutines, so no other test may run beside it.
func TestEvictionMeetsRecover(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("stubborn", func(ctx workflow.Context, _ string) (int, error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token("stubborn"))
			if err != nil {
				return 0, err
			}
			waits := 0
			for {
				got := func() (got string) {
					defer func() { _ = recover() }()
					waits++
					got, _ = hook.Wait(ctx)
					return got
				}()
				if got == "stop" {
					return waits, nil
				}
			}
		})
		l.run(engine.Options{CacheSize: noCache}, wf)
		r := mustStart(l, wf, "")
		before := runtime.NumGoroutine()
		for range 20 {
			l.resume("stubborn", "go on")
		}
		if after := runtime.NumGoroutine(); after > before+5 {
			t.Errorf("%d goroutines, %d before: evicted branches live on", after, before)
		}
		l.resume("stubborn", "stop")
		if got := mustResult(l, r); got != 21 {
			t.Errorf("the run waited %d times, want 21", got)
		}
	})
}

// At eviction deferred functions are executed, but what is durable in them does
// nothing; it comes when the run really gets there.
func TestEvictionMeetsDefers(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		var cleaned int
		wf := workflow.Define("deferring", func(ctx workflow.Context, _ string) (got string, err error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token("deferring"))
			if err != nil {
				return "", err
			}
			defer hook.Close()
			defer func() {
				workflow.Logger(ctx).Info("deferred")
				if err := workflow.Do(ctx, "clean up", func(context.Context) error { cleaned++; return nil }); err != nil {
					got += " step: " + err.Error()
				}
				if err := workflow.Sleep(ctx, time.Hour); err != nil {
					got += " sleep: " + err.Error()
				}
			}()
			inner, cancel := workflow.WithTimeout(ctx, 100*time.Hour)
			defer cancel()
			return hook.Wait(inner)
		})
		l.run(engine.Options{CacheSize: noCache}, wf)
		r := mustStart(l, wf, "")
		if _, err := l.eng.HookByToken(t.Context(), "deferring"); err != nil {
			t.Fatalf("the hook is closed by its run's eviction: %v", err)
		}
		if cleaned != 0 || l.logs.count("deferred") != 0 {
			t.Fatal("the deferred function did something durable at eviction")
		}
		l.resume("deferring", "paid")
		wantStatus(l, r, workflow.StatusWaiting) // evicted again, in the middle of the deferred function
		if _, err := l.eng.HookByToken(t.Context(), "deferring"); err != nil {
			t.Fatalf("the hook is closed by its run's eviction in a deferred function: %v", err)
		}
		if got := mustResult(l, r); got != "paid" {
			t.Errorf("result is %q, want paid", got)
		}
		if cleaned != 1 || l.logs.count("deferred") != 1 {
			t.Errorf("cleaned up %d times, logged %d times; want once", cleaned, l.logs.count("deferred"))
		}
		_, err := l.eng.HookByToken(t.Context(), "deferring")
		wantIs(l, err, workflow.ErrHookNotFound)
	})
}

// A deferred function that panics at eviction, maybe because a durable call in it
// did nothing, must not take the process along.
func TestEvictionMeetsPanics(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		panics := 0
		wf := workflow.Define("fragile", func(ctx workflow.Context, _ string) (got string, err error) {
			returned := false
			defer func() {
				if !returned {
					panics++
					panic("the function did not return")
				}
			}()
			_, _ = workflow.Go(ctx, func(ctx workflow.Context) (int, error) {
				defer func() { panics++; panic("nor did the branch") }()
				return 0, workflow.Sleep(ctx, time.Hour)
			}), workflow.Sleep(ctx, time.Minute)
			returned = true
			return "fine", nil
		})
		l.run(engine.Options{CacheSize: noCache}, wf)
		r := mustStart(l, wf, "")
		got := mustResult(l, r)
		synctest.Wait()
		if got != "fine" || panics == 0 {
			t.Errorf("result is %q after %d panics at eviction", got, panics)
		}
	})
}

// When the workflow returns, the branches that have not are given up.
func TestBranchesLeftBehind(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		unwound := 0
		wf := workflow.Define("leaving", func(ctx workflow.Context, _ string) (string, error) {
			for range 3 {
				workflow.Go(ctx, func(ctx workflow.Context) (int, error) {
					defer func() { unwound++ }()
					return 0, workflow.Sleep(ctx, time.Hour)
				})
			}
			return "gone", workflow.Sleep(ctx, time.Minute)
		})
		l.run(engine.Options{}, wf)
		if got := mustResult(l, mustStart(l, wf, "")); got != "gone" {
			t.Errorf("result is %q", got)
		}
		synctest.Wait()
		if unwound != 3 {
			t.Errorf("%d branches unwound, want 3", unwound)
		}
	})
}

// The watchdog names the place where workflow code blocks on something that is not
// durable. Other runs go on, and it can be terminated.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		plain := make(chan int)
		wf := workflow.Define("stuck", func(ctx workflow.Context, _ string) (int, error) {
			return workflow.Go(ctx, func(workflow.Context) (int, error) { return waitForEver(plain), nil }).Wait(ctx)
		})
		healthy := workflow.Define("healthy", func(ctx workflow.Context, _ string) (string, error) {
			return "well", workflow.Sleep(ctx, time.Hour)
		})
		l.run(engine.Options{StuckAfter: 3 * time.Second, DrainTimeout: time.Second}, wf, healthy)
		starting := make(chan error, 1)
		go func() {
			_, err := wf.Start(t.Context(), l.eng, "", workflow.RunID("stuck-1"))
			starting <- err
		}()
		l.advance(2 * time.Second)
		if log := l.logs.String(); strings.Contains(log, "blocks") {
			t.Errorf("told too early:\n%s", log)
		}
		l.advance(5 * time.Second)
		wantContains(l, l.logs.String(), "blocks outside durable calls", "run=stuck-1", "waitForEver", "hazard_test.go")
		l.advance(time.Hour)
		if n := l.logs.count("blocks outside durable calls"); n != 1 {
			t.Errorf("told %d times, want once", n)
		}
		if got := mustResult(l, mustStart(l, healthy, "")); got != "well" {
			t.Errorf("the run beside it came to %q", got)
		}
		close(plain)
		if err := <-starting; err != nil {
			t.Errorf("start: %v", err)
		}
		if got := mustResult(l, workflow.Get[int](l.eng, "stuck-1")); got != 0 {
			t.Errorf("result is %d", got)
		}
	})
}

func waitForEver(c chan int) int { return <-c }

// A run whose code hangs can be terminated; when it comes back it changes nothing.
func TestTerminateStuck(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		plain := make(chan int)
		wf := workflow.Define("stuck", func(ctx workflow.Context, _ string) (int, error) {
			if err := workflow.Sleep(ctx, time.Minute); err != nil {
				return 0, err
			}
			return waitForEver(plain), nil
		})
		l.run(engine.Options{DrainTimeout: time.Second}, wf)
		r := mustStart(l, wf, "")
		l.advance(2 * time.Minute)
		if err := r.Terminate(t.Context(), "it hangs"); err != nil {
			t.Fatal(err)
		}
		err := mustFail(l, r)
		wantIs(l, err, workflow.ErrTerminated)
		wantIs(l, err, workflow.ErrCanceled)
		wantContains(l, err.Error(), "it hangs")
		close(plain)
		l.advance(time.Minute)
		wantStatus(l, r, workflow.StatusCanceled)
	})
}

// Code that hangs does not keep the process from ending.
func TestShutdownWhileStuck(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		plain := make(chan int)
		first := true
		wf := workflow.Define("stuck", func(ctx workflow.Context, _ string) (int, error) {
			if err := workflow.Sleep(ctx, time.Minute); err != nil {
				return 0, err
			}
			if first {
				first = false
				return waitForEver(plain), nil
			}
			return 7, nil
		})
		l.run(engine.Options{DrainTimeout: 5 * time.Second}, wf)
		r := mustStart(l, wf, "")
		l.advance(2 * time.Minute)
		began := time.Now()
		if err := l.stop(); err == nil {
			t.Error("stopped without a word about what did not end")
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
		l.stop = func() error { return nil }
		l.run(engine.Options{}, wf)
		if got := mustResult(l, workflow.Get[int](l.eng, r.ID())); got != 7 {
			t.Errorf("result is %d, want 7", got)
		}
		close(plain)
	})
}

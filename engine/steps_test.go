package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// attemptTimes executes a step that fails n times, and returns when its attempts
// began, from the first one on, and the workflow's error.
func attemptTimes(t *testing.T, n int, err error, opts ...workflow.StepOption) (times []time.Duration, failure error) {
	t.Helper()
	inLab(t, func(_ *testing.T, l *lab) {
		var first time.Time
		wf := workflow.Define("failing", func(ctx workflow.Context, _ string) (int, error) {
			return workflow.Step(ctx, "fail", func(context.Context) (int, error) {
				if first.IsZero() {
					first = time.Now()
				}
				times = append(times, time.Since(first))
				if len(times) > n {
					return len(times), nil
				}
				return 0, err
			}, opts...)
		})
		l.run(engine.Options{CacheSize: noCache}, wf)
		_, failure = resultSoon(l, mustStart(l, wf, ""))
	})
	return times, failure
}

// about checks that the attempts began when they should have, give or take a fifth
// for each wait.
func about(t *testing.T, times []time.Duration, waits ...time.Duration) {
	t.Helper()
	if len(times) != len(waits)+1 {
		t.Fatalf("%d attempts, want %d: %v", len(times), len(waits)+1, times)
	}
	for i, want := range waits {
		got := times[i+1] - times[i]
		if got < want*8/10 || got > want*12/10+time.Millisecond {
			t.Errorf("wait %d is %v, want %v give or take a fifth", i+1, got, want)
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	const s = time.Second
	errFlaky := errors.New("flaky")
	for name, tt := range map[string]struct {
		failures int
		err      error
		opts     []workflow.StepOption
		waits    []time.Duration
		fails    bool
	}{
		"default":            {100, errFlaky, nil, []time.Duration{s, 2 * s, 4 * s}, true},
		"success at last":    {3, errFlaky, nil, []time.Duration{s, 2 * s, 4 * s}, false},
		"up to a minute":     {9, errFlaky, []workflow.StepOption{workflow.MaxAttempts(0)}, []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 60 * s, 60 * s, 60 * s}, false},
		"Backoff":            {3, errFlaky, []workflow.StepOption{workflow.Backoff(time.Minute, 3*time.Minute)}, []time.Duration{60 * s, 120 * s, 180 * s}, false},
		"most below first":   {2, errFlaky, []workflow.StepOption{workflow.Backoff(time.Minute, time.Second)}, []time.Duration{60 * s, 60 * s}, false},
		"no backoff":         {3, errFlaky, []workflow.StepOption{workflow.Backoff(0, 0)}, []time.Duration{0, 0, 0}, false},
		"MaxAttempts(1)":     {100, errFlaky, []workflow.StepOption{workflow.MaxAttempts(1)}, nil, true},
		"Fatal":              {100, workflow.Fatal(errFlaky), nil, nil, true},
		"a wrapped Fatal":    {100, fmt.Errorf("wrapped: %w", workflow.Fatal(errFlaky)), nil, nil, true},
		"RetryAfter":         {2, workflow.RetryAfter(errFlaky, time.Hour), nil, []time.Duration{3600 * s, 3600 * s}, false},
		"RetryAfter, capped": {100, workflow.RetryAfter(errFlaky, time.Hour), []workflow.StepOption{workflow.MaxAttempts(2)}, []time.Duration{3600 * s}, true},
		"RetryAfter at once": {2, workflow.RetryAfter(errFlaky, 0), nil, []time.Duration{0, 0}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			times, err := attemptTimes(t, tt.failures, tt.err, tt.opts...)
			about(t, times, tt.waits...)
			failed, ok := errors.AsType[*workflow.StepError](err)
			if ok != tt.fails || ok && (failed.Attempts != len(times) || failed.Step != "fail#1") {
				t.Errorf("error is %v, want a *StepError of fail#1: %v", err, tt.fails)
			}
		})
	}
	if workflow.Fatal(nil) != nil || workflow.RetryAfter(nil, time.Second) != nil {
		t.Error("Fatal or RetryAfter make an error of nil")
	}
}

// A retry is as durable as all else: it comes when it is due, after a restart too, and
// attempts made before count.
func TestRetryAfterRestart(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		var times []time.Time
		wf := workflow.Define("failing", func(ctx workflow.Context, _ string) (int, error) {
			return workflow.Step(ctx, "fail", func(ctx context.Context) (int, error) {
				times = append(times, time.Now())
				if n := workflow.InfoOf(ctx).Attempt; n < 3 {
					return 0, errors.New("not yet")
				}
				return workflow.InfoOf(ctx).Attempt, nil
			}, workflow.Backoff(time.Hour, time.Hour))
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		wantStatus(l, r, workflow.StatusWaiting) // a retry holds no worker
		for range 4 {
			l.advance(20 * time.Minute)
			l.run(engine.Options{}, wf)
		}
		if got := mustResult(l, workflow.Get[int](l.eng, r.ID())); got != 3 || len(times) != 3 {
			t.Errorf("attempt %d succeeded after %d", got, len(times))
		}
	})
}

// A step that failed cleanly after a crash is known to have failed: canceled while it
// waits for its retry, it is not said to have an unknown outcome.
func TestAFailureAfterACrashIsNoUnknownOutcome(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		dying := true
		wf := workflow.Define("failing", func(ctx workflow.Context, _ string) (string, error) {
			return "", workflow.Do(ctx, "fail", func(ctx context.Context) error {
				if dying {
					<-ctx.Done()
				}
				return errors.New("no")
			}, workflow.Backoff(time.Hour, time.Hour))
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		l.kill()
		dying = false
		l.run(engine.Options{}, wf)
		r = workflow.Get[string](l.eng, r.ID())
		l.advance(time.Minute)
		wantStatus(l, r, workflow.StatusWaiting) // for the retry
		if err := r.Cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := mustFail(l, r); errors.Is(err, workflow.ErrOutcomeUnknown) {
			t.Errorf("error is %v", err)
		}
	})
}

// Timeout bounds an attempt, and the next one has all the time again.
func TestStepTimeout(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		var took []time.Duration
		wf := workflow.Define("slow", func(ctx workflow.Context, _ string) (string, error) {
			return "", workflow.Do(ctx, "slow", func(ctx context.Context) error {
				began := time.Now()
				<-ctx.Done()
				took = append(took, time.Since(began))
				return ctx.Err()
			}, workflow.Timeout(7*time.Second), workflow.MaxAttempts(2))
		})
		l.run(engine.Options{}, wf)
		err := mustFail(l, mustStart(l, wf, ""))
		wantIs(l, err, context.DeadlineExceeded)
		if len(took) != 2 || took[0] != 7*time.Second || took[1] != 7*time.Second {
			t.Errorf("attempts took %v, want 7 s each", took)
		}
	})
}

// Steps of several branches are executed at the same time, at most MaxSteps of them.
func TestMaxSteps(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("wide", func(ctx workflow.Context, _ string) (int, error) {
			minute := func(ctx workflow.Context) (int, error) {
				return workflow.Step(ctx, "minute", func(ctx context.Context) (int, error) {
					select {
					case <-time.After(time.Minute):
						return 1, nil
					case <-ctx.Done():
						return 0, ctx.Err()
					}
				})
			}
			done, err := workflow.All(ctx, minute, minute, minute, minute, minute, minute)
			return len(done), err
		})
		l.run(engine.Options{MaxSteps: 2}, wf)
		began := time.Now()
		if got := mustResult(l, mustStart(l, wf, "")); got != 6 {
			t.Errorf("result is %d", got)
		}
		if took := time.Since(began).Round(time.Second); took != 3*time.Minute {
			t.Errorf("six steps of a minute took %v, want 3 m with two at a time", took)
		}
	})
}

// The same name is another step each time, and IDs are what other systems can rely on.
func TestStepIDs(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		seen := map[string]int{}
		wf := workflow.Define("ids", func(ctx workflow.Context, _ string) (string, error) {
			for range 3 {
				if err := workflow.Do(ctx, "charge", func(ctx context.Context) error {
					id := workflow.InfoOf(ctx).StepID
					if seen[id]++; seen[id] == 1 {
						return errors.New("again")
					}
					return nil
				}); err != nil {
					return "", err
				}
			}
			return "", nil
		})
		l.run(engine.Options{CacheSize: noCache}, wf)
		mustResult(l, mustStart(l, wf, "", workflow.RunID("r")))
		if len(seen) != 3 || seen["r/charge#1"] != 2 || seen["r/charge#2"] != 2 || seen["r/charge#3"] != 2 {
			t.Errorf("attempts by step ID: %v", seen)
		}
	})
}

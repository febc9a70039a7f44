package engine_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

const (
	longest  = time.Duration(math.MaxInt64)
	shortest = time.Duration(math.MinInt64)
)

var (
	lastTime = time.Unix(math.MaxInt64, 999_999_999)
	year9999 = time.Date(9999, 12, 30, 23, 59, 59, 999_999_000, time.UTC)
)

// A wait before a retry that is too long to be told is long, and no hot loop.
func TestTheLongestWaitsBeforeARetry(t *testing.T) {
	t.Parallel()
	errFlaky := errors.New("flaky")
	for name, tt := range map[string]struct {
		err  error
		opts []workflow.StepOption
	}{
		"Backoff":                 {errFlaky, []workflow.StepOption{workflow.Backoff(longest, longest)}},
		"a Backoff that doubles":  {errFlaky, []workflow.StepOption{workflow.Backoff(longest/2+1, longest), workflow.MaxAttempts(0)}},
		"Backoff without a bound": {errFlaky, []workflow.StepOption{workflow.Backoff(longest-1, 0)}},
		"RetryAfter":              {workflow.RetryAfter(errFlaky, longest), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				attempts := 0
				wf := workflow.Define("failing", func(ctx workflow.Context, _ string) (int, error) {
					return 0, workflow.Do(ctx, "fail", func(context.Context) error {
						attempts++
						return tt.err
					}, tt.opts...)
				})
				l.run(engine.Options{CacheSize: noCache}, wf)
				r := mustStart(l, wf, "")
				l.advance(100 * 365 * 24 * time.Hour)
				info := wantStatus(l, r, workflow.StatusWaiting)
				if attempts != 1 || info.WakeAt.Before(time.Now()) {
					t.Errorf("%d attempts in a hundred years, the next at %v", attempts, info.WakeAt)
				}
			})
		})
	}
	for name, opts := range map[string][]workflow.StepOption{
		"negative Backoff": {workflow.Backoff(shortest, shortest)},
		"the shortest":     {workflow.Backoff(-1, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			times, _ := attemptTimes(t, 3, errFlaky, opts...)
			about(t, times, 0, 0, 0)
		})
	}
}

// However many attempts a step has made, its backoff is between nothing and the most.
func TestBackoffStaysInBounds(t *testing.T) {
	t.Parallel()
	for _, initial := range []time.Duration{shortest, -1, 0, 1, time.Second, longest / 2, longest} {
		for _, most := range []time.Duration{shortest, 0, time.Minute, longest} {
			for _, n := range []int{1, 2, 40, 63, 64, 65, 1 << 20} {
				d := engine.Backoff(initial, most, n)
				if d < 0 || most < longest && d > max(most, 0)*6/5 || initial > 0 && most == longest && n > 1 && d < initial/2 {
					t.Errorf("after %d failures: %v, with a backoff from %v to %v", n, d, initial, most)
				}
			}
		}
	}
}

// A time or duration at the end of its range is as far away as can be told.
func TestTheLongestWaits(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]func(ctx workflow.Context) error{
		"Sleep": func(ctx workflow.Context) error { return workflow.Sleep(ctx, longest) },
		"SleepUntil": func(ctx workflow.Context) error {
			return workflow.SleepUntil(ctx, lastTime)
		},
		"SleepUntil a year of five digits": func(ctx workflow.Context) error {
			return workflow.SleepUntil(ctx, time.Date(20_000, 1, 1, 0, 0, 0, 0, time.UTC))
		},
		"OnTimer": func(ctx workflow.Context) error {
			return workflow.Select(ctx, workflow.OnTimer(longest, func() error { return nil }))
		},
		"WithTimeout": func(ctx workflow.Context) error {
			ctx, cancel := workflow.WithTimeout(ctx, longest)
			defer cancel()
			return workflow.Sleep(ctx, longest)
		},
		"WithDeadline": func(ctx workflow.Context) error {
			ctx, cancel := workflow.WithDeadline(ctx, lastTime)
			defer cancel()
			if at, ok := ctx.Deadline(); !ok || !at.Equal(year9999) {
				return errors.New("deadline is " + at.String())
			}
			hook, err := workflow.NewHook[string](ctx)
			if err != nil {
				return err
			}
			_, err = hook.Wait(ctx)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				wf := workflow.Define("waiting", func(ctx workflow.Context, _ string) (int, error) { return 0, wait(ctx) })
				l.run(engine.Options{CacheSize: noCache}, wf)
				r := mustStart(l, wf, "")
				l.advance(time.Hour)
				l.run(engine.Options{}, wf) // it is replayed
				l.advance(100 * 365 * 24 * time.Hour)
				r = workflow.Get[int](l.eng, r.ID())
				info := wantStatus(l, r, workflow.StatusWaiting)
				if info.WakeAt.Before(time.Now()) || info.WakeAt.After(year9999) {
					t.Errorf("it wakes at %v", info.WakeAt)
				}
				if got := len(l.journal(r.ID())); got > 2 {
					t.Errorf("%d events: %v", got, l.journal(r.ID()))
				}
			})
		})
	}
}

// A time or duration at the other end has passed.
func TestTheShortestWaits(t *testing.T) {
	t.Parallel()
	inLab(t, func(_ *testing.T, l *lab) {
		wf := workflow.Define("waiting", func(ctx workflow.Context, _ string) (int, error) {
			for _, at := range []time.Time{{}, time.Unix(math.MinInt64/2, 0), time.Date(-4714, 1, 1, 0, 0, 0, 0, time.UTC)} {
				if err := workflow.SleepUntil(ctx, at); err != nil {
					return 0, err
				}
				ended, cancel := workflow.WithDeadline(ctx, at)
				if !errors.Is(ended.Err(), context.DeadlineExceeded) {
					return 0, errors.New("a deadline of long ago has not passed")
				}
				cancel()
			}
			ended, cancel := workflow.WithTimeout(ctx, shortest)
			defer cancel()
			if !errors.Is(ended.Err(), context.DeadlineExceeded) {
				return 0, errors.New("a negative timeout has not passed")
			}
			_, err := workflow.Step(ctx, "negative timeout", func(ctx context.Context) (int, error) { return 0, ctx.Err() }, workflow.Timeout(shortest))
			return 7, errors.Join(err, workflow.Sleep(ctx, shortest), workflow.Select(ctx, workflow.OnTimer(shortest, func() error { return nil })))
		})
		l.run(engine.Options{CacheSize: noCache}, wf)
		if got := mustResult(l, mustStart(l, wf, "")); got != 7 {
			l.Errorf("result is %d", got)
		}
	})
}

// The longest durations are options like others, and do not turn into negative ones.
func TestTheLongestOptions(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("flow", func(ctx workflow.Context, _ string) (string, error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token("tok"))
			if err != nil {
				return "", err
			}
			return hook.Wait(ctx)
		})
		l.run(engine.Options{
			RespondWithin: longest, DedupeFor: longest, KeepEnded: longest, Lease: longest, StepGrace: longest, DrainTimeout: longest, StuckAfter: longest,
		}, wf)
		r := mustStart(l, wf, "")
		l.resume("tok", "x", workflow.IdempotencyKey("once"))
		if got := mustResult(l, r); got != "x" {
			t.Errorf("result is %q", got)
		}
		l.advance(30 * 24 * time.Hour)
		if info := l.resume("tok", "x", workflow.IdempotencyKey("once")); !info.Duplicate {
			t.Error("the key is forgotten")
		}
		wantStatus(l, r, workflow.StatusCompleted)
	})
}

func TestNegativeOptions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, opts := range map[string]engine.Options{
			"RespondWithin": {RespondWithin: -1}, "DedupeFor": {DedupeFor: -time.Hour}, "KeepEnded": {KeepEnded: shortest}, "Lease": {Lease: -time.Second},
			"StepGrace": {StepGrace: -1}, "DrainTimeout": {DrainTimeout: shortest}, "StuckAfter": {StuckAfter: -1},
		} {
			if _, err := engine.New(&gate{}, opts); err == nil || !strings.Contains(err.Error(), "negative Options."+name) {
				t.Errorf("%s: error is %v", name, err)
			}
		}
	})
}

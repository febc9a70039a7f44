package engine_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// A year passes in a moment, for many runs, with restarts in between.
func TestYearOfSleep(t *testing.T) {
	t.Parallel()
	began := time.Now()
	inLab(t, func(t *testing.T, l *lab) {
		const day = 24 * time.Hour
		wf := workflow.Define("year", func(ctx workflow.Context, _ string) (time.Duration, error) {
			began := workflow.Now(ctx)
			for range 12 {
				if err := workflow.Sleep(ctx, 365*day/12); err != nil {
					return 0, err
				}
			}
			return workflow.Now(ctx).Sub(began), nil
		})
		l.run(engine.Options{}, wf)
		var runs []*workflow.Run[time.Duration]
		for range 20 {
			runs = append(runs, mustStart(l, wf, ""))
		}
		for range 3 {
			l.advance(100 * day)
			l.run(engine.Options{}, wf)
		}
		for _, r := range runs {
			got := mustResult(l, workflow.Get[time.Duration](l.eng, r.ID()))
			if d := got - 365*day; d < -time.Second || d > time.Second {
				t.Errorf("a year took %v", got)
			}
		}
	})
	t.Logf("a year of 20 runs took %v", time.Since(began).Round(time.Millisecond))
}

// 10,000 branches of one run, each with its own timer, live and replayed.
func TestManyBranches(t *testing.T) {
	t.Parallel()
	began := time.Now()
	inLab(t, func(t *testing.T, l *lab) {
		n := fewer(10_000)
		wf := workflow.Define("wide", func(ctx workflow.Context, _ string) (int, error) {
			fns := make([]func(workflow.Context) (int, error), n)
			for i := range fns {
				fns[i] = func(ctx workflow.Context) (int, error) {
					return i, workflow.Sleep(ctx, time.Hour+time.Duration((n-i)%20)*time.Minute)
				}
			}
			values, err := workflow.All(ctx, fns...)
			sum := 0
			for i, v := range values {
				if i != v {
					return 0, fmt.Errorf("value %d is %d", i, v)
				}
				sum += v
			}
			return sum, err
		})
		l.run(engine.Options{CacheSize: noCache}, wf)
		r := mustStart(l, wf, "")
		wantStatus(l, r, workflow.StatusWaiting)
		l.advance(time.Hour - time.Minute)
		l.kill()
		l.run(engine.Options{}, wf)
		if got := mustResult(l, workflow.Get[int](l.eng, r.ID())); got != n*(n-1)/2 {
			t.Errorf("result is %d", got)
		}
	})
	t.Logf("%d branches took %v", fewer(10_000), time.Since(began).Round(time.Millisecond))
}

// A long journal costs each step no more than a short one, and is replayed.
func TestLongJournal(t *testing.T) {
	t.Parallel()
	began := time.Now()
	inLab(t, func(t *testing.T, l *lab) {
		const n = 500
		executed := 0
		wf := workflow.Define("long", func(ctx workflow.Context, _ string) (int, error) {
			hook, err := workflow.NewHook[int](ctx, workflow.Token("long"))
			if err != nil {
				return 0, err
			}
			sum := 0
			for i := range n {
				v, err := workflow.Step(ctx, "add", func(context.Context) (int, error) { executed++; return i, nil })
				if err != nil {
					return 0, err
				}
				sum += v
			}
			for range 100 {
				v, err := hook.Wait(ctx)
				if err != nil {
					return 0, err
				}
				sum += v
			}
			return sum, nil
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		for i := range 100 {
			if i%20 == 19 {
				l.run(engine.Options{}, wf)
			}
			l.resume("long", 1)
		}
		if got := mustResult(l, workflow.Get[int](l.eng, r.ID())); got != n*(n-1)/2+100 || executed != n {
			t.Errorf("result is %d after %d steps", got, executed)
		}
	})
	t.Logf("500 steps took %v", time.Since(began).Round(time.Millisecond))
}

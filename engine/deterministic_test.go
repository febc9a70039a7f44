package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// drawn is what a run has drawn, in each time that its code was executed.
type drawn struct {
	Now  []time.Time
	IDs  []string
	Rand []uint64
}

// draws remembers what runs have drawn.
type draws struct {
	mu      sync.Mutex
	byRun   map[string]drawn
	replays int
}

// same checks that a run draws what it drew before.
func (ds *draws) same(runID string, d drawn) error {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	before := ds.byRun[runID]
	n := min(len(before.Now), len(d.Now))
	if !slices.Equal(before.Now[:n], d.Now[:n]) || !slices.Equal(before.IDs[:2*n], d.IDs[:2*n]) || !slices.Equal(before.Rand[:3*n], d.Rand[:3*n]) {
		return fmt.Errorf("drawn first: %v, then: %v", before, d)
	}
	if len(d.Now) == 1 && n == 1 {
		ds.replays++
	}
	if len(d.Now) > n {
		ds.byRun[runID] = d
	}
	return nil
}

// Now, NewID and Rand are the same in each replay, and other ones in each run.
func TestDrawsAreStable(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		seen := draws{byRun: map[string]drawn{}}
		wf := workflow.Define("draw", func(ctx workflow.Context, _ string) (string, error) {
			var d drawn
			for range 5 {
				random := workflow.Rand(ctx)
				d.Now = append(d.Now, workflow.Now(ctx))
				d.IDs = append(d.IDs, workflow.NewID(ctx), workflow.NewID(ctx))
				d.Rand = append(d.Rand, random.Uint64(), random.Uint64(), workflow.Rand(ctx).Uint64())
				if err := seen.same(workflow.InfoOf(ctx).RunID, d); err != nil {
					return "", err
				}
				if err := workflow.Do(ctx, "work", func(context.Context) error { return nil }); err != nil {
					return "", err
				}
				if err := workflow.Sleep(ctx, time.Hour); err != nil {
					return "", err
				}
			}
			return "", nil
		})
		l.run(engine.Options{CacheSize: noCache}, wf)
		first, second := mustStart(l, wf, ""), mustStart(l, wf, "")
		l.advance(90 * time.Minute)
		l.kill()
		l.run(engine.Options{CacheSize: noCache}, wf)
		mustResult(l, workflow.Get[string](l.eng, first.ID()))
		mustResult(l, workflow.Get[string](l.eng, second.ID()))
		if seen.replays < 10 {
			t.Fatalf("%d replays: too few to tell", seen.replays)
		}
		ids, numbers := map[string]bool{}, map[uint64]bool{}
		for _, d := range seen.byRun {
			for i, now := range d.Now {
				if i > 0 && now.Before(d.Now[i-1].Add(time.Hour)) {
					t.Errorf("time goes from %v to %v over a sleep of an hour", d.Now[i-1], now)
				}
			}
			for _, id := range d.IDs {
				ids[id] = true
				if len(id) != 36 || id[14] != '8' {
					t.Errorf("ID %q is not a UUID of version 8", id)
				}
			}
			for _, n := range d.Rand {
				numbers[n] = true
			}
		}
		if len(ids) != 20 || len(numbers) != 30 {
			t.Errorf("%d IDs and %d random numbers, want 20 and 30 different ones", len(ids), len(numbers))
		}
	})
}

// Now does not go back, whatever the clocks of the machines do.
func TestNowNeverGoesBack(t *testing.T) {
	t.Parallel()
	got, err := inWorkflow(t, func(ctx workflow.Context) (string, error) {
		last := workflow.Now(ctx)
		for i := range 50 {
			var err error
			switch i % 3 {
			case 0:
				err = workflow.Sleep(ctx, time.Duration(i)*time.Millisecond)
			case 1:
				err = workflow.Do(ctx, "work", func(context.Context) error { return nil })
			case 2:
				err = workflow.SleepUntil(ctx, last.Add(-time.Hour)) // returns at once
			}
			if err != nil {
				return "", err
			}
			now := workflow.Now(ctx)
			if now.Before(last) {
				return fmt.Sprintf("from %v to %v", last, now), nil
			}
			last = now
		}
		return "fine", nil
	})
	if got != "fine" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

// Now is as precise on the live path as the journal keeps it, for all kinds of events.
func TestNowIsTheSameLiveAndReplayed(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("stamped", func(ctx workflow.Context, _ string) (string, error) {
			if _, err := workflow.NewHook[string](ctx, workflow.Token("t")); err != nil {
				return "", err
			}
			stamp := workflow.Now(ctx).Format(time.RFC3339Nano) // when the worker learned that it has the token
			if err := workflow.Do(ctx, stamp, func(context.Context) error { return nil }); err != nil {
				return "", err
			}
			return "", workflow.Sleep(ctx, time.Hour)
		})
		l.run(engine.Options{CacheSize: noCache}, wf)
		l.advance(1500 * time.Nanosecond)
		mustResult(l, mustStart(l, wf, ""))
	})
}

// A line that workflow code logs appears once, over evictions and a crash.
func TestLoggerOnce(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("log", func(ctx workflow.Context, _ string) (string, error) {
			log := workflow.Logger(ctx).With("order", 42).WithGroup("g")
			for i := range 4 {
				log.Info("from the workflow", "text", fmt.Sprintf("line %d", i))
				if err := workflow.Sleep(ctx, time.Hour); err != nil {
					return "", err
				}
				if err := workflow.Do(ctx, "work", func(context.Context) error {
					log.Info("from a step", "text", fmt.Sprintf("step %d", i))
					return nil
				}); err != nil {
					return "", err
				}
			}
			return "", nil
		})
		l.run(engine.Options{CacheSize: noCache}, wf)
		r := mustStart(l, wf, "")
		l.advance(90 * time.Minute)
		l.kill()
		l.run(engine.Options{CacheSize: noCache}, wf)
		mustResult(l, workflow.Get[string](l.eng, r.ID()))
		for i := range 4 {
			if n := l.logs.count(fmt.Sprintf("line %d", i)); n != 1 {
				t.Errorf("line %d appears %d times", i, n)
			}
			if n := l.logs.count(fmt.Sprintf("step %d", i)); n != 1 {
				t.Errorf("a step's line %d appears %d times", i, n)
			}
		}
		wantContains(l, l.logs.String(), "run="+r.ID(), "workflow=log", "order=42", `g.text="line 0"`)
	})
}

// Levels are the engine's logger's.
func TestLoggerLevel(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("log", func(ctx workflow.Context, _ string) (bool, error) {
			log := workflow.Logger(ctx)
			log.Info("too quiet")
			log.Warn("loud")
			return log.Enabled(ctx, slog.LevelInfo), nil
		})
		logger := slog.New(slog.NewTextHandler(l.logs, &slog.HandlerOptions{Level: slog.LevelWarn}))
		l.run(engine.Options{Logger: logger}, wf)
		if mustResult(l, mustStart(l, wf, "")) || l.logs.count("too quiet") != 0 || l.logs.count("loud") != 1 {
			t.Errorf("the level does not hold:\n%s", l.logs)
		}
	})
}

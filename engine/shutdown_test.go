package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// stepper is a run whose step takes a time and counts who has executed it.
type stepper struct {
	began, ended, canceled atomic.Int32
	takes                  time.Duration
}

func (s *stepper) workflow() *workflow.Workflow[string, string] {
	return workflow.Define("stepper", func(ctx workflow.Context, _ string) (string, error) {
		got, err := workflow.Step(ctx, "work", func(ctx context.Context) (string, error) {
			s.began.Add(1)
			select {
			case <-time.After(s.takes):
				s.ended.Add(1)
				return "done", nil
			case <-ctx.Done():
				s.canceled.Add(1)
				return "", ctx.Err()
			}
		})
		if err != nil {
			return "", err
		}
		return got, workflow.Sleep(ctx, time.Hour)
	})
}

// When Run's context ends, steps being executed finish; then the runs are handed over.
func TestDrain(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		s := &stepper{takes: 20 * time.Second}
		wf := s.workflow()
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		l.advance(5 * time.Second)
		began := time.Now()
		if err := l.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if took := time.Since(began).Round(time.Second); took != 15*time.Second {
			t.Errorf("draining took %v, want what the step still took", took)
		}
		if s.ended.Load() != 1 {
			t.Error("the step did not finish")
		}
		l.run(engine.Options{}, wf)
		began = time.Now()
		if got := mustResult(l, workflow.Get[string](l.eng, r.ID())); got != "done" || s.began.Load() != 1 {
			t.Errorf("result is %q after %d attempts", got, s.began.Load())
		}
		if took := time.Since(began); took > time.Hour {
			t.Errorf("took %v more", took)
		}
	})
}

// What decides to begin a step while the worker drains leaves it to the next one, at
// once: a clean shutdown lets no lease lapse.
func TestDrainHandsOver(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("chain", func(ctx workflow.Context, _ string) (int, error) {
			for range 10 {
				if err := workflow.Do(ctx, "link", func(context.Context) error { sleepFor(2 * time.Second); return nil }); err != nil {
					return 0, err
				}
			}
			return 10, nil
		})
		l.run(engine.Options{}, wf)
		began := time.Now()
		r := mustStart(l, wf, "")
		for range 5 {
			l.advance(2500 * time.Millisecond)
			l.run(engine.Options{}, wf)
		}
		if got := mustResult(l, workflow.Get[int](l.eng, r.ID())); got != 10 {
			t.Errorf("result is %d", got)
		}
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("took %v, want 20 s: the runs were not handed over at once", took)
		}
	})
}

// A step that takes longer than DrainTimeout is canceled, and executed again.
func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		s := &stepper{takes: time.Minute}
		wf := s.workflow()
		l.run(engine.Options{DrainTimeout: 10 * time.Second}, wf)
		r := mustStart(l, wf, "")
		began := time.Now()
		err := l.stop()
		if err == nil || !strings.Contains(err.Error(), "drain timeout") {
			t.Errorf("error is %v", err)
		}
		if took := time.Since(began).Round(time.Second); took != 9*time.Second || s.canceled.Load() != 1 {
			t.Errorf("took %v, %d canceled", took, s.canceled.Load())
		}
		l.stop = func() error { return nil }
		l.run(engine.Options{}, wf)
		if got := mustResult(l, workflow.Get[string](l.eng, r.ID())); got != "done" || s.began.Load() != 2 {
			t.Errorf("result is %q after %d attempts", got, s.began.Load())
		}
	})
}

// However short DrainTimeout is, what ends by itself has time to.
func TestShortDrainTimeout(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		s := &stepper{takes: 0}
		wf := s.workflow()
		for i := range 20 {
			l.run(engine.Options{DrainTimeout: time.Millisecond}, wf)
			mustStart(l, wf, "")
			if i%2 == 0 {
				synctest.Wait()
			}
			if err := l.stop(); err != nil {
				t.Fatalf("stop: %v", err)
			}
			l.stop = func() error { return nil }
		}
	})
}

// A dead worker's runs are taken over when its lease has lapsed, and not before.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		s := &stepper{takes: 5 * time.Second}
		wf := s.workflow()
		l.run(engine.Options{DrainTimeout: time.Millisecond}, wf)
		r := mustStart(l, wf, "")
		l.advance(time.Second)
		died := time.Now()
		l.kill()
		_, stop := l.runOn(l.store, engine.Options{}, wf)
		l.advance(5 * time.Second)
		if s.began.Load() != 1 {
			t.Error("taken over before the lease has lapsed")
		}
		for s.began.Load() < 2 && time.Since(died) < time.Minute {
			l.advance(100 * time.Millisecond)
		}
		if took := time.Since(died); took > 11*time.Second {
			t.Errorf("taken over after %v, want the lease time of 10 s", took)
		}
		l.advance(2 * time.Hour)
		client := l.client()
		if got := mustResult(l, workflow.Get[string](client, r.ID())); got != "done" {
			t.Errorf("result is %q", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A worker that was frozen for longer than its lease finds its runs taken over: its
// steps are canceled, its results are refused.
func TestFrozenWorker(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		results := make(chan string, 4)
		var canceled atomic.Bool
		wf := workflow.Define("frozen", func(ctx workflow.Context, _ string) (string, error) {
			got, err := workflow.Step(ctx, "work", func(ctx context.Context) (string, error) {
				select {
				case v := <-results:
					return v, nil
				case <-ctx.Done():
					canceled.Store(true)
					return <-results, nil // it returns a success all the same
				}
			})
			if err != nil {
				return "", err
			}
			return got, workflow.Sleep(ctx, time.Minute)
		})
		l.run(engine.Options{DrainTimeout: time.Second}, wf)
		r := mustStart(l, wf, "")
		l.advance(time.Second)
		thaw := l.freeze()
		other, stop := l.runOn(l.store, engine.Options{}, wf)
		l.advance(30 * time.Second) // the other one takes it over, and executes the step too
		if canceled.Load() {
			t.Error("the frozen worker has noticed something")
		}
		thaw()
		l.advance(5 * time.Second)
		if !canceled.Load() {
			t.Error("the step of the worker that lost its lease was not canceled")
		}
		results <- "one of them"
		results <- "the other"
		synctest.Wait()
		got := mustResult(l, workflow.Get[string](other, r.ID()))
		events, err := other.Journal(t.Context(), r.ID(), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		completed := 0
		for _, e := range events {
			if e.Kind == "step_completed" {
				completed++
				if string(e.Data) != `"`+got+`"` {
					t.Errorf("result is %q, the journal has %s", got, e.Data)
				}
			}
		}
		if completed != 1 {
			t.Errorf("%d results of one step", completed)
		}
		if err := errors.Join(stop(), l.stop()); err != nil {
			t.Error(err)
		}
	})
}

// Two workers on one store share the work, and nobody does it twice.
func TestTwoWorkers(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		var executed atomic.Int32
		wf := workflow.Define("shared", func(ctx workflow.Context, n int) (int, error) {
			if err := workflow.Sleep(ctx, time.Duration(n)*time.Millisecond); err != nil {
				return 0, err
			}
			return workflow.Step(ctx, "work", func(context.Context) (int, error) { executed.Add(1); return n, nil })
		})
		l.run(engine.Options{}, wf)
		_, stop := l.runOn(l.store, engine.Options{}, wf)
		var runs []*workflow.Run[int]
		for n := range 100 {
			runs = append(runs, mustStart(l, wf, n))
		}
		for n, r := range runs {
			if got := mustResult(l, r); got != n {
				t.Errorf("run %d came to %d", n, got)
			}
		}
		if executed.Load() != 100 {
			t.Errorf("%d steps executed, want 100", executed.Load())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A run that is being committed when the drain of its worker ends is thrown out of memory
// when it comes to rest: the bubble would miss its goroutine.
func TestCommitOutlastsDrain(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("listener", func(ctx workflow.Context, _ string) (string, error) {
			h, err := workflow.NewHook[string](ctx, workflow.Token("t"))
			for err == nil {
				_, err = h.Wait(ctx)
			}
			return "", err
		})
		l.run(engine.Options{DrainTimeout: time.Second}, wf)
		mustStart(l, wf, "")
		thaw := l.freeze()
		go func() { _, _ = workflow.Resume(t.Context(), l.eng, "t", "payload") }()
		synctest.Wait()
		go func() { _ = l.stop() }()
		l.advance(time.Minute)
		thaw()
		synctest.Wait()
	})
}

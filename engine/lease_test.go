package engine_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// A step that gets its slot when the lease has lapsed meanwhile does not begin:
// another worker may be executing it.
func TestAStepThatWaitedForASlotDoesNotBeginWithoutALease(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		release := make(chan struct{})
		began := false
		wf := workflow.Define("worker", func(ctx workflow.Context, first bool) (string, error) {
			return "", workflow.Do(ctx, "work", func(context.Context) error {
				if first {
					<-release
				} else {
					began = true
				}
				return nil
			})
		})
		l.run(engine.Options{MaxSteps: 1}, wf)
		mustStart(l, wf, true)
		mustStart(l, wf, false)
		l.gate.set(func(g *gate) { g.dead = true })
		l.advance(time.Minute)
		close(release)
		synctest.Wait()
		if began {
			t.Error("the step began long after the lease had lapsed")
		}
		l.kill()
	})
}

// TestACanceledStepThatDidNotBeginEnds: a step that got its slot when the lease had
// lapsed does not begin; if it is canceled before the run knows that it ends all the same.
func TestACanceledStepThatDidNotBeginEnds(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		began := false
		wf := workflow.Define("wf", func(ctx workflow.Context, _ int) (bool, error) {
			first := workflow.Go(ctx, func(ctx workflow.Context) (int, error) {
				return 0, workflow.Do(ctx, "first", func(context.Context) error {
					<-time.After(30 * time.Second)
					return nil
				})
			})
			if err := workflow.Sleep(ctx, time.Second); err != nil { // the slot is the first step's
				return false, err
			}
			within, cancel := workflow.WithTimeout(ctx, 31*time.Second)
			defer cancel()
			err := workflow.Do(within, "second", func(context.Context) error {
				began = true
				return nil
			})
			if _, err := first.Wait(ctx); err != nil {
				return false, err
			}
			return errors.Is(err, context.DeadlineExceeded), nil
		})
		l.run(engine.Options{MaxSteps: 1}, wf)
		r := mustStart(l, wf, 0)
		l.advance(20 * time.Second)
		// While the worker is frozen for longer than the lease, the slot becomes free after
		// 30 seconds and the deadline passes after 32.
		thaw := l.freeze()
		l.advance(15 * time.Second)
		thaw()
		if !mustResult(l, r) {
			t.Error("the second step has not failed for its deadline")
		}
		if began {
			t.Error("the second step has begun")
		}
	})
}

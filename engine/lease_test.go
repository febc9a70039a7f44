package engine_test

import (
	"context"
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

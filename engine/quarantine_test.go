package engine_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// A suspect step whose turn comes while the worker drains is left to the next worker.
func TestADrainLeavesASuspectStepToTheNextWorker(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		dying := true
		endFirst := make(chan struct{})
		suspect := func(name string) func(workflow.Context) (string, error) {
			return func(ctx workflow.Context) (string, error) {
				return "", workflow.Do(ctx, name, func(ctx context.Context) error {
					switch {
					case dying:
						<-ctx.Done()
						return ctx.Err()
					case name == "first":
						<-endFirst
					}
					return nil
				})
			}
		}
		wf := workflow.Define("suspects", func(ctx workflow.Context, _ string) (string, error) {
			_, err := workflow.All(ctx, suspect("first"), suspect("second"))
			return "", err
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		l.kill()
		l.run(engine.Options{}, wf)
		l.advance(time.Minute) // the lease lapses, and the run is taken over
		l.kill()
		dying = false
		l.run(engine.Options{}, wf)
		l.advance(time.Minute)
		if l.logs.count("quarantine") != 1 {
			t.Fatal("the run is not in quarantine")
		}
		stopped := make(chan error, 1)
		go func() { stopped <- l.stop() }()
		synctest.Wait()
		close(endFirst) // now it is the second one's turn
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		l.run(engine.Options{}, wf)
		mustResult(l, workflow.Get[string](l.eng, r.ID()))
	})
}

// A step that was convicted of killing its worker, and has been mended, is executed
// when its run is retried: the mark of the attempt that died does not count again.
func TestRetryExecutesTheStepThatHadKilledItsWorker(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		dying := true
		wf := workflow.Define("killer", func(ctx workflow.Context, _ string) (string, error) {
			return "mended", workflow.Do(ctx, "kill", func(ctx context.Context) error {
				if dying {
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			}, workflow.MaxAttempts(1))
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		for range 3 {
			l.kill()
			l.run(engine.Options{}, wf)
			l.advance(time.Minute)
		}
		r = workflow.Get[string](l.eng, r.ID())
		_ = mustFail(l, r)
		dying = false
		if err := r.Retry(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := mustResult(l, r); got != "mended" {
			t.Errorf("result is %q", got)
		}
	})
}

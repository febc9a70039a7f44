package engine_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// Who waits for a run that is executed here is told its result: reading it from the
// store would cost more than a step.
func TestResultIsPushed(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		awaited := make(chan bool)
		wf := workflow.Define("wf", func(ctx workflow.Context, in string) (string, error) {
			return workflow.Step(ctx, "s", func(context.Context) (string, error) { <-awaited; return in, nil })
		})
		reads := &readCounter{Store: l.store}
		var stop func() error
		l.eng, stop = l.runOn(reads, engine.Options{}, wf)
		defer func() { _ = stop() }()
		for range 10 {
			r, err := wf.Start(t.Context(), l.eng, "in")
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				if got, err := r.Result(t.Context()); got != "in" || err != nil {
					t.Errorf("result %q, %v", got, err)
				}
			}()
			synctest.Wait()
			awaited <- true
			synctest.Wait()
		}
		if n := reads.n.Load(); n != 0 {
			t.Errorf("the store was read %d times", n)
		}
	})
}

// readCounter counts reads of runs.
type readCounter struct {
	store.Store

	n atomic.Int64
}

func (c *readCounter) Run(ctx context.Context, runID string) (store.Run, error) {
	c.n.Add(1)
	return c.Store.Run(ctx, runID)
}

func (c *readCounter) Load(ctx context.Context, runID string, after int64) (store.Loaded, error) {
	c.n.Add(1)
	return c.Store.Load(ctx, runID, after)
}

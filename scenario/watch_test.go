package scenario_test

import (
	"context"
	"sync"
	"testing"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// gate lets the steps of a run end, one each.
func gate(runID string) chan struct{} {
	g, _ := gates.LoadOrStore(runID, make(chan struct{}))
	return g.(chan struct{})
}

var gates sync.Map // by run ID

// gated executes steps that end as they are told to. Nothing but the end of each reveals it: no
// message comes.
var gated = workflow.Define("gated", func(ctx workflow.Context, n int) (int, error) {
	for range n {
		err := workflow.Do(ctx, "gate", func(ctx context.Context) error {
			select {
			case <-gate(workflow.InfoOf(ctx).RunID):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if err != nil {
			return 0, err
		}
	}
	return n, nil
})

// A watcher in one process is notified of progress in another.
func TestWatchAnotherProcess(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, db *database) {
		ctx := within(t)
		st, err := openStore(ctx, db.url, testLog(t))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = st.Close() }()
		worker, err := engine.New(st, engine.Options{Workflows: []workflow.Definition{gated}, Logger: testLog(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = worker.Close() }()
		working, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- worker.Run(working) }()
		defer func() { stop(); <-done }() //nolint:errcheck // the test has ended

		const steps = 3
		run, err := gated.Start(ctx, db.api, steps)
		if err != nil {
			t.Fatal(err)
		}
		for _, runID := range []string{run.ID(), ""} {
			watching, enough := context.WithCancel(ctx)
			var seen int64 // length of the journal
			passed := 0
			err := db.api.Watch(watching, runID, func(inspect.Change) {
				info, err := run.Info(watching)
				if err != nil {
					return
				}
				if seen > 0 && info.Events == seen {
					return // something else has changed
				}
				seen = info.Events
				if passed == 1 && runID != "" || info.Status.Ended() {
					enough() // the others are for watchers of all runs
					return
				}
				select {
				case gate(run.ID()) <- struct{}{}:
					passed++
				case <-watching.Done():
				}
			})
			if err != nil || ctx.Err() != nil {
				t.Fatalf("watching %q: %v, %v, the journal has %d events, %d steps were let go on", runID, err, ctx.Err(), seen, passed)
			}
			enough()
		}
		if n, err := run.Result(ctx); n != steps || err != nil {
			t.Errorf("result is %d, %v", n, err)
		}
	})
}

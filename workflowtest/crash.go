package workflowtest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/store"
)

// CrashEverywhere is [Test] with a worker that crashes. It calls f several times, each
// time in a new bubble with an empty database, as a subtest:
//
//   - "no crash": as Test does;
//   - "before each commit": the worker's process dies when it is about to write a
//     transition, so that what the code has decided, and the result of a step, are lost;
//   - "after each commit": it dies when a transition has been written, and does not
//     learn of it;
//   - "before and after": both, for each transition.
//
// After each crash another process goes on at once, by replay. F has to pass each time,
// and each run has to end as it does without a crash. So f finds workflow code that is
// not deterministic, and steps that can't stand to be executed again: in "before each
// commit" each step is executed twice.
//
// A step that was executing when its process died goes on in the background, its context
// canceled, as it may on a machine that has only lost its lease.
func CrashEverywhere(t *testing.T, opts engine.Options, f func(t *testing.T, eng *Engine)) {
	t.Helper()
	var want []outcome
	for i, pass := range []struct {
		name    string
		crashes *crashes
	}{
		{"no crash", nil},
		{"before each commit", newCrashes(true, false)},
		{"after each commit", newCrashes(false, true)},
		{"before and after", newCrashes(true, true)},
	} {
		ok := t.Run(pass.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEngine(t, opts, pass.crashes)
				e.call(f)
				got := e.outcomes()
				if i == 0 {
					want = got
				} else {
					compare(t, want, got)
				}
			})
		})
		if !ok && i == 0 {
			return // it has nothing to do with crashes
		}
	}
}

// crashes decides where the worker crashes: at each transition once before its commit,
// once after it. A nil one never does.
type crashes struct {
	before, after bool
	mu            sync.Mutex
	done          map[point]bool
}

// point is a moment in the life of a run.
type point struct {
	runID  string // if it was drawn at random "ID": a step that starts another run each time must not cause crashes without end
	after  int64  // length of the journal
	events bool   // it grows
	status store.Status
	before bool
}

func newCrashes(before, after bool) *crashes {
	return &crashes{before: before, after: after, done: map[point]bool{}}
}

func (c *crashes) at(e *Engine, t *store.Transition) (before, after bool) {
	if c == nil {
		return false, false
	}
	runID := e.withoutRandom(t.RunID)
	c.mu.Lock()
	defer c.mu.Unlock()
	p := point{runID: runID, after: t.After, events: len(t.Events) > 0, status: t.Status, before: true}
	if c.before && !c.done[p] {
		c.done[p] = true
		return true, false
	}
	p.before = false
	if c.after && !c.done[p] {
		c.done[p] = true
		return false, true
	}
	return false, false
}

// outcome is how a run has ended, or that it has not. Generated IDs in it are the same
// for all, as those of runs that steps start differ each time.
type outcome struct {
	workflow, runID string
	status          store.Status
	data            string
}

func (o outcome) String() string {
	if o.data == "" {
		return fmt.Sprint(o.status)
	}
	return fmt.Sprintf("%s with %s", o.status, o.data)
}

// outcomes returns those of all runs, sorted.
func (e *Engine) outcomes() []outcome {
	e.t.Helper()
	ctx := context.WithoutCancel(e.t.Context())
	e.settle(ctx)
	runs, err := e.allRuns(ctx)
	if err != nil {
		e.t.Fatalf("workflowtest: %v", err)
	}
	var all []outcome
	for _, r := range runs {
		l, err := e.store.Load(ctx, r.ID, r.Events-1)
		if err != nil {
			e.t.Fatalf("workflowtest: %v", err)
		}
		all = append(all, newOutcome(r, l.Events))
	}
	slices.SortFunc(all, func(a, b outcome) int {
		return cmp.Or(cmp.Compare(a.workflow, b.workflow), cmp.Compare(a.runID, b.runID), cmp.Compare(a.String(), b.String()))
	})
	return all
}

// allRuns are the heads of all runs.
func (e *Engine) allRuns(ctx context.Context) (all []store.Run, err error) {
	for f := (store.Filter{Limit: 1000}); ; {
		page, err := e.store.Runs(ctx, f)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < f.Limit {
			return all, nil
		}
		f.Before = page[len(page)-1].Cursor()
	}
}

func newOutcome(r store.Run, events []store.Event) outcome {
	o := outcome{workflow: r.Workflow, runID: r.ID, status: r.Status}
	if r.Status.Ended() && len(events) > 0 {
		o.data = string(events[0].Data)
		if r.Status != store.Completed {
			o.data = journal.DecodeFailure(events[0].Data).Text // and not the stack of a panic
		}
	}
	o.runID = generatedID.ReplaceAllLiteralString(o.runID, "ID")
	o.data = generatedID.ReplaceAllLiteralString(o.data, "ID")
	return o
}

// compare says which runs ended in another way than without crashes.
func compare(t *testing.T, want, got []outcome) {
	t.Helper()
	if len(want) != len(got) {
		t.Errorf("there are %d runs; without a crash there are %d: does a step start some without a workflow.RunID?", len(got), len(want))
		return
	}
	for i, w := range want {
		if g := got[i]; w != g {
			t.Errorf("a run (%s) of %s is %s; without a crash it (%s) is %s", g.runID, g.workflow, g, w.runID, w)
		}
	}
}

package engine_test

import (
	"testing"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// versioned is a version of a workflow: it says who it is when it is resumed.
func versioned(v int) *workflow.Workflow[string, int] {
	return workflow.Define("versioned", func(ctx workflow.Context, token string) (int, error) {
		if v > 1 { // version 2 begins with something else
			if err := workflow.Sleep(ctx, time.Second); err != nil {
				return 0, err
			}
		}
		hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
		if err != nil {
			return 0, err
		}
		_, err = hook.Wait(ctx)
		return v, err
	}, workflow.Version(v))
}

// Old runs stay on their version, new ones begin on the highest; without its version a
// run is blocked, and goes on when it is back.
func TestVersions(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{Build: "1"}, versioned(1))
		a, b := mustStart(l, versioned(1), "a"), mustStart(l, versioned(1), "b")

		l.run(engine.Options{Build: "2"}, versioned(2), versioned(1))
		c := mustStart(l, versioned(1), "c")
		l.advance(time.Minute)
		l.resume("a", "")
		a, b = workflow.Get[int](l.eng, a.ID()), workflow.Get[int](l.eng, b.ID())
		if got := mustResult(l, a); got != 1 {
			t.Errorf("the old run came to %d", got)
		}
		if info := wantStatus(l, c, workflow.StatusWaiting); info.Version != 2 {
			t.Errorf("the new run is of version %d", info.Version)
		}

		l.run(engine.Options{Build: "3"}, versioned(2))
		l.resume("b", "")
		l.resume("c", "")
		if got := mustResult(l, workflow.Get[int](l.eng, c.ID())); got != 2 {
			t.Errorf("the new run came to %d", got)
		}
		b = workflow.Get[int](l.eng, b.ID())
		info := wantStatus(l, b, workflow.StatusBlocked)
		wantContains(l, info.Reason, "version 1", `"versioned"`)

		_, stop := l.runOn(l.store, engine.Options{Build: "4"}, versioned(1))
		l.advance(time.Minute)
		if got := mustResult(l, b); got != 1 {
			t.Errorf("the old run came to %d", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A worker that has had nothing to do for long is there all the same.
func TestIdleWorkerIsLive(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{}, versioned(1))
		r := mustStart(l, versioned(1), "a")
		l.advance(365 * 24 * time.Hour)
		wantStatus(l, r, workflow.StatusWaiting)
		l.advance(365 * 24 * time.Hour)
		runs, err := l.eng.Runs(t.Context(), inspect.RunFilter{})
		if err != nil || len(runs) != 1 || runs[0].Status != workflow.StatusWaiting {
			t.Errorf("runs %+v, error %v", runs, err)
		}
	})
}

// A run that was started while nobody was there begins on what comes.
func TestVersionIsBoundLate(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		client := l.client()
		r, err := versioned(1).Start(t.Context(), client, "a")
		if err != nil {
			t.Fatal(err)
		}
		info := wantStatus(l, r, workflow.StatusBlocked)
		wantContains(l, info.Reason, "no worker is live")
		l.run(engine.Options{}, versioned(3))
		l.advance(time.Minute)
		r = workflow.Get[int](l.eng, r.ID())
		if info := wantStatus(l, r, workflow.StatusWaiting); info.Version != 3 {
			t.Errorf("the run is of version %d", info.Version)
		}
		l.resume("a", "")
		if got := mustResult(l, r); got != 3 {
			t.Errorf("result is %d", got)
		}
	})
}

package scenario_test

import (
	"testing"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// S25: an approval accepted at 23:59 h against a deadline of 24 h, with the worker
// down from 23 h to 25 h; and the mirror, accepted at 24:30 h.

func TestS25InTime(t *testing.T) {
	t.Parallel()
	for _, end := range []struct {
		name string
		down func(w *world)
	}{
		{"crashed", (*world).crash},
		{"stopped", (*world).down},
	} {
		t.Run(end.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(w *world) {
				l := &ledger{}
				w.boot(timedApproval.Implement(l.approveInTime))
				early := start(w, timedApproval, "early", "a")
				late := start(w, timedApproval, "late", "b")
				began := time.Now()
				w.advance(23 * time.Hour)

				end.down(w)
				api, err := engine.New(w.st, engine.Options{}) // another process, that executes nothing
				if err != nil {
					w.t.Fatal(err)
				}
				sleepUntil(w, began.Add(24*time.Hour-time.Minute))
				accept(w, api, "timed:a", "yes")
				sleepUntil(w, began.Add(24*time.Hour+30*time.Minute))
				accept(w, api, "timed:b", "no")
				sleepUntil(w, began.Add(25*time.Hour))
				if err := api.Close(); err != nil {
					w.t.Error(err)
				}
				w.up()
				w.advance(time.Hour)

				want(w, early, "yes")
				want(w, late, "late: no")
				l.want(w.t, "escalate b")
			})
		})
	}
}

func sleepUntil(w *world, at time.Time) {
	w.t.Helper()
	<-time.After(time.Until(at))
}

func accept(w *world, api *engine.Engine, token, payload string) {
	w.t.Helper()
	if _, err := workflow.Resume(w.t.Context(), api, token, payload, workflow.IdempotencyKey(payload)); err != nil {
		w.t.Fatal(err)
	}
}

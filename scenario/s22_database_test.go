package scenario_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/faultproxy"
	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// TestS22DatabaseCutsOff: as TestS22LostAnswer, but it is the connection to the
// database that is cut, at each point of the way. Whoever sends again under the same
// key is told that the payload was accepted, and the run gets it once.
func TestS22DatabaseCutsOff(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	db := newDatabase(t, direct)
	p, url := newProxy(t, direct, 22)
	caller := newDatabase(t, url).api
	worker, err := engine.New(db.st, engine.Options{Workflows: []workflow.Definition{collection}})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- worker.Run(t.Context()) }()
	if _, err := collection.Start(t.Context(), db.api, "s1", workflow.RunID("run")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		_, err := db.api.HookByToken(t.Context(), "readings:s1")
		return err == nil
	})

	send := func(r reading, key string) (info workflow.HookInfo) {
		waitFor(t, func() (accepted bool) {
			var err error
			info, err = workflow.Resume(t.Context(), caller, "readings:s1", r, workflow.IdempotencyKey(key))
			if errors.Is(err, workflow.ErrHookNotFound) {
				t.Fatal(err)
			}
			return err == nil
		})
		return info
	}
	n := 0
	for _, kind := range faultproxy.Kinds {
		// A fault may hit another message than the answer to a payload: a notification, or
		// what a new connection begins with. Until one does, it is tried again.
		loses := kind == faultproxy.LostAnswer || kind == faultproxy.HalfAnswer
		lost := 0
		for i := 0; i < 5 || loses && lost == 0 && i < 100; i++ {
			before := len(p.Faults())
			p.Inject(kind)
			for hit := false; !hit; n++ { // a payload, or a notification
				if send(reading{Value: n}, fmt.Sprint(n)).Duplicate {
					lost++
				}
				hit = len(p.Faults()) > before
			}
		}
		t.Logf("%s: %d had been accepted when the caller asked again", kind, lost)
		if loses && lost == 0 {
			t.Errorf("%s: no answer to a payload was lost", kind)
		}
	}
	send(reading{Done: true}, "done")
	got, err := workflow.Get[[]int](db.api, "run").Result(within(t))
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		if v != i {
			t.Fatalf("value %d is %d: %v", i, v, got)
		}
	}
	if len(got) != n {
		t.Errorf("%d values were sent, %d arrived", n, len(got))
	}
	if err := worker.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	l, err := db.st.Load(t.Context(), "run", 0)
	if err != nil || l.Run.Status != store.Completed || len(l.Mail) > 0 {
		t.Errorf("the run is %s with %d messages, %v", l.Run.Status, len(l.Mail), err)
	}
}

package scenario_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// runs lists all runs of a database, oldest first.
func runs(t *testing.T, st store.Store) []store.Run {
	t.Helper()
	var all []store.Run
	for f := (store.Filter{Limit: 1000}); ; {
		page, err := st.Runs(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
		f.Before = page[len(page)-1].Cursor()
	}
}

// checkRuns checks all runs of a database that no engine is at work on: what every
// scenario must leave behind.
func checkRuns(t *testing.T, st store.Store, defs []workflow.Definition) {
	t.Helper()
	for _, r := range runs(t, st) {
		l, err := st.Load(t.Context(), r.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		checkJournal(t, &l)
		switch l.Run.Status {
		case store.Completed, store.Failed, store.Canceled:
			if len(l.Mail) > 0 {
				t.Errorf("run %s has ended and has mail: %v", r.ID, l.Mail)
			}
			sameDecisions(t, &l, defs)
		case store.Blocked:
			t.Errorf("run %s is blocked: %s", r.ID, l.Run.BlockedReason)
		case store.Running, store.Waiting:
		}
	}
}

// checkJournal checks that a journal has no gap and that its time never goes back.
func checkJournal(t *testing.T, l *store.Loaded) {
	t.Helper()
	if int64(len(l.Events)) != l.Run.Events-l.Run.Base {
		t.Errorf("run %s: %d events, its head says %d after %d of earlier generations", l.Run.ID, len(l.Events), l.Run.Events, l.Run.Base)
	}
	var last time.Time
	for i, e := range l.Events {
		if e.Position != l.Run.Base+int64(i)+1 {
			t.Errorf("run %s: event %d after %d has position %d", l.Run.ID, i+1, l.Run.Base, e.Position)
		}
		if e.At.Before(last) {
			t.Errorf("run %s: event %d is of %v, before the last one's %v", l.Run.ID, i+1, e.At, last)
		}
		last = e.At
	}
}

// sameDecisions has a fresh engine replay a run that has ended, all but its last
// event, and checks that it ends the run again, in the same way.
func sameDecisions(t *testing.T, l *store.Loaded, defs []workflow.Definition) {
	t.Helper()
	n := len(l.Events) - 1
	st := &replayed{head: l.Run, events: l.Events[:n], ended: make(chan *store.Transition, 1)}
	st.head.Status, st.head.Events = store.Running, l.Run.Base+int64(n)
	e, err := engine.New(st, engine.Options{Workflows: defs, PublicURL: publicURL, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		if err := e.Run(ctx); err != nil {
			t.Errorf("run %s: replay: %v", l.Run.ID, err)
		}
	}()
	select {
	case again := <-st.ended:
		if again.Status != l.Run.Status {
			t.Errorf("run %s was %s, and is %s after a replay (%s)", l.Run.ID, l.Run.Status, again.Status, again.BlockedReason)
			break
		}
		if len(again.Events) != 1 {
			t.Errorf("run %s ends with %d more events after a replay: %v", l.Run.ID, len(again.Events), again.Events)
			break
		}
		recorded, replayed := l.Events[n], again.Events[0]
		recorded.Epoch, recorded.Seq = 0, 0
		if diff := cmp.Diff(recorded, replayed); diff != "" {
			t.Errorf("run %s ended another way after a replay (-recorded +replayed):\n%s", l.Run.ID, diff)
		}
	case <-ctx.Done():
		t.Errorf("run %s does not end after a replay", l.Run.ID)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	<-ran
}

// replayed is a store with one run, to which nothing happens but its journal.
type replayed struct {
	store.Store // nil: the engine needs nothing else
	head        store.Run
	events      []store.Event
	claimed     atomic.Bool
	ended       chan *store.Transition
}

func (s *replayed) Now() time.Time                         { return time.Now() }
func (s *replayed) Shared() bool                           { return false }
func (s *replayed) Watch(func(store.Signal)) (stop func()) { return func() {} }
func (s *replayed) Renew(_ context.Context, l store.Lease) error {
	s.head.Worker = l.Worker
	return nil
}
func (s *replayed) Release(context.Context, string) error { return nil }
func (s *replayed) TellEnds(context.Context) (told int, more bool, err error) {
	return 0, false, nil
}

func (s *replayed) TellListeners(context.Context, int) (told int, more bool, err error) {
	return 0, false, nil
}
func (s *replayed) Run(context.Context, string) (store.Run, error) { return s.head, nil }

func (s *replayed) Claim(context.Context, store.Claim) (store.Claimed, error) {
	if s.claimed.Swap(true) {
		return store.Claimed{}, nil
	}
	return store.Claimed{Runs: []store.Run{s.head}}, nil
}

func (s *replayed) Load(_ context.Context, _ string, after int64) (store.Loaded, error) {
	return store.Loaded{Run: s.head, Events: s.events[max(after-s.head.Base, 0):]}, nil
}

func (s *replayed) Apply(_ context.Context, t *store.Transition) ([]store.Outcome, error) {
	if !t.Status.Ended() && t.Status != store.Blocked {
		return nil, errors.New("the run goes on, though nothing has happened")
	}
	s.ended <- t
	return nil, nil
}

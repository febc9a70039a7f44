package postgres

import (
	"testing"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
)

// A run that is in use does not hold up the end of one that it awaits, nor others that do.
func TestEndIsToldToWhoIsFree(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url, Options{})
	begin := func(run string, effects ...store.Effect) {
		r := newRun(run)
		_, err := s.Apply(t.Context(), &store.Transition{
			RunID: run, Worker: "w", Epoch: 1, Create: &r, At: s.Now(), Status: store.Waiting, Events: []store.Event{{At: s.Now(), Kind: store.Started}}, Effects: effects,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	begin("target")
	for _, run := range []string{"busy", "free"} {
		begin(run, store.Effect{Kind: store.Subscribe, Subscription: store.Subscription{Ref: "1", Target: "target"}})
	}
	release := hold(t, url, "busy")
	if _, err := s.Apply(t.Context(), &store.Transition{
		RunID: "target", Worker: "w", Epoch: 1, After: 1, At: s.Now(), Status: store.Completed, Events: []store.Event{{At: s.Now(), Kind: store.RunCompleted}},
	}); err != nil {
		t.Fatal(err)
	}
	mail := func(id string) int {
		m, err := s.Mailbox(t.Context(), id, 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(m)
	}
	if busy, free := mail("busy"), mail("free"); busy != 0 || free != 1 {
		t.Errorf("%d messages for the run in use and %d for the free one, want 0 and 1", busy, free)
	}
	if told, more, err := s.TellEnds(t.Context()); told != 0 || !more || err != nil {
		t.Errorf("told %d, more: %t, %v", told, more, err)
	}
	release()
	if told, more, err := s.TellEnds(t.Context()); told != 1 || !more || err != nil || mail("busy") != 1 {
		t.Errorf("told %d, more: %t, %v, and %d messages for the run", told, more, err, mail("busy"))
	}
	if told, more, err := s.TellEnds(t.Context()); told != 0 || more || err != nil {
		t.Errorf("in the end told %d, more: %t, %v", told, more, err)
	}
}

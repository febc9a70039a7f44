package client_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/client"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// What is done with the actor of a context is that actor's doing, here and over the API, whatever
// letters it has.
func TestActors(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		by := func(name, via string) context.Context {
			return workflow.WithActor(w.Context(), workflow.Actor{Name: name, Via: via, Link: "L"})
		}
		r, err := approve.Start(by("Ada \"Å\" 👩‍🔧", "app"), c, "doc", workflow.RunID("doc"))
		w.ok(err)
		w.untilWaiting(r.ID())
		_, err = approvals.Resume(by("Борис", "link"), c, "doc", decision{Approved: true, By: "b"})
		w.ok(err)
		_, err = r.Result(w.Context())
		w.ok(err)
		events, err := c.Journal(w.Context(), r.ID(), 0, 10)
		w.ok(err)
		var got []workflow.Actor
		for _, e := range events {
			if e.By != (workflow.Actor{}) {
				got = append(got, e.By)
			}
		}
		want := []workflow.Actor{{Name: "Ada \"Å\" 👩‍🔧", Via: "app", Link: "L"}, {Name: "Борис", Via: "link", Link: "L"}}
		if diff := cmp.Diff(want, got); diff != "" {
			w.Errorf("the journal has (-want +got):\n%s", diff)
		}
	})
}

// A key speaks for itself: requests with it are its own, and can't be anybody else's.
func TestKeysSpeakForThemselves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.client(namedKey)
	r, err := sleep.Start(w.Context(), c, "")
	w.ok(err)
	w.ok(r.Wake(w.Context()))
	eve := workflow.WithActor(w.Context(), workflow.Actor{Name: "eve"})
	_, started := sleep.Start(eve, c, "", workflow.RunID("eve's"))
	for what, err := range map[string]error{"start": started, "wake": r.Wake(eve), "cancel": r.Cancel(eve), "pause": r.Pause(eve, workflow.PauseRequest{})} {
		if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != http.StatusForbidden || e.Code != "forbidden" {
			t.Errorf("%s as somebody else: %v", what, err)
		}
	}
	if _, err := c.RunInfo(eve, "eve's"); !errors.Is(err, workflow.ErrRunNotFound) {
		t.Errorf("a refused start: %v", err) // and to look is not to act
	}
	if _, err := r.Result(w.Context()); err != nil {
		t.Error(err)
	}
	events, err := c.Journal(w.Context(), r.ID(), 0, 100)
	w.ok(err)
	var by []string
	for _, e := range events {
		if e.By != (workflow.Actor{}) {
			by = append(by, string(e.Kind)+" "+e.By.String())
		}
	}
	if got, want := strings.Join(by, ", "), "started grace (key), woken grace (key)"; got != want {
		t.Errorf("the journal has %s, want %s", got, want)
	}
}

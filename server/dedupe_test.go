package server_test

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// S14: the same delivery five times, also at once, also across a restart.
func TestDuplicateDeliveries(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.collector(workflow.DedupeHeader("webhook-id"), workflow.RespondWith(workflow.Text(200, "first or not")))
	l.run(engine.Options{}, wf)
	r, u := open(l, wf, "t")
	five := func(id string) {
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				if a := l.post(u, fmt.Sprint(id, " ", i), "Webhook-Id", id); a.status != 200 || a.body != "first or not" {
					t.Errorf("got %+v", a)
				}
			})
		}
		wg.Wait()
	}
	five("a")
	five("b")
	l.run(engine.Options{}, wf)
	five("a")
	five("c")
	l.post(u, "none")
	l.post(u, "none")
	l.post(u, "stop")
	var ids []string
	for _, req := range result(l, r) {
		ids = append(ids, req.Header.Get("Webhook-Id"))
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "", ""}, ids); diff != "" {
		t.Error(diff)
	}
}

// A repeat gets the first one's answer, also when the run has ended and another run
// has the token by then.
func TestRepeatsOfAnsweredRequests(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := workflow.Define("once", func(ctx workflow.Context, answer string) (string, error) {
		opts := []workflow.WebhookOption{workflow.Token("t"), workflow.DedupeHeader("Id")}
		switch answer {
		case "default":
		case "static":
			opts = append(opts, workflow.RespondWith(workflow.Text(203, "static")))
		default:
			opts = append(opts, workflow.RespondManually())
		}
		w, err := workflow.NewWebhook(ctx, opts...)
		if err != nil {
			return "", err
		}
		if err := l.opened(ctx, w); err != nil {
			return "", err
		}
		r, err := w.Wait(ctx)
		if err != nil {
			return "", err
		}
		if answer == "manual" {
			err = r.Respond(ctx, workflow.Text(201, "manual "+string(r.Body)))
		}
		return string(r.Body), err
	})
	l.run(engine.Options{}, wf)
	want := map[string]answer{"manual": {201, nil, "manual x"}, "static": {203, nil, "static"}, "default": {202, nil, ""}, "none": {status: 500}}
	check := func(when string) {
		t.Helper()
		for id, want := range want {
			a := l.post(l.urlOf("t"), "repeat", "Id", id)
			if a.status != want.status || a.status != 500 && a.body != want.body {
				t.Errorf("%s: repeat of %s: %d %q, want %d %q", when, id, a.status, a.body, want.status, want.body)
			}
		}
	}
	for id := range want {
		r, u := open(l, wf, id)
		if a := l.post(u, "x", "Id", id); a.status != want[id].status {
			t.Errorf("%s: %+v", id, a)
		}
		if got := result(l, r); got != "x" {
			t.Errorf("%s: the run got %q", id, got)
		}
	}
	check("released")
	wantStatus(l, l.post(l.urlOf("t"), "x", "Id", "new"), 404)
	wantStatus(l, l.post(l.urlOf("t"), "x"), 404)
	wantStatus(l, l.send("GET", l.urlOf("t"), nil, "Id", "manual"), 404)
	wantStatus(l, l.send("POST", l.urlOf("t"), io.MultiReader(strings.NewReader(strings.Repeat("x", 5<<20))), "Id", "manual"), 404)
	r, u := open(l, wf, "manual")
	check("another run's")
	if a := l.post(u, "new", "Id", "new"); a.body != "manual new" {
		t.Errorf("the new run answered %+v", a)
	}
	result(l, r)
}

// Repeats of a request that waits for its answer wait for the same one.
func TestRepeatsOfHeldRequests(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := workflow.Define("held", func(ctx workflow.Context, _ string) (int, error) {
		w, err := workflow.NewWebhook(ctx, workflow.RespondManually(), workflow.DedupeHeader("Id"))
		if err != nil {
			return 0, err
		}
		if err := l.opened(ctx, w); err != nil {
			return 0, err
		}
		n := 0
		for r, err := range w.All(ctx) {
			if err != nil {
				return n, err
			}
			n++
			if string(r.Body) == "stop" {
				break
			}
			// So that repeats find it unanswered.
			if err := workflow.Sleep(ctx, 100*time.Millisecond); err != nil {
				return n, err
			}
			if err := r.Respond(ctx, workflow.Text(200, fmt.Sprint("answer ", n))); err != nil {
				return n, err
			}
		}
		return n, nil
	})
	l.run(engine.Options{}, wf)
	r, u := open(l, wf, "")
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if a := l.post(u, "x", "Id", "1"); a.status != 200 || a.body != "answer 1" {
				t.Errorf("got %+v", a)
			}
		})
	}
	wg.Wait()
	wantStatus(l, l.post(u, "stop"), 500)
	if n := result(l, r); n != 2 {
		t.Errorf("the run took %d requests, want 2", n)
	}
}

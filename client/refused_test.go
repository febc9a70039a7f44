package client_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

// Refused requests are listed, described and delivered over HTTP as by the engine.
func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		run, err := receive.Start(ctx, c, "hub")
		w.ok(err)
		w.untilWaiting(run.ID())
		for _, body := range []string{"one", "two", "three"} {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.srv.URL+server.WebhookPath+"hub", strings.NewReader(body))
			w.ok(err)
			sign(req, "something else")
			res, err := w.srv.Client().Do(req)
			w.ok(err)
			w.ok(res.Body.Close())
			if res.StatusCode != http.StatusUnauthorized {
				t.Errorf("it is answered with %s", res.Status)
			}
		}
		page, err := c.RefusedRequests(ctx, inspect.RefusedFilter{Limit: 2})
		w.ok(err)
		rest, err := c.RefusedRequests(ctx, inspect.RefusedFilter{Before: page[1].Number})
		w.ok(err)
		if len(page) != 2 || len(rest) != 1 || rest[0].Request.BodySize != 3 || page[0].Request.BodySize != 5 {
			t.Errorf("pages are %+v and %+v", page, rest)
		}
		one, err := c.RefusedRequest(ctx, rest[0].ID)
		w.ok(err)
		if string(one.Request.Body) != "one" || one.Request.Header.Get("X-Hub-Signature-256") != "***" {
			t.Errorf("it is %+v", one)
		}
		one.Request.Body = nil
		if diff := cmp.Diff(rest[0], one); diff != "" {
			t.Errorf("in the list it is another (-list +one):\n%s", diff)
		}
		_, err = c.Redeliver(ctx, inspect.Redelivery{ID: one.ID})
		w.is(err, inspect.ErrNotVerified)
		for _, r := range []inspect.RefusedRequest{one, page[0]} {
			hook, err := c.Redeliver(ctx, inspect.Redelivery{ID: r.ID, Unverified: true})
			w.ok(err)
			if hook.RunID != run.ID() || hook.Token != "hub" || hook.Duplicate {
				t.Errorf("it is delivered to %+v", hook)
			}
		}
		if _, err := run.Result(ctx); err != nil {
			t.Errorf("the run got two requests, and ends with %v", err)
		}
		_, err = c.Redeliver(ctx, inspect.Redelivery{ID: page[1].ID, Unverified: true})
		w.is(err, workflow.ErrHookNotFound)
		for _, id := range append([]string{one.ID}, odd...) {
			_, err = c.RefusedRequest(ctx, id)
			w.is(err, inspect.ErrRefusedNotFound)
			_, err = c.Redeliver(ctx, inspect.Redelivery{ID: id})
			w.is(err, inspect.ErrRefusedNotFound)
			_, err = c.Link(ctx, id)
			w.is(err, workflow.ErrLinkNotFound)
		}
		if _, err := c.RefusedRequests(ctx, inspect.RefusedFilter{Limit: 1001}); err == nil {
			t.Error("a limit of 1001 is accepted")
		}
	})
}

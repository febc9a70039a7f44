package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

// An endpoint of the app's own that asks a run.
func TestCall(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	scores := workflow.DefineCall[review, int]("score")
	wf := workflow.Define("score", func(ctx workflow.Context, doc string) ([]string, error) {
		calls, err := scores.Open(ctx, workflow.Token("score:"+doc))
		if err != nil {
			return nil, err
		}
		if err := workflow.Do(ctx, "opened", func(context.Context) error { l.urls <- l.srv.URL + "/score/" + doc; return nil }); err != nil {
			return nil, err
		}
		var got []string
		for c, err := range calls.All(ctx) {
			if err != nil {
				return got, err
			}
			got = append(got, c.Input.Reviewer)
			switch {
			case c.Input.Reviewer == "nobody":
				err = c.Refuse(ctx, errors.New("nobody has no score"))
			case c.Input.Reviewer != "end":
				err = c.Return(ctx, c.Input.Score+1)
			}
			if err != nil || c.Input.Reviewer == "end" {
				return got, err
			}
		}
		return got, nil
	})
	l.run(engine.Options{}, wf)
	l.handle("/score/{doc}", func(e *engine.Engine) http.Handler {
		return server.Call(e, scores, func(r *http.Request) (string, error) { return "score:" + r.PathValue("doc"), nil }, server.Options{})
	})
	r, u := open(l, wf, "7")
	for range 2 {
		a := l.post(u, `{"score": 1, "reviewer": "ann"}`, "Idempotency-Key", "k1")
		if wantStatus(l, a, 200); a.body != "2\n" || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("got %+v", a)
		}
	}
	for body, want := range map[string]int{
		`{"score": 1, "reviewer": "nobody"}`: 422, `{"score": 1}`: 422, `{"scor": 1, "reviewer": "ann"}`: 400, `[]`: 400, ``: 400,
		`{"reviewer": "` + strings.Repeat("x", 2<<20) + `"}`: 413,
	} {
		a := l.post(u, body)
		var p struct{ Title, Detail string }
		err := json.Unmarshal([]byte(a.body), &p)
		if wantStatus(l, a, want); err != nil || p.Title == "" || p.Detail == "" {
			t.Errorf("%.40s: %s, %v", body, a.body, err)
		}
		if strings.Contains(body, "nobody") && p.Detail != "nobody has no score" {
			t.Errorf("the refusal is %s", a.body)
		}
	}
	wantStatus(l, l.send("GET", u, nil), 405)
	wantStatus(l, l.post(strings.TrimSuffix(u, "7")+"8", `{"reviewer": "ann"}`), 404)
	// The public route does not know it.
	wantStatus(l, l.post(l.srv.URL+server.WebhookPath+"score:7", `{"reviewer": "ann"}`), 404)
	wantStatus(l, l.post(u, `{"reviewer": "end"}`), 500)
	if got := strings.Join(result(l, r), " "); got != "ann nobody end" {
		t.Errorf("the run got %q", got)
	}
}

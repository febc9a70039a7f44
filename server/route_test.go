package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

// S12: the app authenticates a request itself and then hands it to the webhook.
func TestCustomRoute(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.answering()
	l.run(engine.Options{MaxPayload: 10_000}, wf)
	l.handle("POST /slack/{channel}", func(e *engine.Engine) http.Handler {
		return server.Webhook(e, func(r *http.Request) (string, error) {
			if r.Header.Get("Authorization") != "Bearer app" {
				return "", errors.New("who are you?")
			}
			return "slack:" + r.PathValue("channel"), nil
		}, server.Options{})
	})
	r, _ := open(l, wf, "slack:general")
	route := l.srv.URL + "/slack/general"
	wantStatus(l, l.post(route, "step a"), 404)
	wantStatus(l, l.post(l.srv.URL+"/slack/other", "step a", "Authorization", "Bearer app"), 404)
	wantStatus(l, l.post(route, strings.Repeat("x", 10_001), "Authorization", "Bearer app"), 413)
	for _, body := range []string{"step a", "workflow b", "step stop"} {
		a := l.post(route, body, "Authorization", "Bearer app")
		if wantStatus(l, a, 201); a.body != body {
			t.Errorf("got %q, want %q", a.body, body)
		}
	}
	if n := result(l, r); n != 3 {
		t.Errorf("the run took %d requests, want 3", n)
	}
}

// What the app reads of the body to find the token is delivered all the same.
func TestTokenFromBody(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.collector()
	l.run(engine.Options{MaxPayload: 10_000}, wf)
	l.handle("/form", func(e *engine.Engine) http.Handler {
		return server.Webhook(e, func(r *http.Request) (string, error) {
			err := r.ParseForm()
			return "slack:" + r.PostForm.Get("channel_id"), err
		}, server.Options{})
	})
	l.handle("/first-byte", func(e *engine.Engine) http.Handler {
		return server.Webhook(e, func(r *http.Request) (string, error) {
			first := make([]byte, 1)
			_, err := r.Body.Read(first)
			r.Body.Close()
			return "slack:C" + string(first), err
		}, server.Options{})
	})
	r, u := open(l, wf, "slack:C1")
	form := "channel_id=C1&text=hello+there"
	kind := []string{"Content-Type", "application/x-www-form-urlencoded"}
	wantStatus(l, l.post(l.srv.URL+"/form", form, kind...), 202)
	wantStatus(l, l.post(l.srv.URL+"/first-byte", "1 hello"), 202)
	wantStatus(l, l.post(l.srv.URL+"/form", "channel_id=C2", kind...), 404)
	wantStatus(l, l.post(l.srv.URL+"/form", form+strings.Repeat("x", 10_000), kind...), 413)
	if diff := cmp.Diff([]string{form, "1 hello"}, collected(l, r, u)); diff != "" {
		t.Error(diff)
	}
}

type review struct {
	Approved bool   `json:"approved"`
	Reviewer string `json:"reviewer"`
	Score    int    `json:"score"`
}

func (r review) Validate() error {
	if r.Reviewer == "" {
		return missing("reviewer")
	}
	return nil
}

// missing is a validation error that knows its field.
type missing string

func (m missing) Error() string { return string(m) + " is missing" }
func (m missing) Field() string { return string(m) }

// The typed door for the app's own endpoints.
func TestResume(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	reviews := workflow.DefineHook[review]("review")
	wf := workflow.Define("review", func(ctx workflow.Context, doc string) ([]string, error) {
		h, err := reviews.New(ctx, workflow.Token("approval:"+doc))
		if err != nil {
			return nil, err
		}
		if err := workflow.Do(ctx, "opened", func(context.Context) error { l.urls <- l.srv.URL + "/approve/" + doc; return nil }); err != nil {
			return nil, err
		}
		var got []string
		for r, err := range h.All(ctx) {
			if err != nil {
				return got, err
			}
			got = append(got, r.Reviewer)
			if r.Approved {
				break
			}
		}
		return got, nil
	})
	l.run(engine.Options{}, wf)
	l.handle("/approve/{doc}", func(e *engine.Engine) http.Handler {
		return server.Resume(e, reviews, func(r *http.Request) (string, error) { return "approval:" + r.PathValue("doc"), nil }, server.Options{})
	})
	r, u := open(l, wf, "7")

	a := l.post(u, `{"approved": false, "reviewer": "ann"}`, "Idempotency-Key", "k1")
	wantStatus(l, a, 202)
	var info struct {
		HookID    string `json:"hook_id"`
		RunID     string `json:"run_id"`
		Duplicate bool   `json:"duplicate"`
	}
	if err := json.Unmarshal([]byte(a.body), &info); err != nil || info.RunID != r.ID() || info.HookID == "" || info.Duplicate {
		t.Errorf("%s: %v", a.body, err)
	}
	a = l.send("PUT", u, strings.NewReader(`{"approved": false, "reviewer": "again"}`), "Idempotency-Key", "k1")
	wantStatus(l, a, 202)
	if err := json.Unmarshal([]byte(a.body), &info); err != nil || !info.Duplicate {
		t.Errorf("%s: %v", a.body, err)
	}
	for _, tt := range []struct {
		body   string
		status int
		field  string
	}{
		{`{"approved": "yes", "reviewer": "bob"}`, 400, "approved"},
		{`{"score": 1.5, "reviewer": "bob"}`, 400, "score"},
		{`{"score": 99999999999999999999, "reviewer": "bob"}`, 400, "score"},
		{`{"aproved": true, "reviewer": "bob"}`, 400, "aproved"},
		{`[]`, 400, ""},
		{``, 400, ""},
		{`{"reviewer": "bob"} {}`, 400, ""},
		{`{"reviewer": "bob"`, 400, ""},
		{"\x00", 400, ""},
		{`{"approved": true}`, 422, "reviewer"},
		{`{"reviewer": "` + strings.Repeat("x", 2<<20) + `"}`, 413, ""},
	} {
		a := l.post(u, tt.body)
		var p struct{ Title, Detail, Field string }
		err := json.Unmarshal([]byte(a.body), &p)
		if wantStatus(l, a, tt.status); err != nil || p.Field != tt.field || p.Title == "" || p.Detail == "" {
			t.Errorf("%.60s: %s, %v", tt.body, a.body, err)
		}
		if strings.Contains(a.body, "EOF") {
			t.Errorf("%q: that is not English: %s", tt.body, a.body)
		}
	}
	for body, want := range map[string]string{ // in the words of JSON
		`[]`:                  "the payload has to be an object, not an array",
		`{"approved": "yes"}`: "approved has to be a boolean, not a string",
		`{"score": {}}`:       "score has to be a whole number, not an object",
	} {
		if a := l.post(u, body); !strings.Contains(a.body, want) {
			t.Errorf("%s: %s does not say %q", body, a.body, want)
		}
	}
	if a := l.send("GET", u, nil); a.status != 405 || a.header.Get("Allow") != "POST, PUT" {
		t.Errorf("GET: %+v", a)
	}
	wantStatus(l, l.post(l.srv.URL+"/approve/8", `{"reviewer": "x"}`), 404)
	wantStatus(l, l.post(u, `{"approved": true, "reviewer": "zoe"}`), 202)
	if diff := cmp.Diff([]string{"ann", "zoe"}, result(l, r)); diff != "" {
		t.Error(diff)
	}
	wantStatus(l, l.post(u, `{"reviewer": "late"}`), 404)
	a = l.post(u, `{"reviewer": "late"}`, "Idempotency-Key", "k1")
	wantStatus(l, a, 202)
	l.stop()
	if a = l.post(u, `{"reviewer": "late"}`); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("from a closed engine: %+v", a)
	}
}

package dashboard_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/client"
	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

// leak is what an app may say of a token.
type leak struct {
	Token string `json:"token"`
	Link  string `json:"link"`
}

var told = workflow.Define("told", func(ctx workflow.Context, l leak) (string, error) {
	return "", workflow.Fatal(errors.New("nobody answers at " + l.Link))
})

// leaky opens a webhook with a generated token, and puts it wherever a run can put it.
var leaky = workflow.Define("leaky", func(ctx workflow.Context, custom string) (string, error) {
	hook, err := workflow.NewWebhook(ctx)
	if err != nil {
		return "", err
	}
	l := leak{hook.Token(), "<" + hook.URL() + ">"}
	plain, err := workflow.NewHook[leak](ctx, workflow.Token(custom), workflow.Metadata(l))
	if err != nil {
		return "", err
	}
	if _, err := workflow.Step(ctx, "hand out "+hook.Token(), func(context.Context) (leak, error) { return l, nil }); err != nil {
		return "", err
	}
	_ = workflow.Do(ctx, "fail", func(context.Context) error { return workflow.Fatal(errors.New("can't mail " + l.Link)) })
	if _, err := told.Call(ctx, l, workflow.RunID("told-"+custom)); err == nil {
		return "", errors.New("told has not failed")
	}
	if _, err := hook.Wait(ctx); err != nil {
		return "", err
	}
	if _, err := plain.Wait(ctx); err != nil {
		return "", err
	}
	_, err = plain.Wait(ctx)
	return l.Link, err
})

// A reader sees no generated token, on no page and by no request, and can't search for one.
func TestReaderSeesNoGeneratedToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{Access: keys}, func(o *engine.Options) {
		o.Workflows = append(o.Workflows, leaky, told)
	})
	const custom = "approve:ada"
	start(w, leaky, custom, workflow.RunID("one"))
	var generated, other workflow.HookInfo
	w.eventually(func() bool {
		hooks, err := w.eng.Hooks(t.Context(), inspect.HookFilter{RunID: "one"})
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range hooks {
			if h.Token == custom {
				other = h
			} else {
				generated = h
			}
		}
		return len(hooks) == 2
	})
	post(w, generated.Token, "Referer", "https://example.com/"+generated.Token, "X-Next", generated.Token)
	w.eventually(func() bool { // it has been taken in
		events, err := w.eng.Journal(t.Context(), "one", 0, 0)
		return err != nil || slices.ContainsFunc(events, func(e inspect.Event) bool { return e.Kind == "payload_received" })
	})
	if _, err := workflow.Resume(t.Context(), w.eng, custom, leak{generated.Token, "x-" + generated.Token}); err != nil {
		t.Fatal(err)
	}

	api := server.API(w.eng, server.APIOptions{Access: keys, Logger: slog.New(slog.DiscardHandler)})
	srv := httptest.NewServer(api)
	defer srv.Close()
	base := srv.URL
	fetch := func(v *visitor, path, secret string) string {
		t.Helper()
		if path, ok := strings.CutPrefix(path, "api:"); ok {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+server.APIPath+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+secret)
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != http.StatusOK {
				t.Errorf("%s: %s, %v", path, res.Status, err)
			}
			return string(body)
		}
		res, body := v.get(path, "Authorization", "Bearer "+secret)
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, res.Status)
		}
		return body
	}
	events, err := w.eng.Journal(t.Context(), "one", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{
		"", "hooks", "run?id=one", "journal?id=one", "run?id=told-" + custom, "journal?id=told-" + custom,
		"hook?run=one&id=" + generated.ID, "hook?run=one&id=" + other.ID,
		"payload?run=told-" + custom + "&event=1", "payload?run=told-" + custom + "&event=1&download=1",
		"api:runs", "api:runs/one", "api:runs/one/journal", "api:runs/one/mailbox", "api:runs/one/executing", "api:hooks", "api:hooks?run_id=one",
		"api:hooks/" + url.PathEscape(custom), "api:runs/told-" + url.PathEscape(custom) + "/result", "api:runs/told-" + url.PathEscape(custom) + "/journal", "api:catalog",
	}
	for _, e := range events {
		position := "&position=" + strconv.FormatInt(e.Position, 10)
		paths = append(paths, "event?id=one"+position, "payload?run=one&event="+strconv.FormatInt(e.Position, 10), "payload?download=1&run=one&event="+strconv.FormatInt(e.Position, 10))
	}
	v := newVisitor(w)
	seen := 0
	for _, path := range paths {
		if body := fetch(v, path, readSecret); strings.Contains(body, generated.Token) {
			at := strings.Index(body, generated.Token)
			t.Errorf("%s shows a reader …%s…", path, body[max(0, at-100):at])
		}
		if strings.Contains(fetch(v, path, writeSecret), generated.Token) {
			seen++
		}
	}
	if seen < 15 { // else the test looks in the wrong places
		t.Errorf("who may write sees the token in %d of %d places", seen, len(paths))
	}
	if body := fetch(v, "hooks", readSecret); !strings.Contains(body, custom) || !strings.Contains(body, generated.Token[:4]+"…") {
		t.Error("a reader does not see custom tokens, or no beginning of the others")
	}

	// Letter by letter.
	for _, n := range []int{1, 4, 31, 32} {
		prefix := url.QueryEscape(generated.Token[:n])
		if body := fetch(v, "hooks?prefix="+prefix, readSecret); strings.Contains(body, generated.ID) {
			t.Errorf("a reader finds the hook by %d letters of its token in the dashboard", n)
		}
		if body := fetch(v, "api:hooks?prefix="+prefix, readSecret); strings.Contains(body, generated.ID) {
			t.Errorf("a reader finds the hook by %d letters of its token in the API", n)
		}
		if body := fetch(v, "api:hooks?prefix="+prefix, writeSecret); !strings.Contains(body, generated.ID) {
			t.Errorf("a writer does not find the hook by %d letters of its token", n)
		}
	}

	// From afar too.
	c, err := client.New(base, client.Options{APIKey: readSecret})
	if err != nil {
		t.Fatal(err)
	}
	detail, err := inspect.Load(t.Context(), c, "one")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range detail.Hooks {
		if h.ID == generated.ID {
			if !inspect.IsMasked(h.Token) {
				t.Errorf("the token is shown as %s", h.Token)
			}
			if _, err := c.HookByToken(t.Context(), h.Token); !errors.Is(err, workflow.ErrHookNotFound) {
				t.Errorf("by what it is shown a reader finds the hook: %v", err)
			}
		}
	}
}

package routers

import (
	"context"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/client"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

const (
	key       = "0123456789abcdef0123456789abcdef"
	publicURL = "https://example.com"
)

// echoing answers each request to the token with its body, up to "stop".
var echoing = workflow.Define("echoing", func(ctx workflow.Context, token string) (int, error) {
	w, err := workflow.NewWebhook(ctx, workflow.Token(token), workflow.RespondManually())
	if err != nil {
		return 0, err
	}
	n := 0
	for r, err := range w.All(ctx) {
		if err != nil {
			return n, err
		}
		if err := r.Respond(ctx, workflow.Text(201, string(r.Body))); err != nil {
			return n, err
		}
		if n++; string(r.Body) == "stop" {
			break
		}
	}
	return n, nil
})

// reviewing takes a decision at the endpoint of the app, and one from the answer page of a link.
func reviewing(links chan<- string) *workflow.Workflow[string, []decision] {
	return workflow.Define("reviewing", func(ctx workflow.Context, id string) (got []decision, err error) {
		hook, err := decisions.New(ctx, workflow.Token("review:"+id))
		if err != nil {
			return nil, err
		}
		link, err := workflow.AnswerLink(ctx, hook, workflow.Addressee("ada"))
		if err != nil {
			return nil, err
		}
		if err := workflow.Do(ctx, "send", func(context.Context) error { links <- link.URL(); return nil }); err != nil {
			return nil, err
		}
		for range 2 {
			d, err := hook.Wait(ctx)
			if err != nil {
				return nil, err
			}
			got = append(got, d)
		}
		return got, nil
	})
}

func TestRouters(t *testing.T) {
	t.Parallel()
	for name, mount := range map[string]func(handlers) http.Handler{"net/http": netHTTP, "chi": withChi, "gin": withGin, "echo": withEcho} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, err := sqlite.Open(filepath.Join(t.TempDir(), "routers.db"))
			if err != nil {
				t.Fatal(err)
			}
			links := make(chan string, 10)
			review := reviewing(links)
			eng, err := engine.New(st, engine.Options{
				Workflows: []workflow.Definition{echoing, review}, PublicURL: publicURL,
				Hooks: []workflow.HookDefinition{decisions}, AnswerKeys: []engine.AnswerKey{{ID: "k", Key: []byte(key)}},
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- eng.Run(ctx) }()
			srv := httptest.NewServer(mount(newHandlers(eng, access.Policy{APIKeys: []access.APIKey{{Secret: key, Scope: access.Write}}})))
			t.Cleanup(func() {
				stop()
				srv.Close()
				if err := errors.Join(<-done, eng.Close(), st.Close()); err != nil {
					t.Error(err)
				}
			})
			webhooks(t, eng, srv.URL)
			run, err := review.Start(t.Context(), eng, "C 1")
			if err != nil {
				t.Fatal(err)
			}
			link := <-links
			theEndpoint(t, srv.URL)
			theAnswerPage(t, srv.URL, link)
			if got, err := run.Result(t.Context()); err != nil || !slices.Equal(got, []decision{{Approved: false}, {Approved: true}}) {
				t.Errorf("the run got %+v, %v", got, err)
			}
			theAPI(t, srv.URL)
			thePages(t, srv.URL)
		})
	}
}

func webhooks(t *testing.T, eng *engine.Engine, base string) {
	t.Helper()
	tokens := map[string]string{ // where each can be reached
		"plain":       server.WebhookPath + "plain",
		"with/slash":  server.WebhookPath + "with%2Fslash",
		"ü and %2F":   server.WebhookPath + url.PathEscape("ü and %2F"),
		"chat:C 1":    "/chat/C%201",
		"chat:public": server.WebhookPath + "chat:public",
	}
	for token, path := range tokens {
		run, err := echoing.Start(t.Context(), eng, token)
		if err != nil {
			t.Fatal(err)
		}
		isOpen(t, eng, token)
		want(t, "DELETE", base+server.WebhookPath+url.PathEscape(token), "gone", 201)
		for _, body := range []string{"hello", "stop"} {
			if got := want(t, "POST", base+path, body, 201); got != body {
				t.Errorf("POST %s was answered with %q, want %q", path, got, body)
			}
		}
		if n, err := run.Result(t.Context()); err != nil || n != 3 {
			t.Errorf("the run of %q took %d requests, %v", token, n, err)
		}
	}
	want(t, "POST", base+server.WebhookPath+"unknown", "", 404)
	want(t, "POST", base+"/chat/unknown", "", 404)
	// What a router makes of a token with a slash that a proxy has unescaped.
	if _, err := echoing.Start(t.Context(), eng, "a/b"); err != nil {
		t.Fatal(err)
	}
	isOpen(t, eng, "a/b")
	want(t, "GET", base+server.WebhookPath+"a/b", "", 405)
	want(t, "POST", base+server.WebhookPath+"a/b", "stop", 201)
}

// isOpen waits until a hook has the token.
func isOpen(t *testing.T, c workflow.Client, token string) {
	t.Helper()
	for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
		if _, err := c.HookByToken(t.Context(), token); err == nil || t.Context().Err() != nil {
			return
		}
	}
}

func theEndpoint(t *testing.T, base string) {
	t.Helper()
	want(t, "POST", base+"/reviews/unknown/decision", `{"approved":false}`, 404)
	want(t, "POST", base+"/reviews/C%201/decision", `{"approved":"no"}`, 400)
	want(t, "POST", base+"/reviews/C%201/decision", `{"approved":false}`, 202)
}

func theAnswerPage(t *testing.T, base, link string) {
	t.Helper()
	path, ok := strings.CutPrefix(link, publicURL)
	if !ok {
		t.Fatalf("the link is %s", link)
	}
	want(t, "GET", base+path+"x", "", 404)
	want(t, "HEAD", base+path, "", 200)
	page := want(t, "GET", base+path+"?choice=true", "", 200)
	form := url.Values{"f/approved": {"true"}}
	for _, field := range regexp.MustCompile(`<input type="hidden" name="(_\w+)" value="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	page = want(t, "POST", base+path, form.Encode(), 200, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
	if !strings.Contains(page, "Your answer is recorded") {
		t.Errorf("the answer page says after the answer:\n%s", page)
	}
	want(t, "GET", base+path, "", 410)
}

func theAPI(t *testing.T, base string) {
	t.Helper()
	c, err := client.New(base, client.Options{APIKey: key})
	if err != nil {
		t.Fatal(err)
	}
	runs, err := c.Runs(t.Context(), inspect.RunFilter{Limit: 3})
	if err != nil || len(runs) != 3 {
		t.Errorf("the API lists %d runs, %v", len(runs), err)
	}
	run, err := echoing.Start(t.Context(), c, "via the API")
	if err != nil {
		t.Fatal(err)
	}
	isOpen(t, c, "via the API")
	changes, stop := context.WithCancel(t.Context())
	defer stop()
	// A stream is not held up by the router.
	if err := c.Watch(changes, run.ID(), func(inspect.Change) { stop() }); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	want(t, "POST", base+server.WebhookPath+"via%20the%20API", "stop", 201)
	if n, err := run.Result(t.Context()); err != nil || n != 1 {
		t.Errorf("the run took %d requests, %v", n, err)
	}
}

func thePages(t *testing.T, base string) {
	t.Helper()
	if page := want(t, "GET", base+"/dashboard/signin", "", 200); !strings.Contains(page, "<form") {
		t.Errorf("the page to sign in is %q", page)
	}
}

func want(t *testing.T, method, url, body string, status int, header ...string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		t.Fatalf("%s %s: status %d, want %d: %s %v", method, url, resp.StatusCode, status, got, err)
	}
	return string(got)
}

// TestDocsSayTheSame compares docs/webhooks.md with the code here.
func TestDocsSayTheSame(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Routers\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := regexp.MustCompile(`(?m)^\| \[[^\]]+\]\(\.\./examples/routers/(\w+\.go)\) \|(.*)$`).FindAllStringSubmatch(section, -1)
	if len(rows) != 4 {
		t.Fatalf("docs/webhooks.md has lines for %d routers", len(rows))
	}
	for _, row := range rows {
		code, err := os.ReadFile(row[1])
		if err != nil {
			t.Fatal(err)
		}
		lines := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[2], -1)
		if len(lines) < 2 {
			t.Errorf("%s: docs/webhooks.md has %d lines", row[1], len(lines))
		}
		for _, line := range lines {
			// The page mounts a handler, whatever it is called.
			if !strings.Contains(string(code), line[1]) {
				t.Errorf("%s does not have %q", row[1], line[1])
			}
		}
	}
}

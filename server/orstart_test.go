package server_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/sender"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

// taking takes n requests under a token, answers each, and returns their bodies.
func (l *lab) taking(n int, opts ...workflow.WebhookOption) *workflow.Workflow[string, []string] {
	return workflow.Define("taking", func(ctx workflow.Context, token string) ([]string, error) {
		w, err := workflow.NewWebhook(ctx, append([]workflow.WebhookOption{workflow.Token(token)}, opts...)...)
		if err != nil {
			return nil, err
		}
		if err := l.opened(ctx, w); err != nil {
			return nil, err
		}
		var bodies []string
		for range n {
			r, err := w.Wait(ctx)
			if err != nil {
				return nil, err
			}
			answer := fmt.Sprintf("%s by %s", r.Body, workflow.InfoOf(ctx).RunID)
			if err := r.Respond(ctx, workflow.Text(200, answer)); err != nil {
				return nil, err
			}
			bodies = append(bodies, string(r.Body))
		}
		return bodies, nil
	}, workflow.StartedByRequest())
}

// ofToken is the input of runs that need to know their token only.
func ofToken(token string, _ *workflow.Request) (string, error) { return token, nil }

// knocks serves POST /knock/{token}, where requests start runs.
func (l *lab) knocks(w *workflow.Workflow[string, []string], opts ...workflow.WebhookOption) {
	l.handle("POST /knock/{token}", func(e *engine.Engine) http.Handler {
		return server.Webhook(e, func(r *http.Request) (string, error) { return r.PathValue("token"), nil },
			server.Options{Logger: l.logger()}, server.OrStart(w, ofToken, opts...))
	})
}

func (l *lab) runs() map[string]workflow.Status {
	l.Helper()
	all, err := l.eng.Runs(l.Context(), inspect.RunFilter{})
	if err != nil {
		l.Fatal(err)
	}
	statuses := map[string]workflow.Status{}
	for _, r := range all {
		statuses[r.ID] = r.Status
	}
	return statuses
}

// The first request starts the run and is its first payload; when the run has ended, the next one does.
func TestOrStart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.taking(2)
	l.run(engine.Options{CacheSize: -1}, wf)
	l.knocks(wf)
	for round := range 2 {
		wantStatus(l, l.post(l.srv.URL+"/knock/a", "one"), 202)
		receive(l, l.urls)
		wantStatus(l, l.post(l.srv.URL+"/knock/a", "two"), 202)
		hooks := 0
		for id := range l.runs() {
			if got, err := workflow.Get[[]string](l.eng, id).Result(t.Context()); err != nil || !cmp.Equal(got, []string{"one", "two"}) {
				t.Errorf("round %d: run %s took %q, %v", round, id, got, err)
			}
			hooks++
		}
		if hooks != round+1 {
			t.Errorf("round %d: there are %d runs", round, hooks)
		}
	}
}

// Requests that a run leaves unread start the next one, and whoever waits for an answer gets it there.
// A repeat gets the answer of the first request, whoever has the token by then.
func TestOrStartGoesOnWithTheNextRun(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	opts := []workflow.WebhookOption{workflow.RespondManually(), workflow.DedupeHeader("Delivery")}
	wf := l.taking(1, opts...)
	l.run(engine.Options{}, wf)
	l.knocks(wf, opts...)
	answers := make([]answer, 20)
	send := func(i int) answer {
		return l.post(l.srv.URL+"/knock/a", fmt.Sprint(i), "Delivery", fmt.Sprint(i))
	}
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = send(i) })
	}
	all.Wait()
	by := map[string]bool{}
	for i, a := range answers {
		wantStatus(l, a, 200)
		body, run, _ := strings.Cut(a.body, " by ")
		if body != fmt.Sprint(i) || by[run] {
			t.Errorf("request %d was answered with %q", i, a.body)
		}
		by[run] = true
		if again := send(i); again.status != a.status || again.body != a.body {
			t.Errorf("request %d was answered with %q, and its repeat with %q", i, a.body, again.body)
		}
	}
	if n := len(l.runs()); n != len(answers) {
		t.Errorf("there are %d runs, want %d", n, len(answers))
	}
}

// What is not a request does not start a run that waits for one, and the reverse; nothing is written.
func TestOrStartIsForRequestsOnly(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.taking(1)
	plain := workflow.Define("plain", func(ctx workflow.Context, token string) (string, error) {
		h, err := workflow.NewHook[string](ctx, workflow.Token(token))
		if err != nil {
			return "", err
		}
		return h.Wait(ctx)
	})
	l.run(engine.Options{}, wf, plain)
	l.knocks(wf)
	refused := func(err error) {
		t.Helper()
		if _, ok := errors.AsType[*workflow.PayloadError](err); !ok {
			t.Errorf("a payload was answered with %v", err)
		}
	}
	in, err := json.Marshal("a")
	if err != nil {
		t.Fatal(err)
	}
	_, err = workflow.Resume(t.Context(), l.eng, "a", 1, workflow.OrStart(wf, "a"))
	refused(err)
	_, err = l.eng.ResumeHook(t.Context(), workflow.ResumeRequest{Token: "a", Payload: in, OrStart: &workflow.StartRequest{Workflow: "taking", Input: in}})
	refused(err)
	if n := len(l.runs()); n != 0 {
		t.Errorf("there are %d runs", n)
	}

	// The token is that of a hook: one that is open, and one that is to be opened.
	client, stop := l.runOn(l.store, engine.Options{})
	defer stop()
	elsewhere := workflow.Declare[string, string]("elsewhere")
	if _, err := plain.Start(t.Context(), l.eng, "open"); err != nil {
		t.Fatal(err)
	}
	for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
		if _, err := l.eng.HookByToken(t.Context(), "open"); err == nil {
			break
		}
	}
	if _, err := workflow.Resume(t.Context(), client, "reserved", "1", workflow.OrStart(elsewhere, "")); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"open", "reserved"} {
		before := len(l.runs())
		wantStatus(l, l.post(l.srv.URL+"/knock/"+token, "x"), 404)
		if n := len(l.runs()); n != before {
			t.Errorf("a request to hook %s has started a run", token)
		}
	}

	// The token is that of a webhook which its run has still to open.
	unattended := workflow.Declare[string, []string]("unattended")
	h := server.Webhook(client, func(*http.Request) (string, error) { return "knocked", nil }, server.OrStart(unattended, ofToken))
	l.mux.Handle("/knocked", h)
	wantStatus(l, l.post(l.srv.URL+"/knocked", "x"), 202)
	wantStatus(l, l.post(l.srv.URL+"/knocked", "y"), 202)
	wantStatus(l, l.post(l.urlOf("knocked"), "y"), 404) // only the run knows whom the public route may let in
	_, err = workflow.Resume(t.Context(), l.eng, "knocked", 1)
	refused(err)
	_, err = workflow.Resume(t.Context(), client, "knocked", 1, workflow.OrStart(elsewhere, ""))
	refused(err)
}

// A workflow that is not what it was declared to be learns so where it opens its hook.
func TestReservedForRequests(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	plain := workflow.Define("taking", func(ctx workflow.Context, token string) ([]string, error) {
		_, err := workflow.NewHook[string](ctx, workflow.Token(token))
		return nil, err
	}, workflow.StartedByRequest())
	page := workflow.Define("page", func(ctx workflow.Context, token string) (string, error) {
		_, err := workflow.NewWebhook(ctx, workflow.Token(token))
		return "", err
	})
	l.run(engine.Options{}, plain, page)
	l.knocks(plain)
	wantStatus(l, l.post(l.srv.URL+"/knock/a", "x"), 202)
	if _, err := workflow.Resume(t.Context(), l.eng, "b", 1, workflow.OrStart(page, "b")); err != nil {
		t.Fatal(err)
	}
	for id := range l.runs() {
		_, err := workflow.Get[any](l.eng, id).Result(t.Context())
		if _, ok := errors.AsType[*workflow.HookTypeError](err); !ok {
			t.Errorf("run %s failed with %v", id, err)
		}
	}
}

// A request that is not for a new run is one for an open webhook all the same.
func TestInputOfOrStart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.taking(2)
	l.run(engine.Options{}, wf)
	l.handle("/orders", func(e *engine.Engine) http.Handler {
		return server.Webhook(e, func(*http.Request) (string, error) { return "order", nil }, server.Options{Logger: l.logger()},
			server.OrStart(wf, func(token string, r *workflow.Request) (string, error) {
				if r.Header.Get("Topic") != "created" {
					return "", errors.New("the order is not new")
				}
				return token, nil
			}))
	})
	wantStatus(l, l.post(l.srv.URL+"/orders", "x", "Topic", "paid"), 404)
	if got := l.logs.String(); !strings.Contains(got, "the order is not new") {
		t.Errorf("the log is %q", got)
	}
	wantStatus(l, l.post(l.srv.URL+"/orders", "x", "Topic", "created"), 202)
	receive(l, l.urls)
	wantStatus(l, l.post(l.srv.URL+"/orders", "y", "Topic", "paid"), 202)
	for id := range l.runs() {
		if got, err := workflow.Get[[]string](l.eng, id).Result(t.Context()); err != nil || !cmp.Equal(got, []string{"x", "y"}) {
			t.Errorf("got %q, %v", got, err)
		}
	}
	wantStatus(l, l.post(l.srv.URL+"/orders", "z", "Topic", "paid"), 404)
}

// On the public route a request starts a run only if it is verified, and only at the URL of the token
// that its body has.
func TestOrStartOnThePublicRoute(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.taking(2, workflow.Verify("them"))
	l.run(engine.Options{Senders: map[string]*sender.Sender{"them": sender.Must(sender.GitHub(secret))}}, wf)
	tokenOf := func(body []byte) (string, error) {
		var event struct{ Repository string }
		err := json.Unmarshal(body, &event)
		return "repo:" + event.Repository, err
	}
	public := server.Webhooks(l.eng, server.TokenFrom(tokenOf, server.OrStart(wf, ofToken, workflow.Verify("them"))))
	l.mux.Handle("/public/", http.StripPrefix("/public", public))
	at := func(repo string) string {
		return strings.Replace(l.urlOf("repo:"+repo), l.srv.URL, l.srv.URL+"/public", 1)
	}
	body := `{"repository":"one"}`
	signed := []string{"X-Hub-Signature-256", "sha256=" + hex.EncodeToString(mac(body))}
	wantStatus(l, l.post(at("one"), body), 401)
	wantStatus(l, l.post(at("two"), body, signed...), 404)
	wantStatus(l, l.post(at("one"), "{}", signed...), 404)
	if n := len(l.runs()); n != 0 {
		t.Errorf("there are %d runs", n)
	}
	wantStatus(l, l.post(at("one"), body, signed...), 202)
	receive(l, l.urls)
	wantStatus(l, l.post(at("one"), body), 401)
	wantStatus(l, l.post(l.urlOf("repo:one"), body, signed...), 202)
	for id := range l.runs() {
		if got, err := workflow.Get[[]string](l.eng, id).Result(t.Context()); err != nil || !cmp.Equal(got, []string{body, body}) {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

// A caller who can't sign learns nothing of plain hooks, whose tokens are as those that nobody has.
func TestOrStartShowsNoPlainHooks(t *testing.T) {
	t.Parallel()
	for _, cache := range []int{0, -1} { // its run is in memory, or not
		l := newLab(t)
		wf := l.taking(1, workflow.Verify("them"))
		plain := workflow.Define("plain", func(ctx workflow.Context, token string) (string, error) {
			h, err := workflow.NewHook[string](ctx, workflow.Token(token))
			if err != nil {
				return "", err
			}
			if err := workflow.Do(ctx, "opened", func(context.Context) error { l.urls <- token; return nil }); err != nil {
				return "", err
			}
			return h.Wait(ctx)
		})
		l.run(engine.Options{CacheSize: cache, KeepRefused: 10, Senders: map[string]*sender.Sender{"them": sender.Must(sender.GitHub(secret))}}, wf, plain)
		taken := fmt.Sprint("taken", cache)
		if _, err := plain.Start(t.Context(), l.eng, taken); err != nil {
			t.Fatal(err)
		}
		receive(l, l.urls)
		mux := http.NewServeMux()
		tokenOf := func(body []byte) (string, error) { return string(body), nil }
		start := server.OrStart(wf, ofToken, workflow.Verify("them"))
		mux.Handle("/", server.Webhooks(l.eng, server.Options{Logger: l.logger()}, server.TokenFrom(tokenOf, start)))
		mux.Handle("POST /own/{token}", server.Webhook(l.eng, func(r *http.Request) (string, error) { return r.PathValue("token"), nil }, server.Options{Logger: l.logger()}, start))
		for _, path := range []string{server.WebhookPath, "/own/"} {
			for token, want := range map[string]int{taken: 404, fmt.Sprint("free", cache) + path[1:2]: 202} {
				if code := deliver(mux, path+token, token); code != 401 {
					t.Errorf("%s%s: unsigned, it is answered with %d", path, token, code)
				}
				if code := deliver(mux, path+token, token, "X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac(token))); code != want {
					t.Errorf("%s%s: signed, it is answered with %d, want %d", path, token, code, want)
				}
			}
		}
		for _, r := range l.refused() {
			if r.HookID != "" || r.RunID != "" {
				t.Errorf("kept is %+v", r)
			}
		}
	}
}

// A route whose first request comes from a known sender answers its handshake, which has no token.
func TestHandshakeBeforeTheFirstRequest(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.taking(1, workflow.From("slack"))
	l.run(engine.Options{Senders: senders()}, wf)
	l.handle("POST /slack/events", func(e *engine.Engine) http.Handler {
		return server.Webhook(e, func(r *http.Request) (string, error) {
			var event struct{ Channel string }
			if err := json.NewDecoder(r.Body).Decode(&event); err != nil || event.Channel == "" {
				return "", errors.New("no channel")
			}
			return "slack:" + event.Channel, nil
		}, server.Options{Logger: l.logger()}, server.OrStart(wf, ofToken, workflow.From("slack")))
	})
	const challenge, event = `{"type":"url_verification","challenge":"abc"}`, `{"type":"event_callback","event_id":"Ev1","channel":"C1"}`
	if a := l.post(l.srv.URL+"/slack/events", challenge, signedAsSlack(challenge)...); a.status != 200 || a.body != "abc" {
		t.Errorf("got %+v", a)
	}
	for range 2 {
		if a := l.post(l.srv.URL+"/slack/events", event, signedAsSlack(event)...); a.status/100 != 2 {
			t.Errorf("got %+v", a)
		}
	}
	for id := range l.runs() {
		if got, err := workflow.Get[[]string](l.eng, id).Result(t.Context()); err != nil || !cmp.Equal(got, []string{event}) {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if n := len(l.runs()); n != 1 {
		t.Errorf("there are %d runs", n)
	}
	wantStatus(l, l.post(l.srv.URL+"/slack/events", event), 401)
}

// The sender of the route holds when the run has opened a webhook that lets everybody in.
func TestOrStartVerifiesAlways(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.taking(2)
	l.run(engine.Options{Senders: map[string]*sender.Sender{"them": sender.Must(sender.GitHub(secret))}}, wf)
	l.knocks(wf, workflow.Verify("them"))
	signed := []string{"X-Hub-Signature-256", "sha256=" + hex.EncodeToString(mac("x"))}
	wantStatus(l, l.post(l.srv.URL+"/knock/a", "x"), 401)
	wantStatus(l, l.post(l.srv.URL+"/knock/a", "x", signed...), 202)
	receive(l, l.urls)
	wantStatus(l, l.post(l.srv.URL+"/knock/a", "x"), 401)
	wantStatus(l, l.post(l.srv.URL+"/knock/a", "x", signed...), 202)
}

func TestMisusedOrStart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.taking(1)
	plain := l.collector()
	l.run(engine.Options{}, wf, plain)
	token := func(*http.Request) (string, error) { return "", nil }
	ofBody := func([]byte) (string, error) { return "", nil }
	for want, f := range map[string]func(){
		"wrap it in TokenFrom":       func() { server.Webhooks(l.eng, server.OrStart(wf, ofToken)) },
		"needs workflow.From":        func() { server.Webhooks(l.eng, server.TokenFrom(ofBody, server.OrStart(wf, ofToken))) },
		"TokenFrom is for Webhooks":  func() { server.Webhook(l.eng, token, server.TokenFrom(ofBody, server.OrStart(wf, ofToken))) },
		"workflow.StartedByRequest":  func() { server.Webhook(l.eng, token, server.OrStart(plain, ofToken)) },
		"its token and metadata are": func() { server.Webhook(l.eng, token, server.OrStart(wf, ofToken, workflow.Token("t"))) },
		"exclude each other": func() {
			server.Webhook(l.eng, token, server.OrStart(wf, ofToken, workflow.RespondManually(), workflow.RespondWith(workflow.Text(200, ""))))
		},
		`no sender "them"`: func() { server.Webhook(l.eng, token, server.OrStart(wf, ofToken, workflow.Verify("them"))) },
	} {
		func() {
			defer func() {
				if said := fmt.Sprint(recover()); !strings.Contains(said, want) {
					t.Errorf("it says %q, want %q", said, want)
				}
			}()
			f()
		}()
	}
}

// Whoever has hung up has sent a request all the same.
func TestHungUpOrStart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.taking(1, workflow.RespondManually())
	l.run(engine.Options{}, wf)
	first, err := l.eng.NewFirstRequest("taking", func(token string, _ *workflow.Request) (workflow.StartRequest, error) {
		in, err := json.Marshal(token)
		return workflow.StartRequest{Workflow: "taking", RunID: "r", Input: in}, err
	}, workflow.RespondManually())
	if err != nil {
		t.Fatal(err)
	}
	w, err := first.Webhook(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = w.Deliver(ctx, &workflow.Request{Method: "POST", Body: []byte("x")}) // an answer that is there at once may be returned
	if got, err := wf.Get(l.eng, "r").Result(t.Context()); err != nil || !cmp.Equal(got, []string{"x"}) {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := w.Deliver(t.Context(), &workflow.Request{Method: "POST", Body: []byte("x")}); !errors.Is(err, workflow.ErrRunExists) {
		t.Errorf("a request for a run that is there: %v", err)
	}
}

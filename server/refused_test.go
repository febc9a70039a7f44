package server_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/memdir"
	"github.com/tenter-dev/tenter/sender"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// bubbleLab is a lab without sockets, for fake time.
func bubbleLab(t *testing.T) (l *lab, end func()) {
	st, err := sqlite.Open(memdir.TempDir(t) + "/lab.db")
	if err != nil {
		t.Fatal(err)
	}
	l = &lab{T: t, store: st, logs: &logbook{}, urls: make(chan string, 10), stop: func() {}}
	return l, func() {
		l.stop()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Strangers can't fill the log, and what was not logged is counted all the same, by reason.
func TestRefusedRequestsAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, end := bubbleLab(t)
		defer end()
		reader := sdkmetric.NewManualReader()
		wf := l.collector(workflow.From("slack"))
		l.runExactly(engine.Options{
			PublicURL: "https://app.test", Senders: senders(),
			MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
		}, wf)
		open(l, wf, "t")
		h := server.Webhooks(l.eng, server.Options{Logger: l.logger()})
		send := func(n int, header ...string) {
			t.Helper()
			for range n {
				r := httptest.NewRequest(http.MethodPost, server.WebhookPath+"t", strings.NewReader("{}"))
				for i := 0; i < len(header); i += 2 {
					r.Header.Add(header[i], header[i+1])
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != http.StatusUnauthorized {
					t.Errorf("got %d", w.Code)
				}
			}
		}
		wantLines := func(want int) {
			t.Helper()
			if n := strings.Count(l.logs.String(), "refused a webhook request"); n != want {
				t.Errorf("there are %d lines, want %d:\n%s", n, want, l.logs)
			}
		}
		send(15)
		send(50, signedAsSlack("another")...)
		wantLines(20)
		<-time.After(time.Minute)
		send(1, append(signedAsSlack("{}"), "X-Slack-Signature", "v0=")...)
		wantLines(21)
		if !strings.Contains(l.logs.String(), "unlogged=45") {
			t.Errorf("the log does not say what is not in it:\n%s", l.logs)
		}

		var all metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		got := map[string]int64{}
		for _, m := range all.ScopeMetrics[0].Metrics {
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "tenter.payload.sent" {
				for _, p := range sum.DataPoints {
					if reason, ok := p.Attributes.Value("tenter.reason"); ok {
						got[reason.AsString()] += p.Value
					}
				}
			}
		}
		if len(got) != 3 || got["missing"] != 15 || got["mismatch"] != 50 || got["repeated"] != 1 {
			t.Errorf("by reason there are %v", got)
		}
	})
}

const oldSecret = "the secret before this one"

// refusing is an engine whose senders have another secret than those who send.
func refusing(keep int) engine.Options {
	return engine.Options{PublicURL: "https://app.test", KeepRefused: keep, Senders: map[string]*sender.Sender{
		"slack": sender.Must(sender.Slack(oldSecret)), "github": sender.Must(sender.GitHub(oldSecret)), "graph": sender.Must(sender.MicrosoftGraph(oldSecret)),
	}}
}

// mended is the same with the right one.
func mended() engine.Options {
	return engine.Options{PublicURL: "https://app.test", Senders: senders()}
}

// deliver sends a request to a handler, without a socket.
func deliver(h http.Handler, path, body string, header ...string) int {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

func (l *lab) refused() []inspect.RefusedRequest {
	l.Helper()
	all, err := l.eng.RefusedRequests(l.Context(), inspect.RefusedFilter{})
	if err != nil {
		l.Fatal(err)
	}
	return all
}

// A request that was refused is delivered after the secret is mended, by another process and long after:
// it is judged as of the time when it came. The sender's repeats are dropped.
func TestRedeliver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, end := bubbleLab(t)
		defer end()
		wf := l.collector(workflow.From("slack"))
		l.runExactly(refusing(10), wf)
		r, _ := open(l, wf, "t")
		received := time.Now()
		event := `{"type":"event_callback","event_id":"Ev1"}`
		signed := append(signedAsSlack(event), "Authorization", "Bearer of secrets", "X-Slack-Retry-Num", "1")
		public := func() http.Handler { return server.Webhooks(l.eng, server.Options{Logger: l.logger()}) }
		if code := deliver(public(), server.WebhookPath+"t?a=1", event, signed...); code != 401 {
			t.Fatalf("it is answered with %d", code)
		}
		for _, path := range []string{"unknown", "t/"} {
			if code := deliver(public(), server.WebhookPath+path, event, signed...); code != 404 {
				t.Errorf("%s is answered with %d", path, code)
			}
		}
		deliver(public(), server.WebhookPath+"t", `{"type":"url_verification","challenge":"abc"}`, signed...) // a handshake
		deliver(public(), server.WebhookPath+"t", strings.Repeat("x", 64<<10), signed...)
		all := l.refused()
		if len(all) != 1 {
			t.Fatalf("%d are kept: %+v", len(all), all)
		}
		kept, err := l.eng.RefusedRequest(t.Context(), all[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		kept.Request.ID = ""
		want := inspect.RefusedRequest{
			ID: all[0].ID, Token: "t", HookID: r.ID() + ".h1", RunID: r.ID(), Sender: "slack", Number: all[0].Number,
			Reason: "sender: slack: X-Slack-Signature: no signature matches: the body was changed on the way, or the Signing Secret, on the app's page Basic Information, is another one",
			Request: inspect.Request{
				Method: "POST", URL: server.WebhookPath + "t?a=1", Host: "example.com", RemoteAddr: "192.0.2.1:1234", ReceivedAt: received.UTC(),
				Body: []byte(event), BodySize: len(event), Header: http.Header{
					"Authorization": {"***"}, "X-Slack-Signature": {"***"}, "X-Slack-Request-Timestamp": {signed[1]}, "X-Slack-Retry-Num": {"1"},
				},
			},
		}
		if diff := cmp.Diff(want, kept); diff != "" {
			t.Errorf("kept (-want +got):\n%s", diff)
		}
		if all[0].Request.Body != nil || all[0].Request.BodySize != len(event) {
			t.Errorf("in the list it is %+v", all[0])
		}

		// The old secret still refuses it, and it stays.
		again := inspect.Redelivery{ID: kept.ID}
		if _, err := l.eng.Redeliver(t.Context(), again); !errors.Is(err, engine.ErrNotVerified) {
			t.Errorf("with the old secret: %v", err)
		}
		<-time.After(time.Hour)
		l.runExactly(mended(), wf)
		if code := deliver(public(), server.WebhookPath+"t", event, signed...); code != 401 {
			t.Errorf("by now it is too old, and is answered with %d", code)
		}
		ctx := workflow.WithActor(t.Context(), workflow.Actor{Name: "olga", Via: "cli"})
		hook, err := l.eng.Redeliver(ctx, again)
		if err != nil || hook.RunID != r.ID() || hook.Duplicate {
			t.Errorf("redelivered to %+v, %v", hook, err)
		}
		if _, err := l.eng.Redeliver(ctx, again); !errors.Is(err, inspect.ErrRefusedNotFound) {
			t.Errorf("again: %v", err)
		}
		fresh := signedAsSlack(event) // Slack repeats it
		if code := deliver(public(), server.WebhookPath+"t", event, fresh...); code != 200 {
			t.Errorf("the repeat is answered with %d", code)
		}
		deliver(public(), server.WebhookPath+"t", "stop", signedAsSlack("stop")...)
		got := result(l, r)
		if len(got) != 1 || string(got[0].Body) != event || !got[0].ReceivedAt.Equal(received) || got[0].Header.Get("Authorization") != "Bearer of secrets" {
			t.Errorf("the run got %+v", got)
		}
		if len(l.refused()) != 0 {
			t.Errorf("there are still %+v", l.refused())
		}
		events, err := l.eng.Journal(t.Context(), r.ID(), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(events, func(e inspect.Event) bool { return e.Request != nil })
		if by := events[i].By; by.Name != "olga" || events[i].Request.Header.Get("X-Slack-Signature") != "***" {
			t.Errorf("the journal has %+v", events[i])
		}
	})
}

// Somebody who has no secrets vouches for a request, and the sender's own repeat of it is dropped. What
// nobody takes any more stays.
func TestRedeliverUnverified(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, end := bubbleLab(t)
		defer end()
		wf := l.collector(workflow.From("github"))
		l.runExactly(refusing(10), wf)
		r, _ := open(l, wf, "t")
		h := func() http.Handler {
			return server.Webhook(l.eng, func(*http.Request) (string, error) { return "t", nil }, server.Options{Logger: l.logger()})
		}
		for _, body := range []string{"a", "b"} {
			if code := deliver(h(), "/mine", body, signedAsGitHub(body)...); code != 401 {
				t.Fatalf("it is answered with %d", code)
			}
		}
		all := l.refused() // b, a
		l.runExactly(mended(), wf)
		outside, err := engine.New(l.store, engine.Options{Logger: l.logger()})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = outside.Close() }()
		if _, err := outside.Redeliver(t.Context(), inspect.Redelivery{ID: all[1].ID}); !errors.Is(err, engine.ErrNotVerified) || !strings.Contains(err.Error(), `has no sender "github"`) {
			t.Errorf("without secrets: %v", err)
		}
		if hook, err := outside.Redeliver(t.Context(), inspect.Redelivery{ID: all[1].ID, Unverified: true}); err != nil || hook.Duplicate {
			t.Errorf("redelivered to %+v, %v", hook, err)
		}
		for _, body := range []string{"a", "b"} { // somebody presses the button on GitHub's page
			if code := deliver(h(), "/mine", body, signedAsGitHub(body)...); code != 202 {
				t.Errorf("the repeat is answered with %d", code)
			}
		}
		if hook, err := l.eng.Redeliver(t.Context(), inspect.Redelivery{ID: all[0].ID}); err != nil || !hook.Duplicate {
			t.Errorf("what has come meanwhile is redelivered to %+v, %v", hook, err)
		}
		deliver(h(), "/mine", "stop", signedAsGitHub("stop")...)
		if got := result(l, r); len(got) != 2 {
			t.Errorf("the run got %d requests", len(got))
		}

		l.runExactly(refusing(10), wf)
		other, _ := open(l, wf, "t")
		deliver(h(), "/mine", "c", signedAsGitHub("c")...)
		if err := l.eng.TerminateRun(t.Context(), other.ID(), ""); err != nil {
			t.Fatal(err)
		}
		left := inspect.Redelivery{ID: l.refused()[0].ID, Unverified: true}
		if _, err := l.eng.Redeliver(t.Context(), left); !errors.Is(err, workflow.ErrHookNotFound) {
			t.Errorf("nobody takes it: %v", err)
		}
		if len(l.refused()) != 1 {
			t.Errorf("there are %+v", l.refused())
		}
	})
}

// A request that is to start a run is delivered by the program that has its route.
func TestRedeliverStartsRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, end := bubbleLab(t)
		defer end()
		wf := workflow.Define("push", func(ctx workflow.Context, token string) (string, error) {
			w, err := workflow.NewWebhook(ctx, workflow.Token(token), workflow.From("github"))
			if err != nil {
				return "", err
			}
			r, err := w.Wait(ctx)
			if err != nil {
				return "", err
			}
			return string(r.Body), nil
		}, workflow.StartedByRequest())
		route := func() http.Handler {
			return server.Webhook(l.eng, func(*http.Request) (string, error) { return "repo-7", nil }, server.Options{Logger: l.logger()},
				server.OrStart(wf, func(token string, _ *workflow.Request) (string, error) { return token, nil }, workflow.From("github")))
		}
		l.runExactly(refusing(10), wf)
		if code := deliver(route(), "/push", "main", signedAsGitHub("main")...); code != 401 {
			t.Fatalf("it is answered with %d", code)
		}
		all := l.refused()
		if len(all) != 1 || all[0].Workflow != "push" || all[0].RunID != "" || all[0].Token != "repo-7" {
			t.Fatalf("kept are %+v", all)
		}
		l.runExactly(mended(), wf)
		for _, unverified := range []bool{false, true} {
			_, err := l.eng.Redeliver(t.Context(), inspect.Redelivery{ID: all[0].ID, Unverified: unverified})
			if err == nil || !strings.Contains(err.Error(), "route that starts runs of push") {
				t.Errorf("without the route: %v", err)
			}
		}
		_ = route()
		hook, err := l.eng.Redeliver(t.Context(), inspect.Redelivery{ID: all[0].ID})
		if err != nil || !hook.Started {
			t.Fatalf("redelivered to %+v, %v", hook, err)
		}
		if got, err := workflow.Get[string](l.eng, hook.RunID).Result(t.Context()); got != "main" || err != nil {
			t.Errorf("the run returns %q, %v", got, err)
		}
	})
}

// Strangers can't fill the database.
func TestRefusedRequestsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, end := bubbleLab(t)
		defer end()
		wf := l.collector(workflow.Verify("github"))
		l.runExactly(refusing(0), wf)
		open(l, wf, "t")
		send := func(n int) {
			h := server.Webhooks(l.eng, server.Options{Logger: l.logger()})
			for i := range n {
				deliver(h, server.WebhookPath+"t", strconv.Itoa(i))
			}
		}
		send(3)
		if n := len(l.refused()); n != 0 {
			t.Errorf("%d are kept where none are to be", n)
		}
		l.runExactly(refusing(30), wf)
		send(50)
		if n := len(l.refused()); n != 20 {
			t.Errorf("%d are kept of a minute", n)
		}
		<-time.After(time.Minute)
		send(50)
		if all := l.refused(); len(all) != 30 || all[29].Request.BodySize != 2 {
			t.Errorf("%d are kept: %+v", len(all), all)
		}
		page, err := l.eng.RefusedRequests(t.Context(), inspect.RefusedFilter{Before: l.refused()[27].Number, Limit: 9})
		if err != nil || len(page) != 2 {
			t.Errorf("the last page is %+v, %v", page, err)
		}
		if _, err := l.eng.RefusedRequests(t.Context(), inspect.RefusedFilter{Limit: -1}); err == nil {
			t.Error("a negative limit is not refused")
		}
		for _, keep := range []int{-1, 1001} {
			if _, err := engine.New(l.store, engine.Options{KeepRefused: keep}); err == nil || !strings.Contains(err.Error(), "KeepRefused") {
				t.Errorf("KeepRefused %d: %v", keep, err)
			}
		}
	})
}

// Nor can they where a request may start a run, and the path, in which a token may be, is not in the log.
func TestStrangersOnARouteOfTheApp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, end := bubbleLab(t)
		defer end()
		const secret = "Xk3dAbCdEfGhIjKlMnOpQrStUvWxYz01"
		wf := l.taking(1, workflow.Verify("github"))
		l.runExactly(mended(), wf)
		mux := http.NewServeMux()
		mux.Handle("POST /knock/{token}", server.Webhook(l.eng, func(r *http.Request) (string, error) { return r.URL.Query().Get("t"), nil },
			server.Options{Logger: l.logger()}, server.OrStart(wf, ofToken, workflow.Verify("github"))))
		for range 30 {
			if code := deliver(mux, "/knock/"+secret+"?t=.", "x"); code != 404 { // no webhook can have it
				t.Fatalf("it is answered with %d", code)
			}
			if code := deliver(mux, "/knock/"+secret+"?t="+secret, "x"); code != 401 {
				t.Fatalf("it is answered with %d", code)
			}
		}
		found, refused := strings.Count(l.logs.String(), "has found no run"), strings.Count(l.logs.String(), "refused a webhook request")
		if found == 0 || refused == 0 || found+refused != 20 {
			t.Errorf("there are %d and %d lines of 60", found, refused)
		}
		<-time.After(time.Minute)
		deliver(mux, "/knock/"+secret+"?t=.", "x")
		for _, want := range []string{"unlogged=40", `route="POST /knock/{token}"`} {
			if !strings.Contains(l.logs.String(), want) {
				t.Errorf("the log has no %s:\n%s", want, l.logs)
			}
		}
		if strings.Contains(l.logs.String(), secret) {
			t.Errorf("the log has the token:\n%s", l.logs)
		}
	})
}

// A sender's own function is asked about a request that was refused only if the request is kept, and
// nothing happens if it can't deal with that.
func TestDeliveryIDOfRefusedRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, end := bubbleLab(t)
		defer end()
		asked := 0
		opts := refusing(10)
		opts.Senders["github"] = opts.Senders["github"].DedupeBy(func(r *sender.Request) string {
			if asked++; string(r.Body) == "bad" {
				panic("I take what is genuine")
			}
			return string(r.Body)
		})
		wf := l.collector(workflow.From("github"))
		send := func(n int, body string) {
			t.Helper()
			h := server.Webhooks(l.eng, server.Options{Logger: l.logger()})
			for range n {
				if code := deliver(h, server.WebhookPath+"t", body, signedAsGitHub("another")...); code != 401 {
					t.Errorf("it is answered with %d", code)
				}
			}
		}
		l.runExactly(opts, wf)
		open(l, wf, "t")
		send(1, "bad")
		send(1, strings.Repeat("x", 64<<10))
		send(50, "good")
		if len(l.refused()) != 10 || asked != 20 {
			t.Errorf("%d are kept, the function was asked %d times", len(l.refused()), asked)
		}
		if !strings.Contains(l.logs.String(), "I take what is genuine") {
			t.Errorf("the log does not say what went wrong:\n%s", l.logs)
		}
		asked, opts.KeepRefused = 0, 0
		l.runExactly(opts, wf)
		<-time.After(time.Minute)
		send(3, "good")
		if asked != 0 {
			t.Errorf("the function was asked %d times where nothing is kept", asked)
		}
	})
}

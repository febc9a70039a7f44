package server_test

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/sender"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

// signedAsSlack are the headers of a body that Slack has signed now.
func signedAsSlack(body string) []string {
	at := strconv.FormatInt(time.Now().Unix(), 10)
	return []string{"X-Slack-Request-Timestamp", at, "X-Slack-Signature", "v0=" + hex.EncodeToString(mac("v0:"+at+":"+body))}
}

func signedAsGitHub(body string) []string {
	return []string{"X-Hub-Signature-256", "sha256=" + hex.EncodeToString(mac(body))}
}

var discordKey = ed25519.NewKeyFromSeed([]byte("a seed of 32 bytes for the tests"))

func signedAsDiscord(body string) []string {
	at := strconv.FormatInt(time.Now().Unix(), 10)
	return []string{
		"X-Signature-Timestamp", at,
		"X-Signature-Ed25519", hex.EncodeToString(ed25519.Sign(discordKey, []byte(at+body))),
	}
}

func senders() map[string]*sender.Sender {
	return map[string]*sender.Sender{
		"slack":   sender.Must(sender.Slack(secret)),
		"github":  sender.Must(sender.GitHub(secret)),
		"discord": sender.Must(sender.Discord(hex.EncodeToString(discordKey[ed25519.SeedSize:]))),
		"events":  sender.Must(sender.DiscordEvents(hex.EncodeToString(discordKey[ed25519.SeedSize:]))),
		"meta":    sender.Must(sender.Meta("the token of the app", secret)),
		"graph":   sender.Must(sender.MicrosoftGraph(secret)),
	}
}

// A handshake is answered on the public route whether there is a webhook or not, and does not come
// to a run. What claims to be one and is forged gets the same 401 everywhere.
func TestHandshakes(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.collector(workflow.From("github"))
	l.run(engine.Options{Senders: senders()}, wf)
	r, u := open(l, wf, "open")
	plain := workflow.Define("plain", func(ctx workflow.Context, _ string) (string, error) {
		h, err := workflow.NewHook[string](ctx, workflow.Token("plain"))
		if err != nil {
			return "", err
		}
		return h.Wait(ctx)
	})
	l.run(engine.Options{Senders: senders()}, wf, plain)
	if _, err := plain.Start(t.Context(), l.eng, ""); err != nil {
		t.Fatal(err)
	}
	const challenge, ping = `{"type":"url_verification","challenge":"abc"}`, `{"id":"1","type":1}`
	hub := "?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
	altered := signedAsDiscord(ping)
	altered[3] = strings.Repeat("0", 128)
	for name, c := range map[string]struct {
		method, query, body string
		header              []string
		want                string
	}{
		"slack":           {"POST", "", challenge, signedAsSlack(challenge), "200 abc"},
		"discord":         {"POST", "", ping, signedAsDiscord(ping), `200 {"type":1}`},
		"discord, events": {"POST", "", `{"type":0}`, signedAsDiscord(`{"type":0}`), "204 "},
		"meta":            {"GET", hub + "the+token+of+the+app", "", nil, "200 1158201444"},
		"graph":           {"POST", "?validationToken=a+b%3A", "", nil, "200 a b:"},
		"slack, forged":   {"POST", "", challenge, append(signedAsSlack(""), "A", "b"), "401"},
		"discord, forged": {"POST", "", ping, altered, "401"},
		"meta, forged":    {"GET", hub + "guessed", "", nil, "401"},
		"graph, an image": {"POST", "?validationToken=%89PNG", "", nil, "401"},
	} {
		var answers []string
		for _, u := range []string{u, l.urlOf("unknown"), l.urlOf("plain"), l.urlOf("a/b")} {
			a := l.send(c.method, u+c.query, strings.NewReader(c.body), c.header...)
			answers = append(answers, fmt.Sprintf("%d %s", a.status, a.body))
			if c.want == "401" != (a.status == 401) || c.want != "401" && answers[0] != c.want {
				t.Errorf("%s at %s: %s, want %s", name, u, answers[len(answers)-1], c.want)
			}
			if strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") && a.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: a browser may take it for a page: %v", name, a.header)
			}
		}
		for _, a := range answers {
			if a != answers[0] {
				t.Errorf("%s: the answer tells tokens apart: %q", name, answers)
			}
		}
	}
	large := strings.Repeat("x", 5<<20)
	for _, u := range []string{u, l.urlOf("unknown")} {
		wantStatus(l, l.post(u, large, signedAsSlack(large)...), 413)
	}
	nothingDelivered(l, r.ID())
	// Anything else goes on as ever.
	wantStatus(l, l.post(l.urlOf("unknown"), "{}", signedAsSlack("{}")...), 404)
	wantStatus(l, l.send("GET", u, nil), 405)
	wantStatus(l, l.post(u, "x", signedAsGitHub("x")...), 202)
	wantStatus(l, l.post(u, "stop", signedAsGitHub("stop")...), 202)
	if got := result(l, r); len(got) != 1 || string(got[0].Body) != "x" {
		t.Errorf("the run got %d requests", len(got))
	}
}

// On a route of the app's own, a sender gets its answer too, and the run does not.
func TestHandshakeOnOwnRoute(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.handle("POST /slack", func(e *engine.Engine) http.Handler {
		return server.Webhook(e, func(*http.Request) (string, error) { return "t", nil }, server.Options{Logger: l.logger()})
	})
	wf := l.collector(workflow.From("slack"))
	l.run(engine.Options{Senders: senders()}, wf)
	r, _ := open(l, wf, "t")
	const challenge = `{"type":"url_verification","challenge":"abc"}`
	shake := func() {
		t.Helper()
		if a := l.post(l.srv.URL+"/slack", challenge, signedAsSlack(challenge)...); a.status != 200 || a.body != "abc" {
			t.Errorf("got %+v", a)
		}
		wantStatus(l, l.post(l.srv.URL+"/slack", challenge, signedAsSlack("another")...), 401)
	}
	shake()
	nothingDelivered(l, r.ID())
	wantStatus(l, l.post(l.srv.URL+"/slack", "stop", signedAsSlack("stop")...), 200)
	result(l, r)
	shake() // always, whether there is a webhook or not
}

// Repeats are known by what is signed: a header that is not signed does not help.
func TestFromDropsRepeats(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.collector(workflow.From("github"))
	byHeader := workflow.Define("by header", func(ctx workflow.Context, _ string) (n int, err error) {
		w, err := workflow.NewWebhook(ctx, workflow.DedupeHeader("X-GitHub-Delivery"), workflow.From("github"))
		if err != nil {
			return 0, err
		}
		if err := l.opened(ctx, w); err != nil {
			return 0, err
		}
		for r, err := range w.All(ctx) {
			if err != nil || string(r.Body) == "stop" {
				return n, err
			}
			n++
		}
		return n, nil
	})
	slack := workflow.Define("slack", func(ctx workflow.Context, token string) (n int, err error) {
		w, err := workflow.NewWebhook(ctx, workflow.From("slack"))
		if err != nil {
			return 0, err
		}
		if err := l.opened(ctx, w); err != nil {
			return 0, err
		}
		for r, err := range w.All(ctx) {
			if err != nil || string(r.Body) == "stop" {
				return n, err
			}
			n++
		}
		return n, nil
	})
	l.run(engine.Options{Senders: senders()}, wf, byHeader, slack)
	r, u := open(l, wf, "t")
	deliver := func(u, body, id string) {
		t.Helper()
		wantStatus(l, l.post(u, body, append(signedAsGitHub(body), "X-GitHub-Delivery", id)...), 202)
	}
	wantStatus(l, l.post(u, "one", "X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64)), 401) // uses nothing up
	for range 3 {
		deliver(u, "one", "1")
	}
	deliver(u, "one", "2") // recorded, and sent again under another ID
	deliver(u, "two", "2")
	deliver(u, "stop", "3")
	var bodies []string
	for _, req := range result(l, r) {
		bodies = append(bodies, string(req.Body))
	}
	if diff := cmp.Diff([]string{"one", "two"}, bodies); diff != "" {
		t.Error(diff)
	}

	// A header that is named takes the place of the sender's ID.
	n, u := open(l, byHeader, "")
	deliver(u, "one", "1")
	deliver(u, "one", "1")
	deliver(u, "one", "2")
	deliver(u, "stop", "3")
	if got := result(l, n); got != 2 {
		t.Errorf("by the header the run got %d requests, want 2", got)
	}

	// An ID in the body, which is signed with another time again.
	n, u = open(l, slack, "")
	for _, body := range []string{`{"event_id":"Ev1"}`, `{"event_id":"Ev1","more":1}`, `{"event_id":"Ev2"}`, `{}`, `{}`, "stop"} {
		if a := l.post(u, body, signedAsSlack(body)...); a.status != 200 || a.body != "" {
			t.Errorf("Slack gets %+v", a)
		}
	}
	if got := result(l, n); got != 4 {
		t.Errorf("of Slack's the run got %d requests, want 4", got)
	}
}

// hasty are senders of which one waits for a short time only. A body is a delivery.
func hasty(within time.Duration) map[string]*sender.Sender {
	return map[string]*sender.Sender{"hasty": sender.Must(sender.New(sender.Options{
		Name: "hasty", Verify: func(*sender.Request, time.Time) error { return nil }, DeliveryID: sender.BodyDigest,
		RespondWithin: within, Accepted: &sender.Response{Status: 200},
	}))}
}

// A delivery has one answer. If the run is too late for the sender, that is "accepted", also for a
// repeat that another process gets when the run has responded.
func TestLateResponse(t *testing.T) {
	t.Parallel()
	const body = "one"
	for name, respond := range map[string]func(workflow.Context, *workflow.Request) error{
		"workflow": func(ctx workflow.Context, r *workflow.Request) error {
			return r.Respond(ctx, workflow.Text(200, "late"))
		},
		"step": func(ctx workflow.Context, r *workflow.Request) error {
			return workflow.Do(ctx, "respond", func(ctx context.Context) error { return r.Respond(ctx, workflow.Text(200, "late")) })
		},
	} {
		for _, route := range []string{"public", "first request"} {
			t.Run(name+", "+route, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				slow := workflow.Define("slow", func(ctx workflow.Context, _ string) (string, error) {
					gate, err := workflow.NewHook[string](ctx, workflow.Token("gate"))
					if err != nil {
						return "", err
					}
					w, err := workflow.NewWebhook(ctx, workflow.Token("slow"), workflow.From("hasty"), workflow.RespondManually())
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
					if _, err := gate.Wait(ctx); err != nil {
						return "", err
					}
					return string(r.Body), respond(ctx, r)
				}, workflow.StartedByRequest())
				l.handle("POST /slow", func(e *engine.Engine) http.Handler {
					return server.Webhook(e, func(*http.Request) (string, error) { return "slow", nil },
						server.OrStart(slow, ofToken, workflow.From("hasty"), workflow.RespondManually()))
				})
				opts := engine.Options{Senders: hasty(10 * time.Millisecond)}
				l.run(opts, slow)
				u := l.srv.URL + "/slow"
				if route == "public" {
					_, u = open(l, slow, "")
				}
				accepted := func() {
					t.Helper()
					if a := l.post(u, body); a.status != 200 || a.body != "" {
						t.Errorf("got %+v, want 200 and nothing", a)
					}
				}
				accepted()
				l.run(opts, slow) // another process
				info, err := workflow.Resume(t.Context(), l.eng, "gate", "open")
				if err != nil {
					t.Fatal(err)
				}
				if got, err := workflow.Get[string](l.eng, info.RunID).Result(t.Context()); err != nil || got != body {
					t.Errorf("the run ends with %q, %v", got, err)
				}
				l.run(engine.Options{Senders: hasty(time.Hour)}, slow)
				accepted()
			})
		}
	}
}

// Whether a response is in time or not, all callers get the same.
func TestResponseAtTheLimit(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	racing := workflow.Define("racing", func(ctx workflow.Context, _ string) (n int, err error) {
		w, err := workflow.NewWebhook(ctx, workflow.From("hasty"), workflow.RespondManually())
		if err != nil {
			return 0, err
		}
		if err := l.opened(ctx, w); err != nil {
			return 0, err
		}
		for n = range 30 {
			r, err := w.Wait(ctx)
			if err != nil {
				return n, err
			}
			// Until about the limit.
			if err := workflow.Sleep(ctx, time.Duration(n)*time.Millisecond); err != nil {
				return n, err
			}
			if err := r.Respond(ctx, workflow.Text(200, "in time")); err != nil {
				return n, err
			}
		}
		return n + 1, nil
	})
	l.run(engine.Options{Senders: hasty(15 * time.Millisecond)}, racing)
	r, u := open(l, racing, "")
	answers := map[string]string{}
	for i := range 30 {
		body := fmt.Sprint(i)
		answers[body] = l.post(u, body).body
	}
	if n := result(l, r); n != 30 {
		t.Errorf("the run took %d requests", n)
	}
	for body, first := range answers {
		a := l.post(u, body)
		if a.status != 200 || a.body != first || first != "" && first != "in time" {
			t.Errorf("%s was answered %q, and its repeat %d %q", body, first, a.status, a.body)
		}
	}
}

// A step sends a webhook whose answer gets lost. The second attempt is the same delivery, and the
// receiver drops it.
func TestStepSendsWebhook(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	partner := sender.Must(sender.StandardWebhooks("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
	receiver := l.collector(workflow.From("partner"))
	var answers []int
	notify := workflow.Define("notify", func(ctx workflow.Context, u string) (string, error) {
		for range 2 { // two deliveries, with equal bodies
			err := workflow.Do(ctx, "send", func(ctx context.Context) error {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, u, strings.NewReader("paid"))
				if err != nil {
					return err
				}
				if err := partner.SignHTTP(req, workflow.InfoOf(ctx).StepID, time.Now()); err != nil {
					return workflow.Fatal(err)
				}
				a, err := do(http.DefaultClient, req)
				if err != nil {
					return err
				}
				answers = append(answers, a.status)
				if workflow.InfoOf(ctx).Attempt == 1 {
					return errors.New("the answer got lost")
				}
				return nil
			}, workflow.Backoff(time.Millisecond, time.Millisecond))
			if err != nil {
				return "", err
			}
		}
		return "", nil
	})
	l.run(engine.Options{Senders: map[string]*sender.Sender{"partner": partner}}, receiver, notify)
	r, u := open(l, receiver, "")
	sending, err := notify.Start(t.Context(), l.eng, u)
	if err != nil {
		t.Fatal(err)
	}
	result(l, sending)
	if diff := cmp.Diff([]int{202, 202, 202, 202}, answers); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	stop := &sender.Request{Method: http.MethodPost, Body: []byte("stop")}
	if err := partner.Sign(stop, time.Now()); err != nil {
		t.Fatal(err)
	}
	var header []string
	for name := range stop.Header {
		header = append(header, name, stop.Header.Get(name))
	}
	wantStatus(l, l.post(u, "stop", header...), 202)
	if got := result(l, r); len(got) != 2 {
		t.Errorf("the receiver got %d requests, want 2", len(got))
	}
}

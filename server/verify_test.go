package server_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/sender"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

const secret = "It's a Secret to Everybody"

func mac(text string) []byte {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(text))
	return m.Sum(nil)
}

// S13: what the signer did not sign just now is refused, and nothing is written.
func TestSignedWebhooks(t *testing.T) {
	t.Parallel()
	key := base64.StdEncoding.EncodeToString([]byte(secret))
	schemes := map[string]struct {
		sender   *sender.Sender
		sign     func(body string, at time.Time) []string // header
		timeless bool
	}{
		"standard": {
			sender: sender.Must(sender.StandardWebhooks("whsec_" + key)),
			sign: func(body string, at time.Time) []string {
				ts := strconv.FormatInt(at.Unix(), 10)
				return []string{
					"Webhook-Id", "msg_1", "Webhook-Timestamp", ts,
					"Webhook-Signature", "v1," + base64.StdEncoding.EncodeToString(mac("msg_1."+ts+"."+body)),
				}
			},
		},
		"github": {
			sender: sender.Must(sender.GitHub("an older secret", secret)),
			sign: func(body string, _ time.Time) []string {
				return []string{"X-Hub-Signature-256", "sha256=" + hex.EncodeToString(mac(body))}
			},
			timeless: true,
		},
		"stripe": {
			sender: sender.Must(sender.Stripe(secret)),
			sign: func(body string, at time.Time) []string {
				ts := strconv.FormatInt(at.Unix(), 10)
				return []string{"Stripe-Signature", "t=" + ts + ",v1=" + hex.EncodeToString(mac(ts+"."+body))}
			},
		},
		"slack": {
			sender: sender.Must(sender.Slack(secret)),
			sign: func(body string, at time.Time) []string {
				ts := strconv.FormatInt(at.Unix(), 10)
				return []string{"X-Slack-Request-Timestamp", ts, "X-Slack-Signature", "v0=" + hex.EncodeToString(mac("v0:"+ts+":"+body))}
			},
		},
		"custom": {
			sender: own(func(r *sender.Request, _ time.Time) error {
				if r.Header.Get("X-Sum") != hex.EncodeToString(mac(r.Method+r.URL.Path+string(r.Body))) {
					return errors.New("wrong sum")
				}
				return nil
			}, "X-Sum"),
			sign: func(body string, _ time.Time) []string {
				return []string{"X-Sum", hex.EncodeToString(mac("POST/.well-known/workflow/v1/webhook/custom" + body))}
			},
			timeless: true,
		},
	}
	senders := map[string]*sender.Sender{}
	for name, s := range schemes {
		senders[name] = s.sender
	}
	for name, s := range schemes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			wf := l.collector(workflow.Verify(name))
			l.run(engine.Options{Senders: senders}, wf)
			r, u := open(l, wf, name)
			body, now := `{"amount": 100}`, time.Now()
			good := s.sign(body, now)
			refused := map[string]answer{
				"unsigned":     l.post(u, body),
				"altered body": l.post(u, `{"amount": 999}`, good...),
				"no body":      l.post(u, "", good...),
			}
			for i := 1; i < len(good); i += 2 {
				altered := append([]string{}, good...)
				altered[i] = strings.Map(func(r rune) rune {
					if r >= '0' && r < '9' {
						return r + 1
					}
					return r
				}, altered[i])
				if altered[i] != good[i] {
					refused["altered "+good[i-1]] = l.post(u, body, altered...)
				}
				refused["repeated "+good[i-1]] = l.post(u, "x"+body, append(good[:len(good):len(good)], good[i-1], good[i])...)
			}
			if !s.timeless {
				refused["stale"] = l.post(u, body, s.sign(body, now.Add(-time.Hour))...)
				refused["future"] = l.post(u, body, s.sign(body, now.Add(time.Hour))...)
			}
			for what, a := range refused {
				if wantStatus(l, a, 401); strings.Contains(a.body, "sha256") || a.body != refused["unsigned"].body {
					t.Errorf("%s: %+v", what, a)
				}
			}
			nothingDelivered(l, r.ID())
			wantStatus(l, l.post(u, body, good...), 202)
			l.post(u, "stop", s.sign("stop", now)...)
			var bodies []string
			for _, req := range result(l, r) {
				bodies = append(bodies, string(req.Body))
			}
			if diff := cmp.Diff([]string{body}, bodies); diff != "" {
				t.Error(diff)
			}
			if logs := l.logs.String(); strings.Contains(logs, good[len(good)-1]) || strings.Contains(logs, secret) || strings.Contains(logs, "webhook/"+name) {
				t.Errorf("the log tells too much:\n%s", logs)
			}
		})
	}
}

// own is a sender of whom nothing is known but a function.
func own(verify func(*sender.Request, time.Time) error, sensitive ...string) *sender.Sender {
	return sender.Must(sender.New(sender.Options{Name: "own", Verify: verify, SensitiveHeaders: sensitive}))
}

func nothingDelivered(l *lab, runID string) {
	l.Helper()
	loaded, err := l.store.Load(l.Context(), runID, 0)
	if err != nil {
		l.Fatal(err)
	}
	for _, e := range loaded.Events {
		if e.Kind == store.PayloadReceived {
			l.Errorf("a refused request was delivered: %s", e.Data)
		}
	}
	if len(loaded.Mail) > 0 {
		l.Errorf("a refused request was accepted: %s", loaded.Mail[0].Data)
	}
}

// A run whose sender nobody knows waits for it.
func TestUnknownSender(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.collector(workflow.Verify("hub"))
	l.run(engine.Options{}, wf)
	r, err := wf.Start(t.Context(), l.eng, "t")
	if err != nil {
		t.Fatal(err)
	}
	if reason := l.blocked(r.ID()); !strings.Contains(reason, `"hub"`) || !strings.Contains(reason, "Options.Senders") {
		t.Errorf("the reason is %q", reason)
	}
	hub := map[string]*sender.Sender{"hub": sender.Must(sender.GitHub(secret))}
	l.run(engine.Options{Senders: hub}, wf)
	u := receive(l, l.urls)
	wantStatus(l, l.post(u, "x"), 401)

	// An engine that takes requests and does not know the sender lets nothing pass.
	without, stop := l.runOn(l.store, engine.Options{PublicURL: l.srv.URL})
	defer stop()
	with := l.now.Swap(without)
	a := l.post(u, "x", "X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac("x")))
	if wantStatus(l, a, 500); strings.Contains(a.body, "hub") {
		t.Errorf("it tells: %s", a.body)
	}
	l.now.Store(with)
	wantStatus(l, l.post(u, "stop", "X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac("stop"))), 202)
	if got := result(l, r); len(got) != 0 {
		t.Errorf("delivered: %q", got[0].Body)
	}
}

// What a sender calls sensitive is masked where people look, also for headers whose
// names say nothing.
func TestSensitiveHeadersOfASender(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := workflow.Define("logging", func(ctx workflow.Context, _ string) (string, error) {
		w, err := workflow.NewWebhook(ctx, workflow.Token("t"), workflow.Verify("sum"))
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
		return workflow.Step(ctx, "log", func(context.Context) (string, error) {
			return r.LogValue().String() + " " + r.Header.Get("X-Sum"), nil
		})
	})
	sum := own(func(*sender.Request, time.Time) error { return nil }, "X-Sum")
	l.run(engine.Options{Senders: map[string]*sender.Sender{"sum": sum}}, wf)
	r, u := open(l, wf, "")
	wantStatus(l, l.post(u, "x", "X-Sum", "abc", "X-Seen", "def"), 202)
	got := result(l, r)
	if strings.Count(got, "abc") != 1 || !strings.HasSuffix(got, " abc") || !strings.Contains(got, "def") {
		t.Errorf("logged, then the value itself: %s", got)
	}
}

// A sender that panics does not know whether a request is genuine: nothing is written,
// and the caller hears of an error of the server. So does who is refused by an error that
// wraps itself.
func TestSendersThatMisbehave(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		verify func(*sender.Request, time.Time) error
		status int
	}{
		"panics": {func(*sender.Request, time.Time) error { panic("no key") }, 500},
		"cyclic": {func(*sender.Request, time.Time) error { return &cyclic{errors.New("round")} }, 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			wf := l.collector(workflow.Verify(name))
			l.run(engine.Options{Senders: map[string]*sender.Sender{name: own(tt.verify)}}, wf)
			r, u := open(l, wf, name)
			a := l.post(u, "x")
			if wantStatus(l, a, tt.status); strings.Contains(a.body, "no key") {
				t.Errorf("it tells: %s", a.body)
			}
			nothingDelivered(l, r.ID())
		})
	}
}

// cyclic wraps itself.
type cyclic struct{ error }

func (e *cyclic) Unwrap() error { return e }

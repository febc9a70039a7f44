package sender_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/sender"
)

// What Sign signs is genuine, for those with the secret and nobody else.
func TestSign(t *testing.T) {
	t.Parallel()
	public := []string{"discord", "discord events", "standard webhooks, asymmetric"}
	forEachVector(t, func(t *testing.T, v vector) {
		now := time.Unix(1800000000, 0)
		s := sender.Must(v.new(v.secret))
		r := &sender.Request{Method: http.MethodPost, URL: v.request.URL, Header: v.request.Header.Clone(), Body: v.request.Body}
		for _, name := range s.SensitiveHeaders() {
			r.Header.Del(name)
		}
		if err := s.Sign(r, now); slices.Contains(public, v.name) {
			if err == nil || !strings.Contains(err.Error(), "can't sign") {
				t.Errorf("with a public key: %v", err)
			}
			return
		} else if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(r, now); err != nil {
			t.Errorf("%v: %q %s", err, r.Header, r.Body)
		}
		if v.id != "" && s.DeliveryID(r) != v.id {
			t.Errorf("the delivery is %q, want %q", s.DeliveryID(r), v.id)
		}
		if err := sender.Must(v.new(v.wrong)).Verify(r, now); err == nil {
			t.Error("another secret verifies it")
		}
		if err := s.Verify(r, now.Add(time.Hour)); !v.sentAt.IsZero() && err == nil {
			t.Error("it verifies an hour later")
		}
	})
}

// A request that has nothing but a body gets what else it needs.
func TestSignCompletes(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	now := time.Unix(1800000000, 0)
	target := parseURL("https://example.com/hook?a=1")
	for name, c := range map[string]struct {
		s    *sender.Sender
		body string
		want string // in the body that is sent, or in the URL
	}{
		"linear":           {sender.Must(sender.Linear(secret)), `{"action":"create"}`, `"webhookTimestamp":1800000000000`},
		"microsoft graph":  {sender.Must(sender.MicrosoftGraph(secret)), `{"value":[{"a":1},{}]}`, `{"clientState":"` + secret + `"}`},
		"twilio, JSON":     {sender.Must(sender.Twilio(secret)), `{}`, `a=1&bodySHA256=44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a`},
		"standard":         {sender.Must(sender.StandardWebhooks("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")), `{}`, `{}`},
		"gitlab":           {sender.Must(sender.GitLab(secret)), `{}`, `{}`},
		"another's scheme": {sender.Must(ownHMAC(secret)), `{}`, `{}`},
	} {
		ids := map[string]bool{}
		for range 2 {
			r := &sender.Request{Method: http.MethodPost, URL: target, Body: []byte(c.body)}
			if err := c.s.Sign(r, now); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if err := c.s.Verify(r, now); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if !strings.Contains(string(r.Body)+" "+r.URL.String(), c.want) {
				t.Errorf("%s: %s is not in %s, %s", name, c.want, r.Body, r.URL)
			}
			if id := c.s.DeliveryID(r); id != "" && ids[id] {
				t.Errorf("%s: two deliveries have the ID %q", name, id)
			} else {
				ids[id] = true
			}
		}
	}
	if target.RawQuery != "a=1" {
		t.Errorf("the caller's URL was changed to %s", target)
	}
	if err := sender.Must(sender.Linear(secret)).Sign(&sender.Request{Body: []byte("[]")}, now); err == nil {
		t.Error("Linear signs a list")
	}
	own := sender.Must(sender.New(sender.Options{Name: "own", Verify: func(*sender.Request, time.Time) error { return nil }}))
	if err := own.Sign(&sender.Request{}, now); err == nil {
		t.Error("a sender made of functions signs")
	}
}

package sender_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/sender"
)

// refused checks that err is an *Error for one of the reasons, or for any.
func refused(t *testing.T, err error, want ...sender.Reason) {
	t.Helper()
	refusal, ok := errors.AsType[*sender.Error](err)
	if !ok {
		t.Fatalf("got %v, want an *Error", err)
	}
	if len(want) > 0 && !slices.Contains(want, refusal.Reason) {
		t.Errorf("got %q, want reason %q", err, want)
	}
	if refusal.Sender == "" || refusal.Field == "" {
		t.Errorf("incomplete error: %#v", refusal)
	}
}

func with(r *sender.Request, name string, values ...string) *sender.Request {
	c := *r
	c.Header = r.Header.Clone()
	c.Header[name] = values
	return &c
}

func withBody(r *sender.Request, body []byte) *sender.Request {
	c := *r
	c.Body = body
	return &c
}

// unread are headers that no sender looks at to verify a request.
var unread = map[string]bool{"Content-Type": true, "Idempotency-Key": true}

// mismatch is the reason for which a secret does not fit.
func (v vector) mismatch() sender.Reason {
	if v.shown {
		return sender.Wrong
	}
	return sender.Mismatch
}

func TestAlteredBody(t *testing.T) {
	t.Parallel()
	forEachVector(t, func(t *testing.T, v vector) {
		s := sender.Must(v.new(v.secret))
		refuse := func(body []byte) {
			t.Helper()
			err := s.Verify(withBody(v.request, body), v.now())
			if v.shown && v.name != "microsoft graph" {
				return // nothing is signed
			}
			if err == nil && !v.shown {
				t.Errorf("accepted %q", body)
			}
			if err != nil {
				refused(t, err)
			}
		}
		for i := range v.request.Body {
			body := bytes.Clone(v.request.Body)
			body[i] ^= 1
			refuse(body)
		}
		refuse(nil)
		refuse(append(bytes.Clone(v.request.Body), '\n'))
		refuse(v.request.Body[1:])
	})
}

func TestAlteredHeader(t *testing.T) {
	t.Parallel()
	forEachVector(t, func(t *testing.T, v vector) {
		s := sender.Must(v.new(v.secret))
		ignored := strings.Index(v.request.Header.Get("Stripe-Signature"), ",v0=")
		for name, values := range v.request.Header {
			if unread[name] {
				continue
			}
			for i := range values[0] {
				if name == "Stripe-Signature" && i >= ignored {
					break
				}
				for _, change := range []byte{1, 2, 16, 64} {
					b := []byte(values[0])
					b[i] ^= change
					if strings.EqualFold(string(b), values[0]) {
						continue
					}
					if err := s.Verify(with(v.request, name, string(b)), v.now()); err == nil {
						t.Errorf("accepted %s: %q", name, b)
					}
				}
			}
		}
	})
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	forEachVector(t, func(t *testing.T, v vector) {
		s := sender.Must(v.new(v.secret))
		for name, values := range v.request.Header {
			if unread[name] {
				continue
			}
			value := values[0]
			refused(t, s.Verify(with(v.request, name), v.now()), sender.Missing)
			refused(t, s.Verify(with(v.request, name, ""), v.now()), sender.Missing)
			refused(t, s.Verify(with(v.request, name, value, value), v.now()), sender.Repeated)
			refused(t, s.Verify(with(v.request, name, value, "other"), v.now()), sender.Repeated)
			for _, bad := range []string{"", " ", ",", "=", "\x00", "é", "v0=", "sha256=", strings.Repeat("v1,", 1000), strings.Repeat("=", 1000)} {
				if err := s.Verify(with(v.request, name, bad), v.now()); err == nil {
					t.Errorf("accepted %s: %q", name, bad)
				}
			}
		}
		if v.name != "microsoft graph" { // whose secret is in the body
			refused(t, s.Verify(&sender.Request{Body: v.request.Body}, v.now()), sender.Missing)
		}
		refused(t, s.Verify(&sender.Request{}, v.now()))
	})
}

func TestTolerance(t *testing.T) {
	t.Parallel()
	forEachVector(t, func(t *testing.T, v vector) {
		s := sender.Must(v.new(v.secret))
		if v.sentAt.IsZero() {
			mustPanic(t, func() { s.WithTolerance(time.Second) })
			return
		}
		limit := sender.DefaultTolerance
		if v.name == "linear" {
			limit = time.Minute
		}
		short := s.WithTolerance(time.Second)
		for _, c := range []struct {
			s    *sender.Sender
			age  time.Duration
			want sender.Reason
		}{
			{s, 0, ""},
			{s, limit, ""},
			{s, limit + 1, sender.Stale},
			{s, -limit, ""},
			{s, -limit - 1, sender.Future},
			{s, 200 * 365 * 24 * time.Hour, sender.Stale},
			{short, time.Second, ""},
			{short, time.Second + 1, sender.Stale},
			{short, -time.Second, ""},
			{short, -time.Second - 1, sender.Future},
			{s.WithTolerance(time.Hour), time.Hour, ""},
			{s.WithTolerance(1<<63 - 1), 24 * time.Hour, ""},
		} {
			err := c.s.Verify(v.request, v.sentAt.Add(c.age))
			if c.want != "" {
				refused(t, err, c.want)
			} else if err != nil {
				t.Errorf("at an age of %v: %v", c.age, err)
			}
		}
		refused(t, s.Verify(v.request, time.Time{}), sender.Future)
		mustPanic(t, func() { s.WithTolerance(0) })
		mustPanic(t, func() { s.WithTolerance(-time.Second) })
	})
}

func TestTimestamp(t *testing.T) {
	t.Parallel()
	// Signed with the right secret, so that nothing but the form of the time can be at fault.
	const secret, body = "a secret of 24 bytes and more", "{}"
	now := time.Unix(1700000000, 0)
	for _, timestamp := range []string{
		"+1700000000", "-1700000000", " 1700000000", "1700000000 ", "1700000000.0", "1_700_000_000", "0x6553f100",
		"1.7e9", "１７００００００００", "2023-11-14T22:13:20Z", "now", strings.Repeat("9", 12), strings.Repeat("9", 20), strings.Repeat("0", 20) + "1700000000",
	} {
		slack := &sender.Request{
			Header: header("X-Slack-Request-Timestamp", timestamp,
				"X-Slack-Signature", "v0="+hexMAC(secret, "v0:"+timestamp+":"+body)),
			Body: []byte(body),
		}
		refused(t, sender.Must(sender.Slack(secret)).Verify(slack, now), sender.Malformed)
		stripe := &sender.Request{
			Header: header("Stripe-Signature", "t="+timestamp+",v1="+hexMAC(secret, timestamp+"."+body)),
			Body:   []byte(body),
		}
		refused(t, sender.Must(sender.Stripe(secret)).Verify(stripe, now), sender.Malformed)
		refused(t, sender.Must(sender.StandardWebhooks(base64Of(secret))).
			Verify(standard(secret, "msg_1", timestamp, body), now), sender.Malformed)
	}
	refused(t, sender.Must(sender.StandardWebhooks(base64Of(secret))).
		Verify(standard(secret, "msg_1", strings.Repeat("9", 11), body), now), sender.Future)
	refused(t, sender.Must(sender.StandardWebhooks(base64Of(secret))).
		Verify(standard(secret, "msg_1", "0", body), now), sender.Stale)
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	forEachVector(t, func(t *testing.T, v vector) {
		refused(t, sender.Must(v.new(v.wrong)).Verify(v.request, v.now()), v.mismatch())
		// While a secret is rotated, both are good, in either order.
		for _, secrets := range [][]string{{v.secret, v.wrong}, {v.wrong, v.secret}, {v.wrong, v.wrong, v.secret}} {
			if err := sender.Must(v.new(secrets...)).Verify(v.request, v.now()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestBadSecrets(t *testing.T) {
	t.Parallel()
	good := "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	forEachVector(t, func(t *testing.T, v vector) {
		for _, secrets := range [][]string{nil, {""}, {good, ""}, {"  "}, {good + "\n"}, {" " + good}} {
			_, err := v.new(secrets...)
			if err == nil {
				t.Errorf("accepted %q", secrets)
				continue
			}
			if strings.Contains(err.Error(), good) {
				t.Errorf("%q shows the secret", err)
			}
		}
		mustPanic(t, func() { sender.Must(v.new()) })
	})
	for _, secret := range []string{
		"whsec_", "whpk_", "whsec_?notbase64topsecret", "v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=",
	} {
		_, err := sender.StandardWebhooks(secret)
		if err == nil {
			t.Errorf("accepted %q", secret)
		} else if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%q shows the secret", err)
		}
	}
	_, err := sender.StandardWebhooks(good, "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=")
	const want = "sender: standard-webhooks: secret 2 of 2 is a private key"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A secret that can't be meant is refused with what to give instead.
func TestAdvice(t *testing.T) {
	t.Parallel()
	const good = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	bytes := func(n int) string { return "whsec_" + base64Of(strings.Repeat("k", n)) }
	for _, c := range []struct {
		new    constructor
		secret string
		want   string // in the error; empty: it is good
	}{
		{sender.StandardWebhooks, bytes(1), "has 1 bytes when its base64 is decoded, and the specification wants 24 to 64"},
		{sender.StandardWebhooks, bytes(3), "has 3 bytes"},
		{sender.StandardWebhooks, bytes(23), "has 23 bytes"},
		{sender.StandardWebhooks, bytes(24), ""},
		{sender.StandardWebhooks, bytes(64), ""},
		{sender.StandardWebhooks, bytes(65), "has 65 bytes"},
		{sender.StandardWebhooks, good, ""},
		{sender.StandardWebhooks, "v1,whsec_" + good, "give what follows, whsec_ and base64"},
		{sender.StandardWebhooks, "v1," + good, "give what follows"},
		{sender.StandardWebhooks, "v1a,whpk_" + good, "give what follows, whpk_ and base64"},
		{sender.StandardWebhooks, "whpk_" + good, "has 24 bytes, and such keys have 32"},
		{sender.StandardWebhooks, "whsk_" + good, "give the public one (whpk_)"},
		{sender.StandardWebhooks, "whsec_" + good + "A", "give the whole text that the sender shows"},
		{sender.GitHub, "thirteen byte", "has 13 bytes, and needs 14"},
		{sender.GitHub, "fourteen bytes", ""},
		{sender.GitHub, "github_pat_11ABCDEFG0123456789", "give the text that was entered as the secret of the webhook"},
		{sender.GitHub, "ghp_0123456789abcdefghij", "access token"},
		{sender.Stripe, "thirteen byte", "has 13 bytes"},
		{sender.Stripe, "sk_test_0123456789abcdef", "give the signing secret of the endpoint"},
		{sender.Stripe, "whsec_0123456789abcdef", ""},
		{sender.Slack, "thirteen byte", "has 13 bytes"},
		{sender.Slack, "xoxb-0123456789-abcdef", "give its signing secret"},
	} {
		_, err := c.new(c.secret)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%q is refused: %v", c.secret, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%q: %v, want an error with %q", c.secret, err, c.want)
		case err != nil && strings.Contains(err.Error(), c.secret):
			t.Errorf("%q shows the secret", err)
		}
	}
}

func TestSeveralSignatures(t *testing.T) {
	t.Parallel()
	forEachVector(t, func(t *testing.T, v vector) {
		for name, values := range v.request.Header {
			var separator, other string
			switch name {
			case "Webhook-Signature":
				separator, other = " ", "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
			case "Stripe-Signature":
				separator, other = ",", "v1=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"
			default:
				continue
			}
			s := sender.Must(v.new(v.secret))
			good := values[0]
			for _, list := range [][]string{
				{good, other},
				{other, good},
				{other, good, other},
				{"v2" + other[2:], good},
				{"v1" + other[2:3] + "unreadable", good},
				{good, " " + other},
				{good, other + " "},
			} {
				if err := s.Verify(with(v.request, name, strings.Join(list, separator)), v.now()); err != nil {
					t.Errorf("%q: %v", list, err)
				}
			}
			many := strings.Repeat(other+separator, 16) + good
			refused(t, s.Verify(with(v.request, name, many), v.now()), sender.Malformed)
		}
	})
}

func TestStripeHeader(t *testing.T) {
	t.Parallel()
	const secret, body = "whsec_of-the-tests", "{}"
	sum := hexMAC(secret, "1700000000."+body)
	s := sender.Must(sender.Stripe(secret))
	for value, want := range map[string]sender.Reason{
		"t=1700000000,v1=" + sum:                            "",
		"v1=" + sum + ",t=1700000000":                       "",
		"t=1700000000, v1=" + sum:                           sender.Malformed,
		"t=1700000000,v1=" + strings.ToUpper(sum):           "",
		"t=1700000000,v1=" + sum + ",v9=a=b":                "",
		"t=1700000000,v0=" + sum:                            sender.Malformed,
		"t=1700000000,V1=" + sum:                            sender.Malformed,
		"t=1700000000,v1=" + sum[:62]:                       sender.Malformed,
		"t=1700000000,v1=" + sum + "00":                     sender.Malformed,
		"t=1700000000,t=1700000000,v1=" + sum:               sender.Malformed,
		"t=1600000000,t=1700000000,v1=" + sum:               sender.Malformed,
		"v1=" + sum:                                         sender.Malformed,
		"t=,v1=" + sum:                                      sender.Malformed,
		"t=1700000000":                                      sender.Malformed,
		"t=1700000000,v1=" + sum + ",":                      sender.Malformed,
		"t,v1=,v0=":                                         sender.Malformed,
		",,":                                                sender.Malformed,
		"t=1700000001,v1=" + sum:                            sender.Mismatch,
		"t=1700000000,v1=" + hexMAC(secret, body):           sender.Mismatch,
		"t=1700000000,v1=" + hexMAC("", "1700000000."+body): sender.Mismatch,

		"t=1700000000,v1=" + hexMAC(secret[6:], "1700000000."+body):   sender.Mismatch,
		"t=1700000000,v1=" + strings.Repeat("0", 64) + ",v0=" + sum:   sender.Mismatch,
		"t=1700000000,v1=" + strings.Repeat("0", 64) + ",v1=" + "0x1": sender.Mismatch,
	} {
		err := s.Verify(&sender.Request{Header: header("Stripe-Signature", value), Body: []byte(body)}, time.Unix(1700000000, 0))
		if want != "" {
			refused(t, err, want)
		} else if err != nil {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestHexHeader(t *testing.T) {
	t.Parallel()
	const secret, body = "a secret of 24 bytes and more", "Hello, World!"
	sum := hexMAC(secret, body)
	s := sender.Must(sender.GitHub(secret))
	for value, want := range map[string]sender.Reason{
		"sha256=" + sum:                                  "",
		"sha256=" + strings.ToUpper(sum):                 "",
		sum:                                              sender.Malformed,
		"SHA256=" + sum:                                  sender.Malformed,
		"sha1=" + sum[:40]:                               sender.Malformed,
		"sha256=" + sum + " ":                            sender.Malformed,
		" sha256=" + sum:                                 sender.Malformed,
		"sha256= " + sum:                                 sender.Malformed,
		"sha256=0x" + sum[2:]:                            sender.Malformed,
		"sha256=" + sum[:63]:                             sender.Malformed,
		"sha256=" + sum + ",sha256=" + sum:               sender.Malformed,
		"sha256=" + strings.Repeat("g", 64):              sender.Malformed,
		"sha256=" + strings.Repeat("0", 64):              sender.Mismatch,
		"sha256=" + hexMAC("", body):                     sender.Mismatch,
		"sha256=" + hex.EncodeToString([]byte(sum))[:64]: sender.Mismatch,
	} {
		err := s.Verify(&sender.Request{Header: header("X-Hub-Signature-256", value), Body: []byte(body)}, time.Time{})
		if want != "" {
			refused(t, err, want)
		} else if err != nil {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestGitHubIgnoresSHA1(t *testing.T) {
	t.Parallel()
	// The SHA-1 signature of GitHub's documented body and secret.
	r := &sender.Request{
		Header: header("X-Hub-Signature", "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59"),
		Body:   []byte("Hello, World!"),
	}
	refused(t, sender.Must(sender.GitHub("It's a Secret to Everybody")).Verify(r, time.Time{}), sender.Missing)
}

func TestStandardWebhooksID(t *testing.T) {
	t.Parallel()
	const secret = "a secret of 24 bytes and more"
	now := time.Unix(1700000000, 0)
	s := sender.Must(sender.StandardWebhooks("whsec_" + base64Of(secret)))

	genuine := standard(secret, "msg_1", "1600000000", "1700000000.body")
	refused(t, s.Verify(genuine, now), sender.Stale)
	// The same bytes, cut so that the body gives the time.
	forged := genuine
	forged.Header = genuine.Header.Clone()
	forged.Header.Set("Webhook-Id", "msg_1.1600000000")
	forged.Header.Set("Webhook-Timestamp", "1700000000")
	forged.Body = []byte("body")
	refused(t, s.Verify(forged, now), sender.Malformed)

	refused(t, s.Verify(standard(secret, "msg.1", "1700000000", "body"), now), sender.Malformed)

	r := standard(secret, "msg_1", "1700000000", "body")
	if err := s.Verify(r, now); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"msg_2", "msg_1 ", " msg_1", "MSG_1"} {
		refused(t, s.Verify(with(r, "Webhook-Id", id), now), sender.Mismatch)
	}
}

// A public key is not a secret, so an HMAC made with it must not be accepted.
func TestStandardWebhooksKeyConfusion(t *testing.T) {
	t.Parallel()
	public := publicKey("VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=")
	s := sender.Must(sender.StandardWebhooks(public))
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(public, "whpk_"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{string(raw), public} {
		r := standard(secret, "msg_1", "1700000000", "{}")
		refused(t, s.Verify(r, time.Unix(1700000000, 0)), sender.Mismatch)
		value := strings.Replace(r.Header.Get("Webhook-Signature"), "v1,", "v1a,", 1)
		refused(t, s.Verify(with(r, "Webhook-Signature", value), time.Unix(1700000000, 0)), sender.Malformed)
	}
}

func TestNothingShowsSecrets(t *testing.T) {
	t.Parallel()
	forEachVector(t, func(t *testing.T, v vector) {
		s := sender.Must(v.new(v.secret))
		err := s.Verify(withBody(v.request, []byte("altered")), v.now())
		if v.shown {
			err = sender.Must(v.new(v.wrong)).Verify(v.request, v.now())
		}
		raw := strings.TrimPrefix(strings.TrimPrefix(v.secret, "whsec_"), "whpk_")
		if len(raw) < 14 {
			return // Twilio's example: five digits may be found anywhere
		}
		hidden := []string{raw, hex.EncodeToString([]byte(raw)), decimal([]byte(raw))}
		if key, err := base64.StdEncoding.DecodeString(raw); err == nil {
			hidden = append(hidden, string(key), hex.EncodeToString(key), decimal(key))
		}
		for _, values := range v.request.Header {
			if len(values[0]) > 8 {
				hidden = append(hidden, values[0])
			}
		}
		texts := []string{fmt.Sprint(err)}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
			texts = append(texts, fmt.Sprintf(verb, s))
		}
		text := strings.Join(texts, "\n")
		for _, s := range hidden {
			if strings.Contains(text, s) {
				t.Errorf("%q is shown", s)
			}
		}
	})
}

func TestSensitiveHeaders(t *testing.T) {
	t.Parallel()
	const secret = "a secret of some length!"
	own := sender.Must(sender.New(sender.Options{
		Name: "own", Verify: func(*sender.Request, time.Time) error { return nil }, SensitiveHeaders: []string{"x-signature", "X-API-Key"},
	}))
	for _, c := range []struct {
		s    *sender.Sender
		want []string
	}{
		{sender.Must(sender.StandardWebhooks(base64Of(secret))), []string{"Webhook-Signature"}},
		{sender.Must(sender.Svix(base64Of(secret))), []string{"Svix-Signature", "Webhook-Signature"}},
		{sender.Must(sender.GitHub(secret)), []string{"X-Hub-Signature-256", "X-Hub-Signature"}},
		{sender.Must(sender.Stripe(secret)), []string{"Stripe-Signature"}},
		{sender.Must(sender.Slack(secret)), []string{"X-Slack-Signature"}},
		{sender.Must(sender.GitLab(secret)), []string{"X-Gitlab-Token"}},
		{sender.Must(sender.APIKey("x-api-key", secret)), []string{"X-Api-Key"}},
		{sender.Must(sender.Basic("user", secret)), []string{"Authorization"}},
		{own, []string{"X-Signature", "X-Api-Key"}},
	} {
		got := c.s.SensitiveHeaders()
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Error(diff)
		}
		got[0] = "changed by the caller"
		if diff := cmp.Diff(c.want, c.s.SensitiveHeaders()); diff != "" {
			t.Error(diff)
		}
	}
}

// New makes a sender of functions, and asks them.
func TestNew(t *testing.T) {
	t.Parallel()
	want := &sender.Request{Method: http.MethodPut, Header: header("A", "b"), Body: []byte("body")}
	now := time.Unix(1700000000, 0)
	errRefused := errors.New("refused")
	pong := &sender.Response{Status: 200, Header: header("A", "b"), Body: []byte("pong")}
	s, err := sender.New(sender.Options{
		Name: "own",
		Verify: func(r *sender.Request, at time.Time) error {
			if diff := cmp.Diff(want, r); diff != "" || !at.Equal(now) {
				t.Error(diff, at)
			}
			return errRefused
		},
		Handshake:     func(*sender.Request, time.Time) (*sender.Response, error) { return pong, nil },
		DeliveryID:    func(r *sender.Request) string { return r.Header.Get("A") },
		RespondWithin: time.Second,
		Accepted:      pong,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(want, now); !errors.Is(err, errRefused) {
		t.Errorf("got %v", err)
	}
	if resp, err := s.Handshake(want, now); err != nil || resp != pong || !s.MayHandshake(want) {
		t.Errorf("the handshake gets %v, %v", resp, err)
	}
	if s.DeliveryID(want) != "b" || s.RespondWithin() != time.Second || s.Name() != "own" {
		t.Errorf("delivery %q, within %v, name %q", s.DeliveryID(want), s.RespondWithin(), s.Name())
	}
	s.Accepted().Body[0] = 'x'
	if diff := cmp.Diff(pong, s.Accepted()); diff != "" {
		t.Error(diff)
	}
	if got := s.DedupeBy(sender.BodyDigest).DeliveryID(want); !strings.HasPrefix(got, "sha256:230d8358") {
		t.Errorf("the digest is %q", got)
	}
	mustPanic(t, func() { s.DedupeBy(nil) })
	for _, bad := range []sender.Options{
		{},
		{Name: "own"},
		{Verify: func(*sender.Request, time.Time) error { return nil }},
		{Name: "own", Verify: func(*sender.Request, time.Time) error { return nil }, RespondWithin: -1},
	} {
		if _, err := sender.New(bad); err == nil {
			t.Errorf("accepted %+v", bad)
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	err := sender.Must(sender.GitHub("a secret of some length")).Verify(&sender.Request{}, time.Time{})
	const want = "sender: github: X-Hub-Signature-256: missing or empty: GitHub sends it if the webhook has a Secret"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func mustPanic(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	f()
}

// decimal is how fmt prints bytes, or the beginning of it.
func decimal(b []byte) string { return strings.Trim(fmt.Sprintf("%d", b), "[]")[:20] }

func mac(secret, text string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hexMAC(secret, text string) string { return hex.EncodeToString(mac(secret, text)) }

func base64Of(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// standard is a genuine request of the Standard Webhooks scheme.
func standard(secret, id, timestamp, body string) *sender.Request {
	sum := mac(secret, id+"."+timestamp+"."+body)
	return &sender.Request{
		Header: header("Webhook-Id", id, "Webhook-Timestamp", timestamp,
			"Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(sum)),
		Body: []byte(body),
	}
}

package signature_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/signature"
)

// refused checks that err is an *Error for the reason.
func refused(t *testing.T, err error, want signature.Reason) {
	t.Helper()
	refusal, ok := errors.AsType[*signature.Error](err)
	if !ok {
		t.Fatalf("got %v, want an *Error", err)
	}
	if refusal.Reason != want {
		t.Errorf("got %q, want reason %q", err, want)
	}
	if refusal.Scheme == "" || refusal.Header != http.CanonicalHeaderKey(refusal.Header) || refusal.Header == "" {
		t.Errorf("incomplete error: %#v", refusal)
	}
}

func with(r signature.Request, name string, values ...string) signature.Request {
	r.Header = r.Header.Clone()
	r.Header[name] = values
	return r
}

func TestAlteredBody(t *testing.T) {
	t.Parallel()
	forEachVector(t, func(t *testing.T, v vector) {
		verifier := signature.Must(v.new(v.secret))
		for i := range v.request.Body {
			r := v.request
			r.Body = bytes.Clone(r.Body)
			r.Body[i] ^= 1
			refused(t, verifier.Verify(r, v.now()), signature.Mismatch)
		}
		for _, body := range [][]byte{nil, append(bytes.Clone(v.request.Body), '\n'), v.request.Body[1:]} {
			r := v.request
			r.Body = body
			refused(t, verifier.Verify(r, v.now()), signature.Mismatch)
		}
	})
}

func TestAlteredHeader(t *testing.T) {
	t.Parallel()
	forEachVector(t, func(t *testing.T, v vector) {
		verifier := signature.Must(v.new(v.secret))
		ignored := strings.Index(v.request.Header.Get("Stripe-Signature"), ",v0=")
		for name, values := range v.request.Header {
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
					if err := verifier.Verify(with(v.request, name, string(b)), v.now()); err == nil {
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
		verifier := signature.Must(v.new(v.secret))
		for name, values := range v.request.Header {
			value := values[0]
			refused(t, verifier.Verify(with(v.request, name), v.now()), signature.Missing)
			refused(t, verifier.Verify(with(v.request, name, ""), v.now()), signature.Missing)
			refused(t, verifier.Verify(with(v.request, name, value, value), v.now()), signature.Repeated)
			refused(t, verifier.Verify(with(v.request, name, value, "other"), v.now()), signature.Repeated)
			for _, bad := range []string{"", " ", ",", "=", "\x00", "é", "v0=", "sha256=", strings.Repeat("v1,", 1000), strings.Repeat("=", 1000)} {
				if err := verifier.Verify(with(v.request, name, bad), v.now()); err == nil {
					t.Errorf("accepted %s: %q", name, bad)
				}
			}
		}
		refused(t, verifier.Verify(signature.Request{Body: v.request.Body}, v.now()), signature.Missing)
		refused(t, verifier.Verify(signature.Request{}, v.now()), signature.Missing)
	})
}

func TestTolerance(t *testing.T) {
	t.Parallel()
	forEachVector(t, func(t *testing.T, v vector) {
		verifier, ok := signature.Must(v.new(v.secret)).(*signature.Timed)
		if !ok {
			t.Skip("no time in this scheme")
		}
		short := verifier.WithTolerance(time.Second)
		for _, c := range []struct {
			verifier *signature.Timed
			age      time.Duration
			want     signature.Reason
		}{
			{verifier, 0, ""},
			{verifier, 5 * time.Minute, ""},
			{verifier, 5*time.Minute + 1, signature.Stale},
			{verifier, -5 * time.Minute, ""},
			{verifier, -5*time.Minute - 1, signature.Future},
			{verifier, 200 * 365 * 24 * time.Hour, signature.Stale},
			{short, time.Second, ""},
			{short, -time.Second, ""},
			{short, 2 * time.Second, signature.Stale},
			{short, -2 * time.Second, signature.Future},
			{verifier.WithTolerance(time.Hour), time.Hour, ""},
			{verifier.WithTolerance(1<<63 - 1), 24 * time.Hour, ""},
		} {
			err := c.verifier.Verify(v.request, v.sentAt.Add(c.age))
			if c.want != "" {
				refused(t, err, c.want)
			} else if err != nil {
				t.Errorf("age %v: %v", c.age, err)
			}
		}
		refused(t, verifier.Verify(v.request, time.Time{}), signature.Future)
		mustPanic(t, func() { verifier.WithTolerance(0) })
		mustPanic(t, func() { verifier.WithTolerance(-time.Second) })
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
		slack := signature.Request{
			Header: header("X-Slack-Request-Timestamp", timestamp,
				"X-Slack-Signature", "v0="+hexMAC(secret, "v0:"+timestamp+":"+body)),
			Body: []byte(body),
		}
		refused(t, signature.Must(signature.Slack(secret)).Verify(slack, now), signature.Malformed)
		stripe := signature.Request{
			Header: header("Stripe-Signature", "t="+timestamp+",v1="+hexMAC(secret, timestamp+"."+body)),
			Body:   []byte(body),
		}
		refused(t, signature.Must(signature.Stripe(secret)).Verify(stripe, now), signature.Malformed)
		refused(t, signature.Must(signature.StandardWebhooks(base64Of(secret))).
			Verify(standard(secret, "msg_1", timestamp, body), now), signature.Malformed)
	}
	refused(t, signature.Must(signature.StandardWebhooks(base64Of(secret))).
		Verify(standard(secret, "msg_1", strings.Repeat("9", 11), body), now), signature.Future)
	refused(t, signature.Must(signature.StandardWebhooks(base64Of(secret))).
		Verify(standard(secret, "msg_1", "0", body), now), signature.Stale)
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	forEachVector(t, func(t *testing.T, v vector) {
		refused(t, signature.Must(v.new(v.wrong)).Verify(v.request, v.now()), signature.Mismatch)
		// While a secret is rotated, both are good, in either order.
		for _, secrets := range [][]string{{v.secret, v.wrong}, {v.wrong, v.secret}, {v.wrong, v.wrong, v.secret}} {
			if err := signature.Must(v.new(secrets...)).Verify(v.request, v.now()); err != nil {
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
		mustPanic(t, func() { signature.Must(v.new()) })
	})
	for _, secret := range []string{
		"whsec_", "whpk_", "whsec_?notbase64topsecret", "v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=",
	} {
		_, err := signature.StandardWebhooks(secret)
		if err == nil {
			t.Errorf("accepted %q", secret)
		} else if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%q shows the secret", err)
		}
	}
	_, err := signature.StandardWebhooks(good, "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=")
	const want = "signature: standard-webhooks: secret 2 of 2 is a private key"
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
		{constructorOf(signature.StandardWebhooks), bytes(1), "has 1 bytes when its base64 is decoded, and the specification wants 24 to 64"},
		{constructorOf(signature.StandardWebhooks), bytes(3), "has 3 bytes"},
		{constructorOf(signature.StandardWebhooks), bytes(23), "has 23 bytes"},
		{constructorOf(signature.StandardWebhooks), bytes(24), ""},
		{constructorOf(signature.StandardWebhooks), bytes(64), ""},
		{constructorOf(signature.StandardWebhooks), bytes(65), "has 65 bytes"},
		{constructorOf(signature.StandardWebhooks), good, ""},
		{constructorOf(signature.StandardWebhooks), "v1,whsec_" + good, "give what follows, whsec_ and base64"},
		{constructorOf(signature.StandardWebhooks), "v1," + good, "give what follows"},
		{constructorOf(signature.StandardWebhooks), "v1a,whpk_" + good, "give what follows, whpk_ and base64"},
		{constructorOf(signature.StandardWebhooks), "whpk_" + good, "has 24 bytes, and such keys have 32"},
		{constructorOf(signature.StandardWebhooks), "whsk_" + good, "give the public one (whpk_)"},
		{constructorOf(signature.StandardWebhooks), "whsec_" + good + "A", "give the whole text that the sender shows"},
		{constructorOf(signature.GitHub), "thirteen byte", "has 13 bytes, and needs 14"},
		{constructorOf(signature.GitHub), "fourteen bytes", ""},
		{constructorOf(signature.GitHub), "github_pat_11ABCDEFG0123456789", "give the text that was entered as the secret of the webhook"},
		{constructorOf(signature.GitHub), "ghp_0123456789abcdefghij", "access token"},
		{constructorOf(signature.Stripe), "thirteen byte", "has 13 bytes"},
		{constructorOf(signature.Stripe), "sk_test_0123456789abcdef", "give the signing secret of the endpoint"},
		{constructorOf(signature.Stripe), "whsec_0123456789abcdef", ""},
		{constructorOf(signature.Slack), "thirteen byte", "has 13 bytes"},
		{constructorOf(signature.Slack), "xoxb-0123456789-abcdef", "give its signing secret"},
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
			verifier := signature.Must(v.new(v.secret))
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
				if err := verifier.Verify(with(v.request, name, strings.Join(list, separator)), v.now()); err != nil {
					t.Errorf("%q: %v", list, err)
				}
			}
			many := strings.Repeat(other+separator, 16) + good
			refused(t, verifier.Verify(with(v.request, name, many), v.now()), signature.Malformed)
		}
	})
}

func TestStripeHeader(t *testing.T) {
	t.Parallel()
	const secret, body = "whsec_of-the-tests", "{}"
	sum := hexMAC(secret, "1700000000."+body)
	verifier := signature.Must(signature.Stripe(secret))
	for value, want := range map[string]signature.Reason{
		"t=1700000000,v1=" + sum:                            "",
		"v1=" + sum + ",t=1700000000":                       "",
		"t=1700000000, v1=" + sum:                           signature.Malformed,
		"t=1700000000,v1=" + strings.ToUpper(sum):           "",
		"t=1700000000,v1=" + sum + ",v9=a=b":                "",
		"t=1700000000,v0=" + sum:                            signature.Malformed,
		"t=1700000000,V1=" + sum:                            signature.Malformed,
		"t=1700000000,v1=" + sum[:62]:                       signature.Malformed,
		"t=1700000000,v1=" + sum + "00":                     signature.Malformed,
		"t=1700000000,t=1700000000,v1=" + sum:               signature.Malformed,
		"t=1600000000,t=1700000000,v1=" + sum:               signature.Malformed,
		"v1=" + sum:                                         signature.Malformed,
		"t=,v1=" + sum:                                      signature.Malformed,
		"t=1700000000":                                      signature.Malformed,
		"t=1700000000,v1=" + sum + ",":                      signature.Malformed,
		"t,v1=,v0=":                                         signature.Malformed,
		",,":                                                signature.Malformed,
		"t=1700000001,v1=" + sum:                            signature.Mismatch,
		"t=1700000000,v1=" + hexMAC(secret, body):           signature.Mismatch,
		"t=1700000000,v1=" + hexMAC("", "1700000000."+body): signature.Mismatch,

		"t=1700000000,v1=" + hexMAC(secret[6:], "1700000000."+body):   signature.Mismatch,
		"t=1700000000,v1=" + strings.Repeat("0", 64) + ",v0=" + sum:   signature.Mismatch,
		"t=1700000000,v1=" + strings.Repeat("0", 64) + ",v1=" + "0x1": signature.Mismatch,
	} {
		err := verifier.Verify(signature.Request{Header: header("Stripe-Signature", value), Body: []byte(body)}, time.Unix(1700000000, 0))
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
	verifier := signature.Must(signature.GitHub(secret))
	for value, want := range map[string]signature.Reason{
		"sha256=" + sum:                                  "",
		"sha256=" + strings.ToUpper(sum):                 "",
		sum:                                              signature.Malformed,
		"SHA256=" + sum:                                  signature.Malformed,
		"sha1=" + sum[:40]:                               signature.Malformed,
		"sha256=" + sum + " ":                            signature.Malformed,
		" sha256=" + sum:                                 signature.Malformed,
		"sha256= " + sum:                                 signature.Malformed,
		"sha256=0x" + sum[2:]:                            signature.Malformed,
		"sha256=" + sum[:63]:                             signature.Malformed,
		"sha256=" + sum + ",sha256=" + sum:               signature.Malformed,
		"sha256=" + strings.Repeat("g", 64):              signature.Malformed,
		"sha256=" + strings.Repeat("0", 64):              signature.Mismatch,
		"sha256=" + hexMAC("", body):                     signature.Mismatch,
		"sha256=" + hex.EncodeToString([]byte(sum))[:64]: signature.Mismatch,
	} {
		err := verifier.Verify(signature.Request{Header: header("X-Hub-Signature-256", value), Body: []byte(body)}, time.Time{})
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
	r := signature.Request{
		Header: header("X-Hub-Signature", "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59"),
		Body:   []byte("Hello, World!"),
	}
	refused(t, signature.Must(signature.GitHub("It's a Secret to Everybody")).Verify(r, time.Time{}), signature.Missing)
}

func TestStandardWebhooksID(t *testing.T) {
	t.Parallel()
	const secret = "a secret of 24 bytes and more"
	now := time.Unix(1700000000, 0)
	verifier := signature.Must(signature.StandardWebhooks("whsec_" + base64Of(secret)))

	genuine := standard(secret, "msg_1", "1600000000", "1700000000.body")
	refused(t, verifier.Verify(genuine, now), signature.Stale)
	// The same bytes, cut so that the body gives the time.
	forged := genuine
	forged.Header = genuine.Header.Clone()
	forged.Header.Set("Webhook-Id", "msg_1.1600000000")
	forged.Header.Set("Webhook-Timestamp", "1700000000")
	forged.Body = []byte("body")
	refused(t, verifier.Verify(forged, now), signature.Malformed)

	refused(t, verifier.Verify(standard(secret, "msg.1", "1700000000", "body"), now), signature.Malformed)

	r := standard(secret, "msg_1", "1700000000", "body")
	if err := verifier.Verify(r, now); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"msg_2", "msg_1 ", " msg_1", "MSG_1"} {
		refused(t, verifier.Verify(with(r, "Webhook-Id", id), now), signature.Mismatch)
	}
}

// A public key is not a secret, so an HMAC made with it must not be accepted.
func TestStandardWebhooksKeyConfusion(t *testing.T) {
	t.Parallel()
	public := publicKey("VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=")
	verifier := signature.Must(signature.StandardWebhooks(public))
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(public, "whpk_"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{string(raw), public} {
		r := standard(secret, "msg_1", "1700000000", "{}")
		refused(t, verifier.Verify(r, time.Unix(1700000000, 0)), signature.Mismatch)
		value := strings.Replace(r.Header.Get("Webhook-Signature"), "v1,", "v1a,", 1)
		refused(t, verifier.Verify(with(r, "Webhook-Signature", value), time.Unix(1700000000, 0)), signature.Malformed)
	}
}

func TestNothingShowsSecrets(t *testing.T) {
	t.Parallel()
	forEachVector(t, func(t *testing.T, v vector) {
		verifier := signature.Must(v.new(v.secret))
		altered := v.request
		altered.Body = []byte("altered")
		err := verifier.Verify(altered, v.now())
		raw := strings.TrimPrefix(strings.TrimPrefix(v.secret, "whsec_"), "whpk_")
		hidden := []string{raw, hex.EncodeToString([]byte(raw)), decimal([]byte(raw))}
		if key, err := base64.StdEncoding.DecodeString(raw); err == nil {
			hidden = append(hidden, string(key), hex.EncodeToString(key), decimal(key))
		}
		for _, values := range v.request.Header {
			hidden = append(hidden, values[0])
		}
		text := fmt.Sprintf("%v %+v %#v %s %d %x %v", verifier, verifier, verifier, verifier, verifier, verifier, err)
		for _, s := range hidden {
			if strings.Contains(text, s) {
				t.Errorf("%q is shown", s)
			}
		}
	})
}

func TestSensitiveHeaders(t *testing.T) {
	t.Parallel()
	own := signature.Func(func(signature.Request, time.Time) error { return nil }, "x-signature", "X-API-Key")
	for _, c := range []struct {
		verifier signature.Verifier
		want     []string
	}{
		{signature.Must(signature.StandardWebhooks(base64Of("a secret of some length!"))), []string{"Webhook-Signature"}},
		{signature.Must(signature.GitHub("a secret of some length")), []string{"X-Hub-Signature-256", "X-Hub-Signature"}},
		{signature.Must(signature.Stripe("a secret of some length")), []string{"Stripe-Signature"}},
		{signature.Must(signature.Slack("a secret of some length")), []string{"X-Slack-Signature"}},
		{own, []string{"X-Signature", "X-Api-Key"}},
	} {
		got := c.verifier.SensitiveHeaders()
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Error(diff)
		}
		got[0] = "changed by the caller"
		if diff := cmp.Diff(c.want, c.verifier.SensitiveHeaders()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestFunc(t *testing.T) {
	t.Parallel()
	want := signature.Request{Method: http.MethodPut, Header: header("A", "b"), Body: []byte("body")}
	now := time.Unix(1700000000, 0)
	errRefused := errors.New("refused")
	verifier := signature.Func(func(r signature.Request, at time.Time) error {
		if diff := cmp.Diff(want, r); diff != "" || !at.Equal(now) {
			t.Error(diff, at)
		}
		return errRefused
	})
	if err := verifier.Verify(want, now); !errors.Is(err, errRefused) {
		t.Errorf("got %v", err)
	}
	mustPanic(t, func() { signature.Func(nil) })
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	err := signature.Must(signature.GitHub("a secret of some length")).Verify(signature.Request{}, time.Time{})
	const want = "signature: github: X-Hub-Signature-256: header is missing or empty"
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
func standard(secret, id, timestamp, body string) signature.Request {
	sum := mac(secret, id+"."+timestamp+"."+body)
	return signature.Request{
		Header: header("Webhook-Id", id, "Webhook-Timestamp", timestamp,
			"Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(sum)),
		Body: []byte(body),
	}
}

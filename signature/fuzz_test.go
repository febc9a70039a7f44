package signature_test

import (
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/signature"
)

// FuzzVerify shows arbitrary headers and bodies to all verifiers. Whatever is
// accepted must carry the one signature that its parts really have, and what is
// signed well must be accepted.
func FuzzVerify(f *testing.F) {
	const secret = "a secret that the fuzzer does not know"
	for _, v := range officialVectors() {
		h := v.request.Header
		f.Add(h.Get("Webhook-Id"), h.Get("Webhook-Timestamp"), h.Get("Webhook-Signature"), v.request.Body, v.now().Unix())
		f.Add("", h.Get("X-Slack-Request-Timestamp"), h.Get("X-Slack-Signature"), v.request.Body, v.now().Unix())
		f.Add("", "", h.Get("X-Hub-Signature-256"), v.request.Body, v.now().Unix())
		f.Add("", "", h.Get("Stripe-Signature"), v.request.Body, v.now().Unix())
	}
	const body = "1700000000.{}"
	for _, s := range []string{
		"v1," + base64.StdEncoding.EncodeToString(mac(secret, "msg_1.1700000000."+body)),
		"sha256=" + hexMAC(secret, body),
		"t=1700000000,v1=" + hexMAC(secret, "1700000000."+body),
		"v0=" + hexMAC(secret, "v0:1700000000:"+body),
	} {
		f.Add("msg_1", "1700000000", s, []byte(body), int64(1700000100))
		f.Add("msg_1.1700000000", "1700000000", s+" ,"+s, []byte("{}"), int64(1700000100))
	}

	standardWebhooks := signature.Must(signature.StandardWebhooks(base64Of(secret)))
	gitHub := signature.Must(signature.GitHub(secret))
	stripe := signature.Must(signature.Stripe(secret))
	slack := signature.Must(signature.Slack(secret))

	f.Fuzz(func(t *testing.T, id, timestamp, s string, body []byte, unix int64) {
		now := time.Unix(unix, 0)
		verify := func(v signature.Verifier, genuine bool, pairs ...string) {
			t.Helper()
			err := v.Verify(signature.Request{Header: header(pairs...), Body: body}, now)
			if err == nil && !genuine {
				t.Fatalf("accepted %q with body %q at %d", pairs, body, unix)
			}
			if err == nil {
				return
			}
			if _, ok := errors.AsType[*signature.Error](err); !ok {
				t.Fatalf("%q is no *Error", err)
			}
		}

		sum := mac(secret, id+"."+timestamp+"."+string(body))
		entry := "v1," + base64.StdEncoding.EncodeToString(sum)
		verify(standardWebhooks, slices.Contains(strings.Split(s, " "), entry),
			"Webhook-Id", id, "Webhook-Timestamp", timestamp, "Webhook-Signature", s)

		verify(gitHub, strings.EqualFold(s, "sha256="+hexMAC(secret, string(body))), "X-Hub-Signature-256", s)

		verify(slack, strings.EqualFold(s, "v0="+hexMAC(secret, "v0:"+timestamp+":"+string(body))),
			"X-Slack-Request-Timestamp", timestamp, "X-Slack-Signature", s)

		genuine := slices.ContainsFunc(strings.Split(s, ","), func(pair string) bool {
			at, ok := strings.CutPrefix(pair, "t=")
			return ok && strings.Contains(strings.ToLower(s), "v1="+hexMAC(secret, at+"."+string(body)))
		})
		verify(stripe, genuine, "Stripe-Signature", s)

		// The other way round: sign what the fuzzer made up.
		if unix < 0 || unix > 99999999999 {
			return
		}
		at := strconv.FormatInt(unix, 10)
		accept := func(v signature.Verifier, pairs ...string) {
			t.Helper()
			if err := v.Verify(signature.Request{Header: header(pairs...), Body: body}, now); err != nil {
				t.Fatalf("%q with body %q: %v", pairs, body, err)
			}
		}
		if id != "" && !strings.Contains(id, ".") {
			sum := mac(secret, id+"."+at+"."+string(body))
			accept(standardWebhooks, "Webhook-Id", id, "Webhook-Timestamp", at,
				"Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(sum))
		}
		accept(gitHub, "X-Hub-Signature-256", "sha256="+hexMAC(secret, string(body)))
		accept(stripe, "Stripe-Signature", "t="+at+",v1="+hexMAC(secret, at+"."+string(body)))
		accept(slack, "X-Slack-Request-Timestamp", at, "X-Slack-Signature", "v0="+hexMAC(secret, "v0:"+at+":"+string(body)))
	})
}

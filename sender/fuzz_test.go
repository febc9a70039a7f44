package sender_test

import (
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/sender"
)

// FuzzVerify shows arbitrary headers and bodies to the senders. Whatever is
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

	standardWebhooks := sender.Must(sender.StandardWebhooks(base64Of(secret)))
	gitHub := sender.Must(sender.GitHub(secret))
	stripe := sender.Must(sender.Stripe(secret))
	slack := sender.Must(sender.Slack(secret))

	f.Fuzz(func(t *testing.T, id, timestamp, s string, body []byte, unix int64) {
		now := time.Unix(unix, 0)
		verify := func(v *sender.Sender, genuine bool, pairs ...string) {
			t.Helper()
			err := v.Verify(&sender.Request{Header: header(pairs...), Body: body}, now)
			if err == nil && !genuine {
				t.Fatalf("accepted %q with body %q at %d", pairs, body, unix)
			}
			if err == nil {
				return
			}
			if _, ok := errors.AsType[*sender.Error](err); !ok {
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
		accept := func(v *sender.Sender, pairs ...string) {
			t.Helper()
			if err := v.Verify(&sender.Request{Header: header(pairs...), Body: body}, now); err != nil {
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

// FuzzSenders shows arbitrary requests to each sender: none may panic, none accepts what it did not
// sign, and what is refused is refused by an *Error. No handshake is answered that was not asked
// for by the sender, or with more than a bounded text.
func FuzzSenders(f *testing.F) {
	all := vectors()
	for i, v := range all {
		var head strings.Builder
		for name, values := range v.request.Header {
			head.WriteString(name + ": " + values[0] + "\n")
		}
		u := "https://example.com/"
		if v.request.URL != nil {
			u = v.request.URL.String()
		}
		f.Add(uint8(i), "POST", u, head.String(), v.request.Body, v.now().Unix())
	}
	f.Add(uint8(0), "GET", "https://example.com/?hub.mode=subscribe&hub.verify_token=guessed&hub.challenge=1158201444", "", []byte(nil), int64(0))
	f.Add(uint8(0), "POST", "https://example.com/?validationToken=a%20text", "", []byte(nil), int64(0))
	f.Add(uint8(0), "POST", "https://example.com/", "X-Signature-Ed25519: 00\n", []byte(`{"type":1}`), int64(0))

	senders := make([]*sender.Sender, len(all))
	for i, v := range all {
		senders[i] = sender.Must(v.new(v.wrong))
	}
	f.Fuzz(func(t *testing.T, which uint8, method, target, head string, body []byte, unix int64) {
		i := int(which) % len(all)
		r := &sender.Request{Method: method, Header: header(), Body: body}
		r.URL, _ = url.Parse(target)
		for line := range strings.Lines(head) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			r.Header.Add(name, value)
		}
		s, now := senders[i], time.Unix(unix, 0)
		err := s.Verify(r, now)
		if err == nil && !all[i].shown { // the fuzzer may find a secret that is shown: it has seen one like it
			t.Fatalf("%s accepted %q %q", all[i].name, head, body)
		}
		if _, ok := errors.AsType[*sender.Error](err); err != nil && !ok {
			t.Fatalf("%q is no *Error", err)
		}
		s.DeliveryID(r)
		resp, err := s.Handshake(r, now)
		if _, ok := errors.AsType[*sender.Error](err); err != nil && !ok {
			t.Fatalf("%q is no *Error", err)
		}
		if resp != nil && (all[i].name != "microsoft graph" || len(resp.Body) > 2048 || resp.Header.Get("X-Content-Type-Options") != "nosniff") {
			t.Fatalf("%s answered %q with %+v", all[i].name, head, resp)
		}
	})
}

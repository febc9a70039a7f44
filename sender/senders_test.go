package sender_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/sender"
)

// Twilio signs the URL as it was given, with its port or without, and each field of a form.
func TestTwilio(t *testing.T) {
	t.Parallel()
	s := sender.Must(sender.TwilioOfAnyLength("12345"))
	form := func(u, sum, body string) *sender.Request {
		r := &sender.Request{
			Method: http.MethodPost,
			Header: header("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8", "X-Twilio-Signature", sum), Body: []byte(body),
		}
		if u != "" {
			r.URL = parseURL(u)
		}
		return r
	}
	const page, fields = "https://mycompany.com/myapp.php?foo=1&bar=2", "Digits=1234&CallSid=CA1234567890ABCDE&To=%2B18005551212&Caller=%2B14158675309&From=%2B14158675309"
	const sum = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
	// The first five are those of twilio-go.
	for _, r := range []*sender.Request{
		form(page, sum, fields),
		form("https://mycompany.com:1234/myapp.php?foo=1&bar=2", sum, fields),
		form(page, "kvajT1Ptam85bY51eRf/AJRuM3w=", fields), // with :443
		form("http://mycompany.com/myapp.php?foo=1&bar=2", "0ZXoZLH/DfblKGATFgpif+LLRf4=", fields),
		form("http://mycompany.com:1234/myapp.php?foo=1&bar=2", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=", fields),
		form(page, twilioSum("12345", page+"Aa1Ab2b1"), "b=1&A=b2&A=a1&A=b2"), // sorted, each value once
		form(page, twilioSum("12345", page), ""),
		form("https://[2001:db8::1]:8443/a", twilioSum("12345", "https://[2001:db8::1]/a"), ""),
		form("https://mycompany.com/a%2Fb/c%20d?x=%41+b", twilioSum("12345", "https://mycompany.com/a%2Fb/c%20d?x=%41+b"), ""), // to the letter
		form(page, base64.StdEncoding.EncodeToString(mac("12345", page+"a1")), "a=1"),                                          // HMAC_SHA256 of a Webhooks Rule
	} {
		if err := s.Verify(r, time.Time{}); err != nil {
			t.Errorf("%s %s: %v", r.URL, r.Body, err)
		}
	}
	jsonBody := func(u, sum, body string) *sender.Request {
		return with(form(u, sum, body), "Content-Type", "application/json")
	}
	const digest = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
	const signedJSON = "https://mycompany.com/myapp.php?bodySHA256=" + digest
	if err := s.Verify(jsonBody(signedJSON, "y77kIzt2vzLz71DgmJGsen2scGs=", `{"property": "value", "boolean": true}`), time.Time{}); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		r    *sender.Request
		want sender.Reason
	}{
		"another host":         {form("https://example.com/myapp.php?foo=1&bar=2", sum, fields), sender.Mismatch},
		"another path":         {form("https://mycompany.com/myapp.php/?foo=1&bar=2", sum, fields), sender.Mismatch},
		"another query":        {form("https://mycompany.com/myapp.php?foo=1&bar=3", sum, fields), sender.Mismatch},
		"one more field":       {form(page, sum, fields+"&A=1"), sender.Mismatch},
		"another value":        {form(page, sum, strings.Replace(fields, "1234", "1235", 1)), sender.Mismatch},
		"no host":              {form("/myapp.php?foo=1&bar=2", sum, fields), sender.Missing},
		"no URL":               {form("", sum, fields), sender.Missing},
		"a form that is none":  {form(page, sum, "a=%zz"), sender.Malformed},
		"unsigned JSON":        {jsonBody(page, twilioSum("12345", page), `{"a":1}`), sender.Missing},
		"altered JSON":         {jsonBody(signedJSON, "y77kIzt2vzLz71DgmJGsen2scGs=", `{"a":1}`), sender.Mismatch},
		"two digests":          {jsonBody(signedJSON+"&bodySHA256=a", "y77kIzt2vzLz71DgmJGsen2scGs=", `{}`), sender.Repeated},
		"JSON for a form":      {form(signedJSON, "y77kIzt2vzLz71DgmJGsen2scGs=", "a=1"), sender.Mismatch},
		"half a signature":     {form(page, sum[:20], fields), sender.Malformed},
		"not base64":           {form(page, strings.Repeat("?", 28), fields), sender.Malformed},
		"another account":      {form(page, twilioSum("12346", page), ""), sender.Mismatch},
		"a signature of 20 00": {form(page, base64.StdEncoding.EncodeToString(make([]byte, 20)), fields), sender.Mismatch},
	} {
		if err := s.Verify(c.r, time.Time{}); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			refused(t, err, c.want)
		}
	}
	if _, err := sender.Twilio("12345"); err == nil {
		t.Error("an auth token of 5 bytes is accepted")
	}
}

func twilioSum(secret, text string) string {
	h := hmac.New(crypto.SHA1.New, []byte(secret))
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// The unbranded names are for requests that have no other.
func TestSvixHeaders(t *testing.T) {
	t.Parallel()
	const secret = "a secret of 24 bytes and more"
	now := time.Unix(1700000000, 0)
	s := sender.Must(sender.Svix(base64Of(secret)))
	r := standard(secret, "msg_1", "1700000000", "body")
	if err := s.Verify(r, now); err != nil || s.DeliveryID(r) != "msg_1" {
		t.Errorf("%v, delivery %q", err, s.DeliveryID(r))
	}
	both := with(r, "Svix-Signature", r.Header.Get("Webhook-Signature"))
	both.Header.Set("Svix-Id", "msg_2")
	both.Header.Set("Svix-Timestamp", "1700000000")
	refused(t, s.Verify(both, now), sender.Mismatch)
	refused(t, sender.Must(sender.StandardWebhooks(base64Of(secret))).Verify(with(&sender.Request{Header: header()}, "Svix-Id", "a"), now), sender.Missing)
}

// If a single item lacks the secret, none is taken.
func TestMicrosoftGraphItems(t *testing.T) {
	t.Parallel()
	s := sender.Must(sender.MicrosoftGraph("the client state of old", "the client state of now"))
	for body, want := range map[string]sender.Reason{
		`{"value":[{"clientState":"the client state of now"}]}`:                                           "",
		`{"value":[{"clientState":"the client state of old"},{"clientState":"the client state of now"}]}`: "",
		`{"value":[{"clientState":"the client state of now"},{"clientState":"guessed"}]}`:                 sender.Wrong,
		`{"value":[{"clientState":"the client state of now"},{}]}`:                                        sender.Missing,
		`{"value":[{"clientState":"the client state of now"},{"clientState":null}]}`:                      sender.Missing,
		`{"value":[{"clientState":"the client state of now"},null]}`:                                      sender.Missing,
		`{"value":[{"clientState":"the client state of now"}],"value":[{"clientState":"guessed"}]}`:       sender.Wrong,
		`{"value":[]}`:                  sender.Missing,
		`{}`:                            sender.Missing,
		`[]`:                            sender.Malformed,
		``:                              sender.Malformed,
		`{"value":[{"clientState":7}]}`: sender.Malformed,
		`{"value":{"clientState":"the client state of now"}}`:    sender.Malformed,
		`{"clientState":"the client state of now","value":[{}]}`: sender.Missing,
	} {
		err := s.Verify(&sender.Request{Body: []byte(body)}, time.Time{})
		if want != "" {
			refused(t, err, want)
		} else if err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// The time that Linear signs is in the body, and is believed once the signature is proved.
func TestLinearTime(t *testing.T) {
	t.Parallel()
	const secret = "a secret of 24 bytes and more"
	s := sender.Must(sender.Linear(secret))
	now := time.UnixMilli(1700000000000)
	for body, want := range map[string]sender.Reason{
		`{"webhookTimestamp":1700000000000}`:                 "",
		`{"webhookTimestamp":1699999940000}`:                 "",
		`{"webhookTimestamp":1699999939999}`:                 sender.Stale,
		`{"webhookTimestamp":1700000060001}`:                 sender.Future,
		`{"webhookTimestamp":"1700000000000"}`:               sender.Malformed,
		`{"webhookTimestamp":1.5e3}`:                         sender.Malformed,
		`{}`:                                                 sender.Missing,
		`not JSON`:                                           sender.Malformed,
		`{"webhookTimestamp":9223372036854775807}`:           sender.Future,
		`{"data":{"webhookTimestamp":1700000000000},"a":[]}`: sender.Missing,
	} {
		r := &sender.Request{Header: header("Linear-Signature", hexMAC(secret, body)), Body: []byte(body)}
		err := s.Verify(r, now)
		if want != "" {
			refused(t, err, want)
		} else if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		refused(t, s.Verify(with(r, "Linear-Signature", hexMAC("another", body)), now), sender.Mismatch)
	}
}

// What Slack sends is identified by what is in it.
func TestSlackDeliveries(t *testing.T) {
	t.Parallel()
	s := sender.Must(sender.Slack(shaken))
	const form = "application/x-www-form-urlencoded"
	for _, c := range []struct{ kind, body, want string }{
		{"application/json", `{"type":"event_callback","event_id":"Ev123ABC456","event":{}}`, "Ev123ABC456"},
		{"application/json; charset=utf-8", `{"type":"app_rate_limited"}`, ""},
		{form, "command=%2Fweather&trigger_id=13345224609.738474920.8088930838d88f008e0", "13345224609.738474920.8088930838d88f008e0"},
		{form + "; charset=utf-8", "payload=" + url.QueryEscape(`{"type":"block_actions","trigger_id":"12466734323.1395872398"}`), "12466734323.1395872398"},
		{form, "payload=" + url.QueryEscape(`{"type":"block_suggestion"}`), ""},
		{form, "payload=none", ""},
		{form, "a=%zz", ""},
		{"application/json", "\r\n\t {\"event_id\":\"Ev1\"}", "Ev1"},
		{"", "", ""},
	} {
		// Content-Type is not signed: what is recorded can be sent again under another one.
		for _, kind := range []string{c.kind, form, "application/json", "text/plain", ""} {
			if got := s.DeliveryID(&sender.Request{Header: header("Content-Type", kind), Body: []byte(c.body)}); got != c.want {
				t.Errorf("%s as %s: %q, want %q", c.body, kind, got, c.want)
			}
		}
	}
}

// A signature is of a text that URL and form make up together, and not of another body, whose
// digest the writer of a message has put into that text.
func TestTwilioDigestInForm(t *testing.T) {
	t.Parallel()
	s := sender.Must(sender.Twilio(shaken))
	const page, evil = "https://example.com/hook?run=1&x=", `{"amount":1000000}`
	digest := sha256.Sum256([]byte(evil))
	forges := func(name, message, query string, tail ...string) {
		t.Helper()
		fields := url.Values{"AccountSid": {"AC1"}, "Body": {message}}
		for _, name := range tail {
			fields.Set(name, "1")
		}
		genuine := post(page, fields.Encode())
		genuine.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if err := s.Sign(genuine, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(genuine, time.Time{}); err != nil {
			t.Errorf("%s: what Twilio sent: %v", name, err)
		}
		for _, kind := range []string{"application/json", "application/x-www-form-urlencoded"} {
			forged := post(page+query, evil)
			forged.Header = header("Content-Type", kind, "X-Twilio-Signature", genuine.Header.Get("X-Twilio-Signature"))
			refused(t, s.Verify(forged, time.Time{}), sender.Malformed)
		}
	}
	sum := "&bodySHA256=" + hex.EncodeToString(digest[:])
	forges("as a parameter", sum+"&", "AccountSidAC1Body"+sum+"&From1", "From")
	forges("with an end", sum, "AccountSidAC1Body"+sum+"From1", "From")
	forges("spelled in another way", "&body%53HA256="+sum[12:], "AccountSidAC1Body&body%53HA256="+sum[12:])

	// Nor is a form JSON: some read the first value, and leave the rest.
	fields := url.Values{"AccountSid": {"AC1"}, "Body": {evil}, "From": {"1"}}
	genuine := post(page, fields.Encode())
	genuine.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if err := s.Sign(genuine, time.Time{}); err != nil {
		t.Fatal(err)
	}
	forged := post(page+"AccountSidAC1Body", evil+"From1")
	forged.Header = genuine.Header
	refused(t, s.Verify(forged, time.Time{}), sender.Missing)
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	discords := sender.Must(sender.Discord(discordKey(discordSeed)))
	if got := discords.DeliveryID(post("https://example.com/", "no JSON")); got != "" {
		t.Errorf("what is not JSON is %q", got)
	}
	lab := sender.Must(sender.GitLab(shaken))
	if got := lab.DeliveryID(&sender.Request{Header: http.Header{"Idempotency-Key": {"a", "b"}}}); got != "" {
		t.Errorf("two keys are %q", got)
	}
	if got := sender.Must(sender.Stripe(shaken)).DeliveryID(post("https://example.com/", `{"id":7}`)); got != "" {
		t.Errorf("an event of Stripe without a text for an ID is %q", got)
	}
}

// How long a sender waits, and what it takes for "accepted", is with it.
func TestWaits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s        *sender.Sender
		below    time.Duration // 0: no limit
		accepted string        // status and body; empty: 202
	}{
		{sender.Must(sender.Slack(shaken)), 3 * time.Second, "200 "},
		{sender.Must(sender.Discord(discordKey(discordSeed))), 3 * time.Second, `200 {"type":5}`},
		{sender.Must(sender.DiscordEvents(discordKey(discordSeed))), 3 * time.Second, "204 "},
		{sender.Must(sender.Zoom(shaken)), 3 * time.Second, "200 "},
		{sender.Must(sender.Linear(shaken)), 5 * time.Second, "200 "},
		{sender.Must(sender.Shopify(shaken)), 5 * time.Second, ""},
		{sender.Must(sender.GitHub(shaken)), 10 * time.Second, ""},
		{sender.Must(sender.Stripe(shaken)), 0, ""},
		{sender.Must(sender.Twilio(shaken)), 15 * time.Second, `200 <?xml version="1.0" encoding="UTF-8"?><Response></Response>`},
	} {
		if got := c.s.RespondWithin(); c.below == 0 && got != 0 || c.below > 0 && (got >= c.below || got < c.below/2) {
			t.Errorf("%s: within %v, and it waits for %v", c.s.Name(), got, c.below)
		}
		got := ""
		if a := c.s.Accepted(); a != nil {
			got = strconv.Itoa(a.Status) + " " + string(a.Body)
		}
		if got != c.accepted {
			t.Errorf("%s: accepted is %q, want %q", c.s.Name(), got, c.accepted)
		}
	}
}

func TestHMACForms(t *testing.T) {
	t.Parallel()
	const secret = "a secret of 24 bytes and more"
	sum384 := hmac.New(sha512.New384, []byte(secret))
	sum384.Write([]byte("body"))
	sum512 := hmac.New(sha512.New, []byte(secret))
	sum512.Write([]byte("body"))
	for _, c := range []struct {
		o   sender.HMACOptions
		sum string
	}{
		{sender.HMACOptions{}, hexMAC(secret, "body")},
		{sender.HMACOptions{Prefix: "v1="}, "v1=" + hexMAC(secret, "body")},
		{sender.HMACOptions{Encoding: sender.Base64}, base64.StdEncoding.EncodeToString(mac(secret, "body"))},
		{sender.HMACOptions{Encoding: sender.Base64URL}, base64.RawURLEncoding.EncodeToString(mac(secret, "body"))},
		{sender.HMACOptions{Hash: crypto.SHA384}, hex.EncodeToString(sum384.Sum(nil))},
		{sender.HMACOptions{Hash: crypto.SHA512}, hex.EncodeToString(sum512.Sum(nil))},
		{sender.HMACOptions{Signed: "to be signed: {body}"}, hexMAC(secret, "to be signed: body")},
	} {
		c.o.Header, c.o.Secrets = "X-Sum", []string{"an older secret of theirs", secret}
		s := sender.Must(sender.HMAC(c.o))
		if err := s.Verify(&sender.Request{Header: header("X-Sum", c.sum), Body: []byte("body")}, time.Time{}); err != nil {
			t.Errorf("%+v: %v", c.o, err)
		}
		refused(t, s.Verify(&sender.Request{Header: header("X-Sum", c.sum), Body: []byte("bodY")}, time.Time{}), sender.Mismatch)
		refused(t, s.Verify(&sender.Request{Header: header("X-Sum", c.sum[1:]), Body: []byte("body")}, time.Time{}), sender.Malformed)
	}
}

// What is signed could be cut at other places if an ID had the text that ends it.
func TestHMACCuts(t *testing.T) {
	t.Parallel()
	const secret = "a secret of 24 bytes and more"
	s := sender.Must(sender.HMAC(sender.HMACOptions{
		Secrets: []string{secret}, Header: "X-Sum", IDHeader: "X-Id", TimestampHeader: "X-Time", Signed: "{id}.{timestamp}.{body}",
	}))
	request := func(id, at, body string) *sender.Request {
		return &sender.Request{
			Header: header("X-Id", id, "X-Time", at, "X-Sum", hexMAC(secret, id+"."+at+"."+body)), Body: []byte(body),
		}
	}
	now := time.Unix(1700000000, 0)
	if err := s.Verify(request("1", "1700000000", "body"), now); err != nil {
		t.Error(err)
	}
	refused(t, s.Verify(request("1.1600000000", "1700000000", "body"), now), sender.Malformed)
	refused(t, s.Verify(request("1", "1600000000", "1700000000.body"), now), sender.Stale)

	// Nor may it end with the beginning of that text.
	dashes := sender.Must(sender.HMAC(sender.HMACOptions{Secrets: []string{secret}, Header: "X-Sum", IDHeader: "X-Id", Signed: "v1--{id}--{body}"}))
	for id, body := range map[string]string{"a": "-1", "a-": "1", "-a": "1", "a--b": "1", "-": "1"} {
		err := dashes.Verify(&sender.Request{Header: header("X-Id", id, "X-Sum", hexMAC(secret, "v1--"+id+"--"+body)), Body: []byte(body)}, now)
		if id == "a" || id == "-a" {
			if err != nil {
				t.Errorf("%q: %v", id, err)
			}
			continue
		}
		refused(t, err, sender.Malformed)
	}

	urls := sender.Must(sender.HMAC(sender.HMACOptions{Secrets: []string{secret}, Header: "X-Sum", Signed: "{url} {body}"}))
	refused(t, urls.Verify(&sender.Request{Header: header("X-Sum", hexMAC(secret, "/a "))}, now), sender.Missing)
}

func TestBadHMACOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		o    sender.HMACOptions
		want string
	}{
		{sender.HMACOptions{Header: ""}, "Header is empty"},
		{sender.HMACOptions{Hash: crypto.SHA1}, "Hash is SHA-1"},
		{sender.HMACOptions{Hash: crypto.MD5}, "Hash is MD5"},
		{sender.HMACOptions{Encoding: 7}, "Encoding 7"},
		{sender.HMACOptions{Signed: "{host}{body}"}, `"{host" is not one of`},
		{sender.HMACOptions{Signed: "nothing"}, "the body comes last"},
		{sender.HMACOptions{Signed: "{method}"}, "the body has to be signed"},
		{sender.HMACOptions{Signed: "{body}.{method}"}, "the body comes last"},
		{sender.HMACOptions{Signed: "{body}."}, "the body comes last"},
		{sender.HMACOptions{Signed: "{method}{body}"}, "there has to be a text between {method} and {body}"},
		{sender.HMACOptions{Signed: "{method} {method} {body}"}, "each part stands there once"},
		{sender.HMACOptions{Signed: "{body"}, "each part stands there once"},
		{sender.HMACOptions{Signed: "{timestamp}{body}"}, "{timestamp} and TimestampHeader go together"},
		{sender.HMACOptions{TimestampHeader: "X-Time"}, "{timestamp} and TimestampHeader go together"},
		{sender.HMACOptions{IDHeader: "X-Id"}, "{id} and IDHeader go together"},
	} {
		c.o.Secrets = []string{"a secret of 24 bytes and more"}
		if c.want != "Header is empty" {
			c.o.Header = "X-Sum"
		}
		if _, err := sender.HMAC(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.o, err, c.want)
		}
	}
	if _, err := sender.HMAC(sender.HMACOptions{Header: "X-Sum", Secrets: []string{"short"}}); err == nil {
		t.Error("a secret of 5 bytes is accepted")
	}
	if _, err := sender.APIKey("", "0123456789abcdef"); err == nil {
		t.Error("a header without a name is accepted")
	}
}

// A user name is part of what is compared.
func TestBasicUser(t *testing.T) {
	t.Parallel()
	s := sender.Must(sender.Basic("Aladdin", "open sesame, please"))
	for value, want := range map[string]sender.Reason{
		"Basic " + base64Of("Aladdin:open sesame, please"):  "",
		"basic " + base64Of("Aladdin:open sesame, please"):  "",
		"Basic " + base64Of("aladdin:open sesame, please"):  sender.Wrong,
		"Basic " + base64Of(":open sesame, please"):         sender.Wrong,
		"Basic " + base64Of("Aladdin:open sesame, please "): sender.Wrong,
		"Basic " + base64Of("Aladdin"):                      sender.Malformed,
		"Bearer open sesame, please":                        sender.Malformed,
		"open sesame, please":                               sender.Malformed,
	} {
		err := s.Verify(&sender.Request{Header: header("Authorization", value)}, time.Time{})
		if want != "" {
			refused(t, err, want)
		} else if err != nil {
			t.Errorf("%s: %v", value, err)
		}
	}
}

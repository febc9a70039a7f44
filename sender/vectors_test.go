package sender_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/sender"
)

// A vector is a request that is known to be genuine, two seconds after it was sent.
type vector struct {
	name    string
	new     constructor
	secret  string
	wrong   string // a secret of the right form, but another one
	request *sender.Request
	sentAt  time.Time // zero if no time is signed
	shown   bool      // the secret is shown, and nothing is signed
	id      string    // of the delivery; empty: it has none
}

type constructor func(secrets ...string) (*sender.Sender, error)

// now is when the request arrives: two seconds after it was sent.
func (v vector) now() time.Time { return v.sentAt.Add(2 * time.Second) }

func header(pairs ...string) http.Header {
	h := make(http.Header)
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// vectors are a request of each sender. Those of officialVectors are what the authors of the
// schemes publish.
func vectors() []vector { return append(officialVectors(), ownVectors()...) }

func officialVectors() []vector {
	return []vector{
		{
			// TestWebhookSign in libraries/go/webhook_test.go of
			// https://github.com/standard-webhooks/standard-webhooks
			name:   "standard webhooks",
			new:    sender.StandardWebhooks,
			secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
			wrong:  "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
			request: &sender.Request{
				Header: header(
					"webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek",
					"webhook-timestamp", "1614265330",
					"webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
				),
				Body: []byte(`{"test": 2432232314}`),
			},
			sentAt: time.Unix(1614265330, 0),
			id:     "msg_p5jXN8AQM9LWM0D4loKWxJek",
		},
		{
			// TestAsymmetricWebhookSign in libraries/go/webhook_asymmetric_test.go of
			// https://github.com/standard-webhooks/standard-webhooks, which gives the seed
			name:   "standard webhooks, asymmetric",
			new:    sender.StandardWebhooks,
			secret: publicKey("VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk="),
			wrong:  publicKey("V0VCSE9PS0FTWU1NRVRSSUNURVNUUFJJVkFURUtFWTE="),
			request: &sender.Request{
				Header: header(
					"webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek",
					"webhook-timestamp", "1614265330",
					"webhook-signature", "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==",
				),
				Body: []byte(`{"test": 2432232314}`),
			},
			sentAt: time.Unix(1614265330, 0),
			id:     "msg_p5jXN8AQM9LWM0D4loKWxJek",
		},
		{
			// "Testing the webhook payload validation" on
			// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
			name:   "github",
			new:    sender.GitHub,
			secret: "It's a Secret to Everybody",
			wrong:  "It's a Secret to Nobody",
			request: &sender.Request{
				Header: header("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
				Body:   []byte("Hello, World!"),
			},
			id: "sha256:dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f",
		},
		{
			// EventUtilityTest.cs and event_test_signature.json in src/StripeTests of
			// https://github.com/stripe/stripe-dotnet; https://docs.stripe.com/webhooks
			// describes the scheme and has no complete vector
			name:   "stripe",
			new:    sender.Stripe,
			secret: "webhook_secret",
			wrong:  "another_webhook_secret",
			request: &sender.Request{
				Header: header("Stripe-Signature", "t=1533204620,"+
					"v1=2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7,"+
					"v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"),
				Body: []byte(stripeEvent),
			},
			sentAt: time.Unix(1533204620, 0),
			id:     "evt_123",
		},
		{
			// The recipe on https://docs.slack.dev/authentication/verifying-requests-from-slack
			name:   "slack",
			new:    sender.Slack,
			secret: "8f742231b10e8888abcd99yyyzzz85a5",
			wrong:  "8f742231b10e8888abcd99yyyzzz85a6",
			request: &sender.Request{
				Header: header(
					"Content-Type", "application/x-www-form-urlencoded",
					"X-Slack-Request-Timestamp", "1531420618",
					"X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
				),
				Body: []byte("token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow" +
					"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner" +
					"&command=%2Fwebhook-collect&text=" +
					"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN" +
					"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"),
			},
			sentAt: time.Unix(1531420618, 0),
			id:     "398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
		},
		{
			// TestWebhookSign in go/webhook_test.go of https://github.com/svix/svix-webhooks
			name:   "svix",
			new:    sender.Svix,
			secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
			wrong:  "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
			request: &sender.Request{
				Header: header(
					"svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJek",
					"svix-timestamp", "1614265330",
					"svix-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
				),
				Body: []byte(`{"test": 2432232314}`),
			},
			sentAt: time.Unix(1614265330, 0),
			id:     "msg_p5jXN8AQM9LWM0D4loKWxJek",
		},
		{
			// client/request_validator_test.go of https://github.com/twilio/twilio-go. Its auth
			// token has five bytes, which is fewer than Twilio takes.
			name:   "twilio, form",
			new:    sender.TwilioOfAnyLength,
			secret: "12345",
			wrong:  "12346",
			request: &sender.Request{
				Method: http.MethodPost,
				URL:    parseURL("https://mycompany.com/myapp.php?foo=1&bar=2"),
				Header: header("Content-Type", "application/x-www-form-urlencoded", "X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
				Body:   []byte("Digits=1234&CallSid=CA1234567890ABCDE&To=%2B18005551212&Caller=%2B14158675309&From=%2B14158675309"),
			},
		},
		{
			// The same file.
			name:   "twilio, JSON",
			new:    sender.TwilioOfAnyLength,
			secret: "12345",
			wrong:  "12346",
			request: &sender.Request{
				Method: http.MethodPost,
				URL: parseURL("https://mycompany.com/myapp.php?foo=1&bar=2" +
					"&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"),
				Header: header("Content-Type", "application/json", "X-Twilio-Signature", "a9nBmqA0ju/hNViExpshrM61xv4="),
				Body:   []byte(`{"property": "value", "boolean": true}`),
			},
		},
		{
			// "Secure admin webhooks" on https://developer.atlassian.com/cloud/jira/platform/webhooks/,
			// which signs as Bitbucket does; Bitbucket's own page has no vector
			name:   "bitbucket",
			new:    sender.Bitbucket,
			secret: "It's a Secret to Everybody",
			wrong:  "It's a Secret to Nobody",
			request: &sender.Request{
				Header: header("X-Hub-Signature", "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"),
				Body:   []byte("Hello World!"),
			},
		},
	}
}

// ownVectors are of senders whose authors publish none: the requests are as documented, and signed
// here.
func ownVectors() []vector {
	const secret, wrong = "0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdee"
	const clientState = `{"value":[{"clientState":"` + secret + `","changeType":"created"},{"clientState":"` + secret + `"}]}`
	signed := func(name, header_, prefix, body string, new constructor) vector {
		return vector{
			name: name, new: new, secret: secret, wrong: wrong,
			request: &sender.Request{Method: http.MethodPost, Header: header(header_, prefix+hexMAC(secret, body)), Body: []byte(body)},
		}
	}
	linear := signed("linear", "Linear-Signature", "", linearComment, sender.Linear)
	linear.sentAt = time.UnixMilli(1677611643000)
	zoom := signed("zoom", "X-Zm-Signature", "v0=", "", sender.Zoom)
	zoom.sentAt = time.Unix(1658940994, 0)
	zoom.request.Body = []byte(`{"event":"meeting.started","event_ts":1658940994914}`)
	zoom.request.Header = header("X-Zm-Request-Timestamp", "1658940994",
		"X-Zm-Signature", "v0="+hexMAC(secret, "v0:1658940994:"+string(zoom.request.Body)))
	zoom.id = sender.BodyDigest(zoom.request)
	shopify := signed("shopify", "X-Shopify-Hmac-Sha256", "", "", sender.Shopify)
	shopify.request.Body = []byte(`{"id":820982911946154508,"email":"jon@example.com"}`)
	shopify.request.Header = header("X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(mac(secret, string(shopify.request.Body))))
	own := signed("hmac", "X-Sum", "", "", ownHMAC)
	own.sentAt = time.Unix(1700000000, 0)
	own.id = "d-1"
	own.request.URL = parseURL("https://example.com/hook?a=1")
	own.request.Body = []byte("{}")
	own.request.Header = header("X-Time", "1700000000", "X-Id", "d-1",
		"X-Sum", "sum="+hexMAC(secret, "POST https://example.com/hook?a=1\nd-1\n1700000000{}"))
	return []vector{
		linear,
		zoom,
		shopify,
		own,
		signed("meta", "X-Hub-Signature-256", "sha256=", `{"object":"page","entry":[]}`, newMeta),
		{
			// The body is that of src/__tests__/utils/SharedTestUtils.ts of
			// https://github.com/discord/discord-interactions-js, which makes new keys each time.
			name: "discord", new: sender.Discord, secret: discordKey("a seed of 32 bytes for the tests"), wrong: discordKey("another seed for these tests ..."),
			request: discord("a seed of 32 bytes for the tests", "1700000000", applicationCommand),
			sentAt:  time.Unix(1700000000, 0),
			id:      "787053080478613556",
		},
		{
			name: "discord events", new: sender.DiscordEvents, secret: discordKey("a seed of 32 bytes for the tests"), wrong: discordKey("another seed for these tests ..."),
			request: discord("a seed of 32 bytes for the tests", "1700000000", discordEvent),
			sentAt:  time.Unix(1700000000, 0),
			id:      sender.BodyDigest(&sender.Request{Body: []byte(discordEvent)}),
		},
		{
			name: "microsoft graph", new: sender.MicrosoftGraph, secret: secret, wrong: wrong, shown: true,
			request: &sender.Request{Method: http.MethodPost, URL: parseURL("https://example.com/graph"), Header: header(), Body: []byte(clientState)},
		},
		{
			name: "gitlab", new: sender.GitLab, secret: secret, wrong: wrong, shown: true, id: "f5e5f430-f57b-4e6e-9fac-d9128cd7232f",
			request: &sender.Request{
				Header: header("X-Gitlab-Token", secret, "Idempotency-Key", "f5e5f430-f57b-4e6e-9fac-d9128cd7232f"), Body: []byte(`{}`),
			},
		},
		{
			name: "api key", new: apiKey("x-api-key"), secret: secret, wrong: wrong, shown: true,
			request: &sender.Request{Header: header("X-Api-Key", secret), Body: []byte(`{}`)},
		},
		{
			name: "bearer", new: apiKey("authorization"), secret: secret, wrong: wrong, shown: true,
			request: &sender.Request{Header: header("Authorization", "Bearer "+secret), Body: []byte(`{}`)},
		},
		{
			// RFC 7617 has "Aladdin" and "open sesame" as its example.
			name: "basic", new: basic, secret: "open sesame, please", wrong: "open sesame, at once", shown: true,
			request: &sender.Request{Header: header("Authorization", "Basic "+base64Of("Aladdin:open sesame, please")), Body: []byte(`{}`)},
		},
	}
}

func newMeta(secrets ...string) (*sender.Sender, error) {
	return sender.Meta("verify token of the tests", secrets...)
}

func basic(passwords ...string) (*sender.Sender, error) { return sender.Basic("Aladdin", passwords...) }

func apiKey(header string) constructor {
	return func(keys ...string) (*sender.Sender, error) { return sender.APIKey(header, keys...) }
}

func ownHMAC(secrets ...string) (*sender.Sender, error) {
	return sender.HMAC(sender.HMACOptions{
		Name: "own", Secrets: secrets, Header: "x-sum", Prefix: "sum=", TimestampHeader: "x-time", IDHeader: "x-id",
		Signed: "{method} {url}\n{id}\n{timestamp}{body}",
	})
}

// discord is a request that is signed with the key of a seed.
func discord(seed, timestamp, body string) *sender.Request {
	sum := ed25519.Sign(ed25519.NewKeyFromSeed([]byte(seed)), []byte(timestamp+body))
	return &sender.Request{
		Method: http.MethodPost,
		Header: header("X-Signature-Timestamp", timestamp, "X-Signature-Ed25519", hex.EncodeToString(sum)),
		Body:   []byte(body),
	}
}

func discordKey(seed string) string {
	return hex.EncodeToString(ed25519.NewKeyFromSeed([]byte(seed))[ed25519.SeedSize:])
}

func parseURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

const applicationCommand = `{"id":"787053080478613556","token":"ThisIsATokenFromDiscordThatIsVeryLong","type":2,"version":1,` +
	`"data":{"id":"787053080478613554","name":"test"}}`

// discordEvent is the example of https://discord.com/developers/docs/events/webhook-events.
const discordEvent = `{"version":1,"application_id":"1234560123453231555","type":1,` +
	`"event":{"type":"APPLICATION_AUTHORIZED","timestamp":"2024-10-18T14:42:53.064834","data":{"integration_type":1}}}`

// linearComment is the request of packages/sdk/src/_tests/LinearWebhooks.test.ts of
// https://github.com/linear/linear, which signs it each time.
const linearComment = `{"action":"create","data":{"id":"2174add1-f7c8-44e3-bbf3-2d60b5ea8bc9",` +
	`"createdAt":"2020-01-23T12:53:18.084Z","edited":false},"type":"Comment","webhookTimestamp":1677611643000}`

func publicKey(seed string) string {
	data, err := base64.StdEncoding.DecodeString(seed)
	if err != nil {
		panic(err)
	}
	public := ed25519.NewKeyFromSeed(data)[ed25519.SeedSize:] // the second half is the public key
	return "whpk_" + base64.StdEncoding.EncodeToString(public)
}

const stripeEvent = `{
  "id": "evt_123",
  "object": "event",
  "account": "acct_123",
  "api_version": "2017-05-25",
  "created": 1533204620,
  "data": {
    "object": {
      "id": "cus_123",
      "object": "customer",
      "created": 123456789,
      "email": "test@stripe.com",
      "livemode": false,
      "metadata": {}
    }
  },
  "livemode": false,
  "pending_webhooks": 1,
  "request": {
    "id": "req_123",
    "idempotency_key": "idempotency-key-123"
  },
  "type": "customer.created"
}
`

func forEachVector(t *testing.T, test func(t *testing.T, v vector)) {
	for _, v := range vectors() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			test(t, v)
		})
	}
}

func TestVectors(t *testing.T) {
	t.Parallel()
	forEachVector(t, func(t *testing.T, v vector) {
		s := sender.Must(v.new(v.secret))
		if err := s.Verify(v.request, v.now()); err != nil {
			t.Error(err)
		}
		if got := s.DeliveryID(v.request); got != v.id {
			t.Errorf("the delivery is %q, want %q", got, v.id)
		}
	})
}

package signature_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/signature"
)

// A vector is a request that is known to be genuine.
type vector struct {
	name    string
	new     constructor
	secret  string
	wrong   string // a secret of the right form, but another one
	request signature.Request
	sentAt  time.Time // zero if the scheme has no time
}

type constructor func(secrets ...string) (signature.Verifier, error)

func constructorOf[V signature.Verifier](f func(...string) (V, error)) constructor {
	return func(secrets ...string) (signature.Verifier, error) { return f(secrets...) }
}

// now is when the request arrives: two seconds after it was sent.
func (v vector) now() time.Time { return v.sentAt.Add(2 * time.Second) }

func header(pairs ...string) http.Header {
	h := make(http.Header)
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// officialVectors are what the authors of the schemes publish.
func officialVectors() []vector {
	return []vector{
		{
			// TestWebhookSign in libraries/go/webhook_test.go of
			// https://github.com/standard-webhooks/standard-webhooks
			name:   "standard webhooks",
			new:    constructorOf(signature.StandardWebhooks),
			secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
			wrong:  "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
			request: signature.Request{
				Header: header(
					"webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek",
					"webhook-timestamp", "1614265330",
					"webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
				),
				Body: []byte(`{"test": 2432232314}`),
			},
			sentAt: time.Unix(1614265330, 0),
		},
		{
			// TestAsymmetricWebhookSign in libraries/go/webhook_asymmetric_test.go of
			// https://github.com/standard-webhooks/standard-webhooks, which gives the seed
			name:   "standard webhooks, asymmetric",
			new:    constructorOf(signature.StandardWebhooks),
			secret: publicKey("VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk="),
			wrong:  publicKey("V0VCSE9PS0FTWU1NRVRSSUNURVNUUFJJVkFURUtFWTE="),
			request: signature.Request{
				Header: header(
					"webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek",
					"webhook-timestamp", "1614265330",
					"webhook-signature", "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==",
				),
				Body: []byte(`{"test": 2432232314}`),
			},
			sentAt: time.Unix(1614265330, 0),
		},
		{
			// "Testing the webhook payload validation" on
			// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
			name:   "github",
			new:    constructorOf(signature.GitHub),
			secret: "It's a Secret to Everybody",
			wrong:  "It's a Secret to Nobody",
			request: signature.Request{
				Header: header("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
				Body:   []byte("Hello, World!"),
			},
		},
		{
			// EventUtilityTest.cs and event_test_signature.json in src/StripeTests of
			// https://github.com/stripe/stripe-dotnet; https://docs.stripe.com/webhooks
			// describes the scheme and has no complete vector
			name:   "stripe",
			new:    constructorOf(signature.Stripe),
			secret: "webhook_secret",
			wrong:  "another_webhook_secret",
			request: signature.Request{
				Header: header("Stripe-Signature", "t=1533204620,"+
					"v1=2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7,"+
					"v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"),
				Body: []byte(stripeEvent),
			},
			sentAt: time.Unix(1533204620, 0),
		},
		{
			// The recipe on https://docs.slack.dev/authentication/verifying-requests-from-slack
			name:   "slack",
			new:    constructorOf(signature.Slack),
			secret: "8f742231b10e8888abcd99yyyzzz85a5",
			wrong:  "8f742231b10e8888abcd99yyyzzz85a6",
			request: signature.Request{
				Header: header(
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
		},
	}
}

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
	for _, v := range officialVectors() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			test(t, v)
		})
	}
}

func TestOfficialVectors(t *testing.T) {
	t.Parallel()
	forEachVector(t, func(t *testing.T, v vector) {
		if err := signature.Must(v.new(v.secret)).Verify(v.request, v.now()); err != nil {
			t.Error(err)
		}
	})
}

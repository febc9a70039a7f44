package sender_test

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/sender"
)

// A handler that lets through what GitHub has signed.
func Example() {
	// A program has its secret from the environment or a file.
	github, err := sender.GitHub("It's a Secret to Everybody")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}

	handler := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "can't read the body", http.StatusBadRequest)
			return
		}
		request := &sender.Request{Method: r.Method, URL: r.URL, Header: r.Header, Body: body}
		if err := github.Verify(request, time.Now()); err != nil {
			fmt.Println(err) // for the log
			http.Error(w, "bad signature", http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}

	for _, body := range []string{"Hello, World!", "Hello, Mallory!"} {
		r := httptest.NewRequest(http.MethodPost, "/github", strings.NewReader(body))
		r.Header.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
		w := httptest.NewRecorder()
		handler(w, r)
		fmt.Println(w.Code, http.StatusText(w.Code))
	}
	// Output:
	// 202 Accepted
	// sender: github: X-Hub-Signature-256: no signature matches: the body was changed on the way, or the Secret in the settings of the webhook is another one
	// 401 Unauthorized
}

// A sender who signs in a way of its own.
func ExampleHMAC() {
	carrier, err := sender.HMAC(sender.HMACOptions{
		Name:            "carrier",
		Secrets:         []string{"correct horse battery staple"},
		Header:          "X-Carrier-Signature",
		Prefix:          "v1=",
		TimestampHeader: "X-Carrier-Time",
		Signed:          "{timestamp}.{body}",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := &sender.Request{
		Header: http.Header{
			"X-Carrier-Time":      {"1700000000"},
			"X-Carrier-Signature": {"v1=" + hexMAC("correct horse battery staple", "1700000000.{}")},
		},
		Body: []byte("{}"),
	}
	fmt.Println(carrier.Verify(r, time.Unix(1700000030, 0)))
	// Output: <nil>
}

// A sender of whom nothing is known but what a function checks.
func ExampleNew() {
	const password = "correct horse battery staple"
	s, err := sender.New(sender.Options{
		Name: "partner",
		Verify: func(r *sender.Request, _ time.Time) error {
			if subtle.ConstantTimeCompare([]byte(r.Header.Get("X-Password")), []byte(password)) != 1 {
				return errors.New("wrong password")
			}
			return nil
		},
		SensitiveHeaders: []string{"X-Password"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Verify(&sender.Request{Header: http.Header{"X-Password": {"guessed"}}}, time.Now()))
	fmt.Println(s.SensitiveHeaders())
	// Output:
	// wrong password
	// [X-Password]
}

// Slack checks a URL with a request that gets back what it brings.
func ExampleSender_Handshake() {
	const secret, body = "8f742231b10e8888abcd99yyyzzz85a5", `{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRNFdxV"}`
	slack := sender.Must(sender.Slack(secret))
	r := &sender.Request{
		Method: http.MethodPost,
		Header: http.Header{
			"X-Slack-Request-Timestamp": {"1700000000"},
			"X-Slack-Signature":         {"v0=" + hexMAC(secret, "v0:1700000000:"+body)},
		},
		Body: []byte(body),
	}
	resp, err := slack.Handshake(r, time.Unix(1700000001, 0))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.Status, string(resp.Body))
	// Output: 200 3eZbrw1aBm2rZgRNFdxV
}

// While the secret is rotated, requests signed with either are good.
func ExampleSender_WithTolerance() {
	stripe := sender.Must(sender.Stripe("whsec_the-new-one", "whsec_the-old-one")).WithTolerance(time.Minute)

	r := &sender.Request{
		Header: http.Header{"Stripe-Signature": {"t=1700000000,v1=" + hexMAC("whsec_the-old-one", "1700000000.{}")}},
		Body:   []byte("{}"),
	}
	fmt.Println(stripe.Verify(r, time.Unix(1700000030, 0)))
	fmt.Println(stripe.Verify(r, time.Unix(1700000090, 0)))
	// Output:
	// <nil>
	// sender: stripe: Stripe-Signature: the signed time is too old: a clock is wrong, or this is not the first time that it was sent
}

// A test sends what Stripe would.
func ExampleSender_Sign() {
	stripe := sender.Must(sender.Stripe("whsec_of_the_tests"))
	r := &sender.Request{Method: http.MethodPost, Body: []byte(`{"id":"evt_1","type":"charge.succeeded"}`)}
	if err := stripe.Sign(r, time.Now()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println(stripe.Verify(r, time.Now()), stripe.DeliveryID(r))
	// Output: <nil> evt_1
}

// A step tells a partner of an order by a webhook, signed as Standard Webhooks are. If the step is
// tried again, the partner sees that it is the same delivery.
func ExampleSender_SignHTTP() {
	partner := sender.Must(sender.StandardWebhooks("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
	// notify is the function of a step, and key is workflow.InfoOf(ctx).StepID.
	notify := func(ctx context.Context, url, key, event string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(event))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		if err := partner.SignHTTP(req, key, time.Now()); err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode/100 != 2 {
			return errors.New("the partner says " + res.Status)
		}
		return nil
	}

	seen := map[string]bool{}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got := &sender.Request{Method: r.Method, URL: r.URL, Header: r.Header, Body: body}
		if err := partner.Verify(got, time.Now()); err != nil {
			http.Error(w, "bad signature", http.StatusUnauthorized)
			return
		}
		if id := partner.DeliveryID(got); !seen[id] {
			seen[id] = true
			fmt.Printf("%s\n", body)
		}
	}))
	defer receiver.Close()
	for range 2 { // two attempts
		fmt.Println(notify(context.Background(), receiver.URL, "order-7/notify#1", `{"type":"order.paid"}`))
	}
	// Output:
	// {"type":"order.paid"}
	// <nil>
	// <nil>
}

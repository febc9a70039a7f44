package signature_test

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/signature"
)

// A handler that lets through what GitHub has signed.
func Example() {
	// A program has its secret from the environment or a file.
	verifier, err := signature.GitHub("It's a Secret to Everybody")
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
		request := signature.Request{Method: r.Method, URL: r.URL, Header: r.Header, Body: body}
		if err := verifier.Verify(request, time.Now()); err != nil {
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
	// signature: github: X-Hub-Signature-256: no signature matches
	// 401 Unauthorized
}

// A sender that only knows a password. Its header is kept out of logs.
func ExampleFunc() {
	const password = "correct horse battery staple"
	verifier := signature.Func(func(r signature.Request, _ time.Time) error {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("X-Gitlab-Token")), []byte(password)) != 1 {
			return errors.New("wrong token")
		}
		return nil
	}, "X-Gitlab-Token")

	r := signature.Request{Header: http.Header{"X-Gitlab-Token": {"guessed"}}}
	fmt.Println(verifier.Verify(r, time.Now()))
	fmt.Println(verifier.SensitiveHeaders())
	// Output:
	// wrong token
	// [X-Gitlab-Token]
}

// While the secret is rotated, requests signed with either are good.
func ExampleTimed_WithTolerance() {
	stripe := signature.Must(signature.Stripe("whsec_the-new-one", "whsec_the-old-one")).WithTolerance(time.Minute)

	r := signature.Request{
		Header: http.Header{"Stripe-Signature": {"t=1700000000,v1=" + hexMAC("whsec_the-old-one", "1700000000.{}")}},
		Body:   []byte("{}"),
	}
	fmt.Println(stripe.Verify(r, time.Unix(1700000030, 0)))
	fmt.Println(stripe.Verify(r, time.Unix(1700000090, 0)))
	// Output:
	// <nil>
	// signature: stripe: Stripe-Signature: timestamp is too old
}

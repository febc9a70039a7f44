package signature

import (
	"net/http"
	"net/url"
	"slices"
	"time"
)

// A Request is what verifiers look at. They change nothing in it.
type Request struct {
	Method string
	URL    *url.URL    // as the sender called it; only for verifiers whose scheme signs it
	Header http.Header // with canonical keys, as net/http makes them
	Body   []byte      // the exact bytes received
}

// A Verifier decides whether a request comes from the expected sender. It is safe for concurrent
// use.
type Verifier interface {
	// Verify returns nil if the request is genuine. The verifiers of this package
	// return an [*Error] otherwise.
	Verify(r Request, now time.Time) error
	// SensitiveHeaders returns the names of the headers that have no business in
	// logs and listings, in canonical form.
	SensitiveHeaders() []string
}

// Func makes a verifier of a function, for schemes that this package does not
// have. Any error refuses the request; its text should be safe to log. The
// function compares with [crypto/hmac.Equal] or the like, never with ==. The
// sensitive headers are those that carry a signature, password or token.
func Func(verify func(r Request, now time.Time) error, sensitiveHeaders ...string) Verifier {
	if verify == nil {
		panic("signature: Func of nil")
	}
	headers := make([]string, len(sensitiveHeaders))
	for i, name := range sensitiveHeaders {
		headers[i] = http.CanonicalHeaderKey(name)
	}
	return &custom{verify: verify, headers: headers}
}

type custom struct {
	verify  func(Request, time.Time) error
	headers []string
}

func (c *custom) Verify(r Request, now time.Time) error { return c.verify(r, now) }

func (c *custom) SensitiveHeaders() []string { return slices.Clone(c.headers) }

// Must returns the verifier, and panics if there is an error instead. It is for
// programs that can't start without their secrets:
//
//	signature.Must(signature.GitHub(os.Getenv("GITHUB_WEBHOOK_SECRET")))
func Must[V Verifier](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"go.opentelemetry.io/otel/propagation"

	"github.com/tenter-dev/tenter/internal/api"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/workflow"
)

// Error is a response that does not carry an error of an engine: an API key that is missing, wrong
// or without the scope that the call needs, a proxy in between that fails, a server that is not
// Tenter's.
type Error struct {
	Status int    // of HTTP
	Code   string // of the API, such as "unauthorized"; empty if somebody else has answered
	Detail string
}

func (e *Error) Error() string {
	text := fmt.Sprintf("the server answers %d %s", e.Status, http.StatusText(e.Status))
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// engineError is an error of the engine behind the server. It says itself what failed.
type engineError struct{ error }

func (e *engineError) Unwrap() error { return e.error }

// about says what failed, unless the engine has.
func about(what string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*engineError](err); ok {
		return e.error
	}
	return fmt.Errorf("%s: %w", what, err)
}

// request is a request to the API.
type request struct {
	method string
	path   string // below the base
	query  url.Values
	body   any  // encoded as JSON, if it is not nil
	safe   bool // to repeat, when it may have reached the server
}

func get(path string, query url.Values) request {
	return request{method: http.MethodGet, path: path, query: query, safe: true}
}

func post(path string, body any) request {
	return request{method: http.MethodPost, path: path, body: body}
}

// attempts is how often a request is made at most.
const attempts = 5

// call makes a request, again if need be, and decodes the answer into out, if there is
// one. It reports whether there was.
func (c *Client) call(ctx context.Context, r request, out any) (answered bool, err error) {
	for n := 1; ; n++ {
		answered, err = c.once(ctx, r, out)
		if err == nil || n == attempts || !passing(err, r.safe) || !pause(ctx, n) {
			return answered, ended(ctx, err)
		}
	}
}

// ended gives the error of a call whose context has ended its name.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// pause waits before attempt n+1, for longer each time.
func pause(ctx context.Context, n int) bool {
	most := min(100*time.Millisecond<<min(n-1, 10), 5*time.Second)
	timer := time.NewTimer(most/2 + rand.N(most/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// passing reports whether a request that failed may succeed if it is repeated, and can
// be: it is safe, or has had no effect.
func passing(err error, safe bool) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	if answer, ok := errors.AsType[*Error](err); ok {
		switch answer.Status {
		case http.StatusServiceUnavailable, http.StatusTooManyRequests: // nobody has begun with it
			return true
		case http.StatusBadGateway, http.StatusGatewayTimeout:
			return safe
		}
		return false
	}
	if errors.Is(err, workflow.ErrEngineClosed) {
		return true // another process may serve the next one
	}
	failed, ok := errors.AsType[*url.Error](err)
	if !ok {
		return safe && errors.Is(err, errBroken)
	}
	dial, ok := errors.AsType[*net.OpError](failed.Err)
	return safe || ok && dial.Op == "dial"
}

// errBroken is the error of an answer that did not come to its end.
var errBroken = errors.New("the answer is broken off")

// once makes a request once.
func (c *Client) once(ctx context.Context, r request, out any) (answered bool, err error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return false, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusNoContent {
		return false, nil
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errBroken, err)
	}
	if err := json.Unmarshal(data, out); err != nil {
		return false, fmt.Errorf("decode the answer of the server: %w", err)
	}
	return true, nil
}

// send sends a request and returns the answer, if it is a good one.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	var body io.Reader
	if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	to := c.base + r.path
	if len(r.query) > 0 {
		to += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, to, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	if a := workflow.ActorOf(ctx); a != (workflow.Actor{}) && r.method != http.MethodGet {
		name, err := json.Marshal(a)
		if err != nil {
			return nil, fmt.Errorf("encode who sends the request: %w", err)
		}
		req.Header.Set(api.ActorHeader, ascii(name))
	}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(req.Header)) // if it has a span
	resp, err := c.http.Do(req)
	if err != nil || resp.StatusCode < 300 {
		return resp, err
	}
	defer func() { _ = resp.Body.Close() }()
	return nil, failure(resp)
}

// ascii writes JSON without other characters, as a header has to be.
func ascii(data []byte) string {
	var b strings.Builder
	for _, r := range string(data) {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			_, _ = fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			_, _ = fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// failure is the error that a response carries.
func failure(resp *http.Response) error {
	var p api.Problem
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err := json.Unmarshal(data, &p); err != nil {
		return &Error{Status: resp.StatusCode}
	}
	if p.Recorded != nil {
		return &engineError{run.DecodeError(p.Recorded)}
	}
	return &Error{Status: resp.StatusCode, Code: p.Code, Detail: p.Detail}
}

package workflow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/sensitive"
)

// Request is an HTTP request that a webhook has taken: method, URL with query, all
// header values and the body are as they came, except for what net/http takes out of
// the headers: Host, which is a field, Transfer-Encoding and trailers.
//
// It survives JSON, so it can be handed to steps and child runs, which can respond.
type Request struct {
	ID         string // of this delivery
	RunID      string // of the run that it was sent to
	Method     string
	URL        *url.URL // path and query, as the caller asked
	Host       string
	Header     http.Header
	Body       []byte
	RemoteAddr string // of the connection, a proxy's if there is one
	ReceivedAt time.Time
	Sensitive  []string // further headers that logs should not show: those of the sender
}

// JSON decodes the body into v.
func (r *Request) JSON(v any) error {
	if err := unmarshal(r.Body, v); err != nil {
		return fmt.Errorf("decode body of request %s: %w", r.ID, err)
	}
	return nil
}

// Form returns the fields of a body that is a form: urlencoded, or multipart (then
// without its files, see [Request.MultipartForm]). Values of the query are not
// included.
func (r *Request) Form() (url.Values, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, fmt.Errorf("form of request %s: content type %q: %w", r.ID, r.Header.Get("Content-Type"), err)
	}
	if kind == "multipart/form-data" {
		form, err := r.MultipartForm()
		if err != nil {
			return nil, err
		}
		return form.Value, nil
	}
	if kind != "application/x-www-form-urlencoded" {
		return nil, fmt.Errorf("form of request %s: content type %q is not a form", r.ID, kind)
	}
	values, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return nil, fmt.Errorf("form of request %s: %w", r.ID, err)
	}
	return values, nil
}

// MultipartForm returns the fields and files of a multipart body. Files are in
// memory: there is nothing to clean up.
func (r *Request) MultipartForm() (*multipart.Form, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return nil, fmt.Errorf("form of request %s: content type %q is not a multipart form", r.ID, r.Header.Get("Content-Type"))
	}
	form, err := multipart.NewReader(bytes.NewReader(r.Body), params["boundary"]).ReadForm(int64(len(r.Body)) + 1)
	if err != nil {
		return nil, fmt.Errorf("form of request %s: %w", r.ID, err)
	}
	return form, nil
}

// HTTP returns the request as an *http.Request, for code that wants one.
func (r *Request) HTTP(ctx context.Context) *http.Request {
	u := url.URL{Path: "/"}
	if r.URL != nil {
		u = *r.URL
	}
	req := &http.Request{
		Method: r.Method, URL: &u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.Header.Clone(), Host: r.Host, RemoteAddr: r.RemoteAddr, RequestURI: u.RequestURI(),
		Body: io.NopCloser(bytes.NewReader(r.Body)), ContentLength: int64(len(r.Body)),
	}
	if req.Header == nil {
		req.Header = http.Header{}
	}
	return req.WithContext(ctx)
}

// Respond answers the caller, in a step or straight from the workflow. It returns
// when the answer is durable; whoever holds the caller's connection, maybe another
// process, sends it. A later attempt of the same step, or a replay, gets nil and the
// first answer stands; from elsewhere a second answer fails with
// [ErrAlreadyResponded]. If the caller has gone or the limit has passed, the answer is
// recorded all the same, and the error is nil. If a sender, see [From], was told meanwhile
// that its request was accepted, that stands; the error is nil too. A run that was forked
// has no callers of what came before: they wait for its origin, and its own answers to
// them go nowhere, without an error.
func (r *Request) Respond(ctx context.Context, resp Response) error {
	if r == nil {
		return Fatal(errors.New("respond: the request is nil"))
	}
	a, err := resp.stored()
	if err != nil {
		return Fatal(fmt.Errorf("respond to request %s: %w", r.ID, err))
	}
	if r.ID == "" {
		return Fatal(errors.New("respond: the request has no ID: it was not taken by a webhook"))
	}
	return respond(ctx, "request", r.ID, r.RunID, a)
}

type requestJSON struct {
	run.Request
	Body []byte `json:"body,omitempty"`
}

// MarshalJSON implements [json.Marshaler].
func (r Request) MarshalJSON() ([]byte, error) {
	return json.Marshal(requestJSON{r.stored(), r.Body})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (r *Request) UnmarshalJSON(data []byte) error {
	var v requestJSON
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	req, err := restoreRequest(v.Request, v.Body)
	if err == nil {
		*r = *req
	}
	return err
}

func (r *Request) stored() run.Request {
	return run.Request{
		ID: r.ID, RunID: r.RunID, Method: r.Method, URL: run.EncodeURL(r.URL), Host: r.Host, Header: run.Header(r.Header),
		RemoteAddr: r.RemoteAddr, ReceivedAt: r.ReceivedAt, Sensitive: r.Sensitive,
	}
}

func restoreRequest(s run.Request, body []byte) (*Request, error) {
	u, err := run.ParseURL(s.URL)
	if err != nil {
		return nil, fmt.Errorf("decode request: %w", err)
	}
	return &Request{
		ID: s.ID, RunID: s.RunID, Method: s.Method, URL: u, Host: s.Host, Header: http.Header(s.Header), Body: body,
		RemoteAddr: s.RemoteAddr, ReceivedAt: s.ReceivedAt, Sensitive: s.Sensitive,
	}, nil
}

func decodeRequest(data []byte) (*Request, error) {
	s, body, err := run.DecodeRequest(data)
	if err != nil {
		return nil, err
	}
	return restoreRequest(s, body)
}

// request is run.Payload of a webhook.
type request struct{}

func (request) Check(data []byte) error {
	_, err := decodeRequest(data)
	return err
}

// LogValue masks sensitive headers (those whose names say so, and those that the webhook's
// sender names) and the token, and leaves query and body out.
func (r *Request) LogValue() slog.Value {
	path := ""
	if r.URL != nil {
		path = run.RedactPath(r.URL.EscapedPath())
	}
	attrs := []any{}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		value := strings.Join(r.Header[name], ", ")
		if sensitive.Header(name) || slices.Contains(r.Sensitive, name) {
			value = "***"
		}
		attrs = append(attrs, slog.String(name, value))
	}
	return slog.GroupValue(slog.String("id", r.ID), slog.String("method", r.Method), slog.String("path", path),
		slog.Int("body_bytes", len(r.Body)), slog.Group("header", attrs...))
}

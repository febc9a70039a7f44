package workflow

import (
	"context"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/tenter-dev/tenter/internal/run"
)

// Response is what a webhook answers.
type Response struct {
	Status int // 200 to 599; 0 is 200
	Header http.Header
	Body   []byte

	err error
}

// JSON returns a response with v as JSON. If v does not encode, whoever gets the
// response reports it.
func JSON(status int, v any) Response {
	body, err := encode(v)
	return Response{
		Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: append(body, '\n'), err: err,
	}
}

// Text returns a response with plain text.
func Text(status int, s string) Response {
	return Response{Status: status, Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, Body: []byte(s)}
}

// respond answers a request that was sent to a run, in a step or from the workflow. what says what it
// is.
func respond(ctx context.Context, what, id, sentTo string, a run.Response) error {
	scene, ok := sceneOf(ctx)
	if !ok {
		return Fatal(fmt.Errorf("respond to %s %s: the context belongs to no run: use the step's or the workflow's", what, id))
	}
	var err error
	switch {
	case scene.Scope != nil:
		err = scene.Scope.Respond(id, sentTo, a)
	case scene.Inherited == nil || !scene.Inherited(sentTo):
		err = scene.Respond(ctx, id, scene.Info.StepID, a)
	}
	if conflict, ok := err.(*run.RespondConflict); ok { //nolint:errorlint // it is the engine's, not wrapped
		return fmt.Errorf("respond to %s %s: %w by %s, and the first answer stands: answer each request in one place, or ignore this error",
			what, id, ErrAlreadyResponded, conflict.Responder)
	}
	return err
}

// hopByHop are the headers that belong to a connection, or that the HTTP server sets.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "Content-Length",
}

// stored checks the response, and drops hop-by-hop headers.
func (r Response) stored() (run.Response, error) {
	if r.err != nil {
		return run.Response{}, fmt.Errorf("encode body: %w", r.err)
	}
	if r.Status == 0 {
		r.Status = http.StatusOK
	}
	if r.Status < 200 || r.Status > 599 {
		return run.Response{}, fmt.Errorf("status %d is not between 200 and 599", r.Status)
	}
	header := map[string][]string{}
	for name, values := range r.Header {
		if !validHeader(name, values) {
			return run.Response{}, fmt.Errorf("header %q is not valid", name)
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		header[name] = append(header[name], values...)
	}
	for _, named := range header["Connection"] {
		for name := range strings.SplitSeq(named, ",") {
			delete(header, textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)))
		}
	}
	for _, name := range hopByHop {
		delete(header, name)
	}
	return run.Response{Status: r.Status, Header: header, Body: r.Body}, nil
}

func validHeader(name string, values []string) bool {
	for _, v := range values {
		if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return false
		}
	}
	return validName(name)
}

// validName reports whether a header or a method may have the name.
func validName(name string) bool {
	const others = "!#$%&'*+-.^_`|~"
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return !letter && (r < '0' || r > '9') && !strings.ContainsRune(others, r)
	})
}

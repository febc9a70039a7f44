package workflowtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

// HTTP returns a client that reaches the test's process without a socket: the webhooks of all
// runs and the pages of links, served below engine.Options.PublicURL by the handlers of
// production (server.Webhooks, server.Answers), and what [Engine.Handle] adds. It reaches nothing else. A request
// to a webhook that responds manually returns with the run's response; time passes until
// then, as it does for the caller of a real one. [Hook.PostForm], [Hook.PostJSON],
// [Engine.Send] and [Engine.Deliver] are short for what tests do most.
func (e *Engine) HTTP() *http.Client { return e.http }

// Handle serves requests to engine.Options.PublicURL that match a pattern of
// http.ServeMux: a route of the application, with a server.Webhook or a handler that
// resumes hooks.
func (e *Engine) Handle(pattern string, h http.Handler) { e.mux.Handle(pattern, h) }

func (e *Engine) newHTTP() {
	e.mux = http.NewServeMux()
	prefix := ""
	if u, err := url.Parse(e.opts.PublicURL); err == nil { // as engine.New has checked
		prefix = strings.TrimSuffix(u.Path, "/")
	}
	e.mux.Handle(prefix+run.WebhookPath, server.Webhooks(e.client, server.Options{Logger: e.opts.Logger}))
	e.mux.Handle(prefix+run.AnswerPath, server.Answers(e.client, server.AnswerOptions{Logger: e.opts.Logger}))
	e.http = &http.Client{Transport: (*transport)(e)}
}

// transport carries requests to the test's process.
type transport Engine

// RoundTrip implements [http.RoundTripper]. The request takes the form that it has on
// the wire, so that the handler sees what a server would show it.
func (tr *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	public, err := url.Parse(tr.opts.PublicURL)
	if err != nil {
		return nil, err
	}
	if req.URL.Host != public.Host {
		return nil, fmt.Errorf("workflowtest: there is no network in a test, only %s: replace the step that calls others", public.Host)
	}
	var wire bytes.Buffer
	if err := req.Write(&wire); err != nil {
		return nil, err
	}
	received, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		return nil, err
	}
	received = received.WithContext(req.Context())
	received.RemoteAddr = "192.0.2.1:1234" // of the block that is for documentation
	rec := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		tr.mux.ServeHTTP(rec, received)
	}()
	select {
	case <-done:
	case <-req.Context().Done():
		<-done // the handler learns of it as well
		return nil, req.Context().Err()
	}
	resp := rec.Result()
	resp.Request = req
	return resp, nil
}

// Send sends a request as [Engine.HTTP] does, and returns the response. The test fails if
// there is none.
func (e *Engine) Send(req *http.Request) workflow.Response {
	e.t.Helper()
	return e.Deliver(req).Response()
}

// PostForm sends a form to a webhook, and returns the response.
func (h *Hook) PostForm(form url.Values) workflow.Response {
	h.e.t.Helper()
	return h.post("application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

// PostJSON sends a value as JSON to a webhook, and returns the response.
func (h *Hook) PostJSON(v any) workflow.Response {
	h.e.t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		h.e.t.Fatalf("post to hook %s: %v", h.ID, err)
	}
	return h.post("application/json", bytes.NewReader(body))
}

func (h *Hook) post(contentType string, body io.Reader) workflow.Response {
	h.e.t.Helper()
	req, err := http.NewRequestWithContext(h.e.t.Context(), http.MethodPost, h.URL(), body)
	if err != nil {
		h.e.t.Fatalf("post to hook %s: %v", h.ID, err)
	}
	req.Header.Set("Content-Type", contentType)
	return h.e.Send(req)
}

// Delivery is a request under way.
type Delivery struct {
	e    *Engine
	done chan struct{}
	resp workflow.Response
	err  error
}

// Deliver sends a request as [Engine.HTTP] does, in the background, and returns when all
// runs have gone as far as they can: for requests whose response takes something else to
// happen first.
func (e *Engine) Deliver(req *http.Request) *Delivery {
	d := &Delivery{e: e, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		d.resp, d.err = e.exchange(req)
	}()
	e.settle(e.t.Context())
	return d
}

func (e *Engine) exchange(req *http.Request) (workflow.Response, error) {
	resp, err := e.http.Do(req)
	if err != nil {
		return workflow.Response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return workflow.Response{Status: resp.StatusCode, Header: resp.Header, Body: body}, err
}

// Answered reports whether the response is there.
func (d *Delivery) Answered() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

// Response lets time pass until the response is there, and returns it. The test fails if
// there is none.
func (d *Delivery) Response() workflow.Response {
	d.e.t.Helper()
	<-d.done
	if d.err != nil {
		d.e.t.Fatal(d.err)
	}
	return d.resp
}

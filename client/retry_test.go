package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/client"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// outcome is what becomes of a request.
type outcome struct {
	before error // it does not reach the server
	after  error // the answer does not come back
	status int   // something in between answers
}

// flaky is a connection that fails as it is told to, before or after a request has
// reached the server.
type flaky struct {
	fail func(n int, r *http.Request) outcome
	mu   sync.Mutex
	n    int
	sent []string // what has reached the server
}

func (f *flaky) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.n++
	o := f.fail(f.n, r)
	if o.before == nil && o.status == 0 {
		f.sent = append(f.sent, r.Method+" "+r.URL.Path)
	}
	f.mu.Unlock()
	if o.before != nil {
		return nil, o.before
	}
	if o.status != 0 {
		return &http.Response{StatusCode: o.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("<html>")), Request: r}, nil
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && o.after != nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return nil, o.after
	}
	return resp, err
}

var (
	errRefused = &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	errReset   = &net.OpError{Op: "read", Err: errors.New("connection reset")}
)

// through makes a client whose connection is flaky.
func (w *world) through(fail func(n int, r *http.Request) outcome) (*client.Client, *flaky) {
	w.Helper()
	f := &flaky{fail: fail}
	c, err := client.New(w.srv.URL, client.Options{APIKey: writeKey, HTTPClient: &http.Client{Transport: f}})
	w.ok(err)
	return c, f
}

// What may have had its effect is repeated only if that is safe.
func TestRetries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Context()
	for name, fail := range map[string]func(n int, r *http.Request) outcome{
		"refused twice": func(n int, _ *http.Request) outcome {
			return outcome{before: failing(n < 3, errRefused)}
		},
		"unavailable twice": func(n int, _ *http.Request) outcome {
			return outcome{status: map[int]int{1: 503, 2: 429}[n]}
		},
	} {
		c, _ := w.through(fail)
		r, err := add.Start(ctx, c, []int{1, 2}, workflow.RunID(name))
		w.ok(err)
		if got, err := r.Result(ctx); got != 3 || err != nil {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}

	lost := func(n int, _ *http.Request) outcome {
		return outcome{after: failing(n == 1, errReset)}
	}
	c, f := w.through(lost)
	r, err := add.Start(ctx, c, []int{1})
	w.ok(err)
	if len(f.sent) != 2 {
		t.Errorf("the start was sent as %q", f.sent)
	}
	if runs, err := w.eng.Runs(ctx, inspect.RunFilter{Prefix: r.ID()}); len(runs) != 1 || err != nil {
		t.Errorf("runs: %+v, %v", runs, err)
	}
	before, err := w.eng.CountRuns(ctx)
	w.ok(err)

	c, f = w.through(lost)
	if _, err = add.Start(ctx, c, nil, workflow.RunID("own")); !errors.Is(err, errReset) || len(f.sent) != 1 {
		t.Errorf("a start with an ID of its own: %v, sent as %q", err, f.sent)
	}
	collector, err := collect.Start(ctx, w.eng, "t")
	w.ok(err)
	w.untilWaiting(collector.ID())
	c, f = w.through(lost)
	if _, err := workflow.Resume(ctx, c, "t", "a"); !errors.Is(err, errReset) || len(f.sent) != 1 {
		t.Errorf("a resume without a key: %v, sent as %q", err, f.sent)
	}
	c, f = w.through(lost)
	if info, err := workflow.Resume(ctx, c, "t", "b", workflow.IdempotencyKey("b")); err != nil || !info.Duplicate || len(f.sent) != 2 {
		t.Errorf("a resume with a key: %+v, %v, sent as %q", info, err, f.sent)
	}
	c, f = w.through(lost)
	if err := collector.Cancel(ctx); err != nil {
		t.Error(err)
	}
	if info, err := c.RunInfo(ctx, r.ID()); err != nil || info.ID != r.ID() || len(f.sent) != 2 {
		t.Errorf("a look: %+v, %v, sent as %q", info, err, f.sent)
	}
	if after, err := w.eng.CountRuns(ctx); err != nil || after[workflow.StatusCompleted] > before[workflow.StatusCompleted]+2 {
		t.Errorf("there were %v, there are %v", before, after)
	}

	c, f = w.through(func(int, *http.Request) outcome { return outcome{status: 502} })
	_, err = c.Runs(ctx, inspect.RunFilter{})
	if answer, ok := errors.AsType[*client.Error](err); !ok || answer.Status != 502 || f.n != 5 {
		t.Errorf("a proxy that fails: %v after %d attempts", err, f.n)
	}
	for token, code := range map[string]string{"": "unauthorized", "a-key-that-nobody-has": "unauthorized", readKey: "forbidden"} {
		_, err := add.Start(ctx, w.client(token), nil)
		if answer, ok := errors.AsType[*client.Error](err); !ok || answer.Code != code || answer.Detail == "" {
			t.Errorf("with the token %q: %v", token, err)
		}
	}
	if _, err := w.client(readKey).Runs(ctx, inspect.RunFilter{}); err != nil {
		t.Errorf("a reader reads: %v", err)
	}
}

func failing(fails bool, err error) error {
	if fails {
		return err
	}
	return nil
}

// A waiting call survives any failure of the connection, once there was one.
func TestWaitingSurvivesTheConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	r, err := collect.Start(ctx, w.eng, "t")
	w.ok(err)
	w.untilWaiting(r.ID())
	var down atomic.Bool
	reached := make(chan struct{}, 1000)
	waits := make(chan struct{}, 1000)
	c, f := w.through(func(_ int, r *http.Request) outcome {
		if r.URL.Query().Has("wait") {
			waits <- struct{}{}
		}
		if down.Load() {
			reached <- struct{}{}
			return outcome{before: errRefused}
		}
		return outcome{}
	})
	quick, err := client.New(w.srv.URL, client.Options{APIKey: writeKey, HTTPClient: &http.Client{Transport: f, Timeout: 2 * time.Second}})
	w.ok(err)
	results := make(chan error, 1)
	go func() {
		got, err := collect.Get(quick, r.ID()).Result(ctx)
		if err == nil && !slices.Equal(got, []string{"while it was down"}) {
			err = fmt.Errorf("result is %q", got)
		}
		results <- err
	}()
	told := make(chan inspect.Change, 1000)
	watching, stop := context.WithCancel(ctx)
	watched := make(chan error, 1)
	go func() { watched <- c.Watch(watching, r.ID(), func(ch inspect.Change) { told <- ch }) }()
	<-told
	<-waits
	for len(told) > 0 {
		<-told
	}
	down.Store(true)
	w.srv.CloseClientConnections()
	for range 12 { // more often than a single call would try
		<-reached
	}
	for _, text := range []string{"while it was down", "end"} {
		_, err := workflow.Resume(ctx, w.eng, "t", text)
		w.ok(err)
	}
	down.Store(false)
	select {
	case <-told:
	case <-ctx.Done():
		t.Error("a watcher is not notified after a reconnect")
	}
	stop()
	w.ok(<-watched)
	w.ok(<-results)

	down.Store(true)
	if _, err := collect.Get(c, r.ID()).Result(ctx); !errors.Is(err, errRefused) {
		t.Errorf("result from a server that was never there: %v", err)
	}
	if err := c.Watch(ctx, r.ID(), func(inspect.Change) {}); !errors.Is(err, errRefused) {
		t.Errorf("watch on a server that was never there: %v", err)
	}
}

// So does a call, once it is known that the run has it.
func TestCallSurvivesTheConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	r, err := adder.Start(ctx, w.eng, "t")
	w.ok(err)
	w.untilWaiting(r.ID())
	var down atomic.Bool
	asked, reached := make(chan struct{}, 1000), make(chan struct{}, 1000)
	_, f := w.through(func(_ int, r *http.Request) outcome {
		if r.Method == http.MethodGet {
			asked <- struct{}{}
		}
		if down.Load() {
			reached <- struct{}{}
			return outcome{before: errRefused}
		}
		return outcome{}
	})
	quick, err := client.New(w.srv.URL, client.Options{APIKey: writeKey, HTTPClient: &http.Client{Transport: f, Timeout: 2 * time.Second}})
	w.ok(err)
	answers := make(chan error, 1)
	go func() {
		sum, err := sums.Call(ctx, quick, "t", []int{7, 1})
		if err == nil && sum != 8 {
			err = fmt.Errorf("the sum is %d", sum)
		}
		answers <- err
	}()
	<-asked
	down.Store(true)
	w.srv.CloseClientConnections()
	for range 12 { // more often than a single call would try
		<-reached
	}
	w.ok(r.Wake(ctx))
	down.Store(false)
	w.ok(<-answers)
}

// hanging is a server that begins a stream and then says no more.
type hanging struct{ streams atomic.Int64 }

func (h *hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	h.streams.Add(1)
	out, in := io.Pipe()
	go func() { _, _ = io.WriteString(in, "event: change\ndata: {\"all\":true}\n\n") }()
	context.AfterFunc(r.Context(), func() { _ = in.CloseWithError(r.Context().Err()) })
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: out, Request: r}, nil
}

// A stream that is silent for too long is dead, whatever the connection says.
func TestSilentStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &hanging{}
		c, err := client.New("http://example.com/", client.Options{HTTPClient: &http.Client{Transport: h}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		told := 0
		if err := c.Watch(ctx, "", func(inspect.Change) { told++ }); err != nil {
			t.Error(err)
		}
		if n := h.streams.Load(); n != 4 || told != 4 {
			t.Errorf("%d streams, told %d times, in 3 minutes", n, told)
		}
	})
}

// A watcher that has seen enough ends the context, and gets no further changes, not even those that
// have arrived.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, strings.Repeat("event: change\ndata: {\"all\":true}\n\n", 3))
	}))
	defer srv.Close()
	c, err := client.New(srv.URL, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := 0
	err = c.Watch(ctx, "", func(inspect.Change) {
		told++
		cancel()
	})
	if err != nil || told != 1 {
		t.Errorf("told %d times, %v", told, err)
	}
}

func TestAnswersOfOthers(t *testing.T) {
	t.Parallel()
	for body, kind := range map[string]string{`<html>`: "text/html", `[]`: "application/json", `{"runs":`: "application/json"} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = io.WriteString(w, body)
		}))
		c, err := client.New(srv.URL, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Runs(t.Context(), inspect.RunFilter{}); err == nil || !strings.HasPrefix(err.Error(), "list runs: ") {
			t.Errorf("%s: %v", body, err)
		}
		if err := c.Watch(t.Context(), "", func(inspect.Change) {}); err == nil {
			t.Errorf("%s is watched", body)
		}
		srv.Close()
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "example.com", "/path", "ftp://example.com", "http://", "https://example.com?x=1", "https://example.com#x", ":"} {
		if _, err := client.New(bad, client.Options{}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	var paths []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		_ = json.NewEncoder(w).Encode(map[string]any{})
	}))
	defer srv.Close()
	for _, base := range []string{srv.URL, srv.URL + "/", srv.URL + "/below/a/"} {
		c, err := client.New(base, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Runs(t.Context(), inspect.RunFilter{}); err != nil {
			t.Error(err)
		}
	}
	if want := []string{"/api/v1/runs", "/api/v1/runs", "/below/a/api/v1/runs"}; !slices.Equal(paths, want) {
		t.Errorf("paths are %q", paths)
	}
	var none *client.Client
	if _, err := none.Runs(t.Context(), inspect.RunFilter{}); err == nil {
		t.Error("a client that is nil works")
	}
}

// A workflow can't talk to a client: that is a side effect.
func TestInAWorkflow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.client(writeKey)
	ctx := w.Context()
	outside, err := add.Start(ctx, c, nil)
	w.ok(err)
	_, err = outside.Result(ctx)
	w.ok(err)
	errs := make(chan error, 1)
	probe.Store(func(ctx workflow.Context) {
		errs <- func() error { _, err := c.RunInfo(ctx, outside.ID()); return err }()
	})
	r, err := prober.Start(ctx, c, "")
	w.ok(err)
	_, err = r.Result(ctx)
	w.ok(err)
	if err := <-errs; err == nil || !strings.Contains(err.Error(), "in a step") {
		t.Errorf("in a workflow: %v", err)
	}
}

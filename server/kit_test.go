package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/memdir"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// lab is an engine on a SQLite file, behind a real HTTP server on loopback. Time is
// real: sockets can't be part of a bubble.
type lab struct {
	*testing.T
	store *sqlite.Store
	path  string
	eng   *engine.Engine
	now   atomic.Pointer[engine.Engine] // eng, for handlers
	mux   *http.ServeMux
	srv   *httptest.Server
	logs  *logbook
	urls  chan string // of webhooks, as they are open
	stop  func()      // ends Run and closes the engine
}

// patience is how long anything may take that should happen at once.
const patience = 5 * time.Minute

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{T: t, mux: http.NewServeMux(), logs: &logbook{}, urls: make(chan string, 1000), stop: func() {}}
	l.path = filepath.Join(memdir.TempDir(t), "lab.db")
	st, err := sqlite.Open(l.path)
	if err != nil {
		t.Fatal(err)
	}
	l.store = st
	l.srv = httptest.NewServer(l.mux)
	l.handle(server.WebhookPath, func(e *engine.Engine) http.Handler { return server.Webhooks(e, server.Options{Logger: l.logger()}) })
	t.Cleanup(func() {
		l.stop()
		l.srv.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// handle mounts a handler around whatever engine there is at the time.
func (l *lab) handle(pattern string, of func(*engine.Engine) http.Handler) {
	l.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { of(l.now.Load()).ServeHTTP(w, r) })
}

func (l *lab) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l.logs, nil)) }

// run executes workflows with an engine, after it has stopped the one before.
func (l *lab) run(opts engine.Options, defs ...workflow.Definition) {
	l.Helper()
	l.stop()
	if opts.PublicURL == "" {
		opts.PublicURL = l.srv.URL
	}
	l.runExactly(opts, defs...)
}

// runExactly is run without a PublicURL of its own.
func (l *lab) runExactly(opts engine.Options, defs ...workflow.Definition) {
	l.Helper()
	l.stop()
	l.eng, l.stop = l.runOn(l.store, opts, defs...)
	l.now.Store(l.eng)
}

func (l *lab) runOn(st *sqlite.Store, opts engine.Options, defs ...workflow.Definition) (*engine.Engine, func()) {
	l.Helper()
	opts.Workflows, opts.Logger = defs, l.logger()
	eng, err := engine.New(st, opts)
	if err != nil {
		l.Fatal(err)
	}
	if len(defs) == 0 {
		return eng, sync.OnceFunc(func() { _ = eng.Close() })
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(l.Context()))
	done := make(chan error, 1)
	go func() { done <- eng.Run(ctx) }()
	return eng, sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-done, eng.Close()); err != nil {
			l.Errorf("stop the engine: %v", err)
		}
	})
}

// opened is called by workflows once a webhook is open: the step begins after that.
func (l *lab) opened(ctx workflow.Context, w *workflow.Webhook) error {
	return workflow.Do(ctx, "opened", func(context.Context) error {
		l.urls <- w.URL()
		return nil
	})
}

// collector takes requests until one's body is "stop", and returns them.
func (l *lab) collector(opts ...workflow.WebhookOption) *workflow.Workflow[string, []*workflow.Request] {
	return workflow.Define("collector", func(ctx workflow.Context, token string) ([]*workflow.Request, error) {
		all := opts
		if token != "" {
			all = append(all[:len(all):len(all)], workflow.Token(token))
		}
		w, err := workflow.NewWebhook(ctx, all...)
		if err != nil {
			return nil, err
		}
		if err := l.opened(ctx, w); err != nil {
			return nil, err
		}
		var got []*workflow.Request
		for r, err := range w.All(ctx) {
			if err != nil {
				return got, err
			}
			if string(r.Body) == "stop" {
				break
			}
			got = append(got, r)
		}
		return got, nil
	})
}

// open starts a run and waits until its webhook is open.
func open[In, Out any](l *lab, w *workflow.Workflow[In, Out], in In) (*workflow.Run[Out], string) {
	l.Helper()
	r, err := w.Start(l.Context(), l.eng, in)
	if err != nil {
		l.Fatal(err)
	}
	return r, receive(l, l.urls)
}

func receive[T any](l *lab, ch <-chan T) T {
	l.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		l.Fatalf("nothing came; the log:\n%s", l.logs)
		panic("not reached")
	}
}

func result[Out any](l *lab, r *workflow.Run[Out]) Out {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), patience)
	defer cancel()
	out, err := workflow.Get[Out](l.eng, r.ID()).Result(ctx)
	if err != nil {
		l.Fatalf("run failed: %v; the log:\n%s", err, l.logs)
	}
	return out
}

// collected ends a collector and returns the bodies that it has got.
func collected(l *lab, r *workflow.Run[[]*workflow.Request], u string) []string {
	l.Helper()
	wantStatus(l, l.post(u, "stop"), 202)
	var bodies []string
	for _, req := range result(l, r) {
		bodies = append(bodies, string(req.Body))
	}
	return bodies
}

// urlOf is the URL of a webhook with a token.
func (l *lab) urlOf(token string) string {
	return l.srv.URL + server.WebhookPath + url.PathEscape(token)
}

// answer is what a caller gets.
type answer struct {
	status int
	header http.Header
	body   string
}

func (l *lab) post(u, body string, header ...string) answer {
	l.Helper()
	return l.send("POST", u, strings.NewReader(body), header...)
}

// send sends a request; header are names and values in turn.
func (l *lab) send(method, u string, body io.Reader, header ...string) answer {
	l.Helper()
	a, err := try(l.Context(), method, u, body, header...)
	if err != nil {
		l.Fatal(err)
	}
	return a
}

func try(ctx context.Context, method, u string, body io.Reader, header ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, u, body)
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return do(http.DefaultClient, req)
}

func do(c *http.Client, req *http.Request) (answer, error) {
	resp, err := c.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(data)}, err
}

// dial opens a connection, until the end of the test, for requests that no client
// would send.
func (l *lab) dial(srv *httptest.Server) net.Conn {
	l.Helper()
	conn, err := new(net.Dialer).DialContext(l.Context(), "tcp", srv.Listener.Addr().String())
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		l.Fatal(err)
	}
	return conn
}

func wantStatus(l *lab, a answer, want int) {
	l.Helper()
	if a.status != want {
		l.Errorf("status is %d (%s), want %d", a.status, strings.TrimSpace(a.body), want)
	}
	if problem := strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json"); problem != (want >= 400) {
		l.Errorf("status %d has content type %q", a.status, a.header.Get("Content-Type"))
	}
}

// logbook collects log lines.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logbook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logbook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

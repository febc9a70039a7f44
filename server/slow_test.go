package server_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/server"
)

// Callers that promise a large body and never send it neither stop others nor hold
// memory, and are let go after a while. Not parallel: it looks at the memory of the
// process.
func TestHalfOpenRequests(t *testing.T) {
	l := newLab(t)
	wf := l.collector()
	l.run(engine.Options{}, wf)
	l.handle("/slow", func(e *engine.Engine) http.Handler {
		return server.Webhook(e, func(*http.Request) (string, error) { return "t", nil }, server.Options{ReadTimeout: 3 * time.Second, Logger: l.logger()})
	})
	r, u := open(l, wf, "t")
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const many = 1000
	conns := make([]net.Conn, many)
	for i := range conns {
		conn := l.dial(l.srv)
		if _, err := fmt.Fprint(conn, "POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\nExpect: 100-continue\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		conns[i] = conn
	}
	in := make([]*bufio.Reader, many)
	for i, conn := range conns { // until all of them are being read
		in[i] = bufio.NewReaderSize(conn, 16)
		if line, err := in[i].ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
			t.Fatalf("%q, %v", line, err)
		}
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	wantStatus(l, l.post(u, "others"), 202)
	runtime.GC()
	runtime.ReadMemStats(&during)
	if grown := int64(during.HeapAlloc) - int64(before.HeapAlloc); grown > many*64<<10 {
		t.Errorf("%d half-open requests hold %d bytes each", many, grown/many)
	}
	for i := range conns {
		_, _ = in[i].ReadString('\n') // the empty line after 100 Continue
		resp, err := http.ReadResponse(in[i], nil)
		if err != nil || resp.StatusCode != 408 || !resp.Close {
			t.Fatalf("request %d: %+v, %v, want 408", i, resp, err)
		}
		resp.Body.Close()
	}
	if diff := cmp.Diff([]string{"others"}, collected(l, r, u)); diff != "" {
		t.Error(diff)
	}
}

// A server's WriteTimeout does not cut off a caller who waits longer than that for a
// run, and an idle connection is good for another request.
func TestWriteTimeout(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	srv := &http.Server{Handler: l.mux, WriteTimeout: 100 * time.Millisecond, ReadHeaderTimeout: time.Second}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(ln) }()
	defer func() { _ = srv.Close() }()
	wf := l.late(300 * time.Millisecond)
	l.run(engine.Options{}, wf)
	_, u := open(l, wf, "")
	u = "http://" + ln.Addr().String() + strings.TrimPrefix(u, l.srv.URL)
	for range 2 {
		if a := l.post(u, "x"); a.status != 200 || a.body != "late" {
			t.Errorf("got %+v", a)
		}
	}
}

package server_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

// A request reaches the run as it was sent.
func TestRequestIsDeliveredWhole(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.collector()
	l.run(engine.Options{CacheSize: -1}, wf)
	r, u := open(l, wf, "")
	body := "\x00\x01\xff\xfe line\r\nline\n{\"json\": true}\n"
	before := time.Now().Add(-time.Second)
	a := l.send("PATCH", u+"?a=1&b=%20%C3%BC&a=2&raw=\xff", strings.NewReader(body),
		"X-Many", "one", "X-Many", "two, three", "X-Latin", "M\xfcller", "X-Empty", "", "Authorization", "Bearer secret", "X-Forwarded-For", "6.6.6.6")
	wantStatus(l, a, 202)
	wantStatus(l, l.post(u, "stop"), 202)
	got := result(l, r)[0]
	if string(got.Body) != body {
		t.Errorf("body %q, want %q", got.Body, body)
	}
	if got.Method != "PATCH" || "http://"+got.Host != l.srv.URL {
		t.Errorf("method %s, host %s", got.Method, got.Host)
	}
	if want := strings.TrimPrefix(u, l.srv.URL); got.URL.EscapedPath() != want {
		t.Errorf("path is %q, want %q", got.URL.EscapedPath(), want)
	}
	if diff := cmp.Diff(url.Values{"a": {"1", "2"}, "b": {" ü"}, "raw": {"\xff"}}, got.URL.Query()); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string][]string{
		"X-Many": {"one", "two, three"}, "X-Latin": {"M\xfcller"}, "X-Empty": {""}, "Authorization": {"Bearer secret"},
	} {
		if diff := cmp.Diff(want, got.Header[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, name := range []string{"Host", "Transfer-Encoding"} {
		if v, there := got.Header[name]; there {
			t.Errorf("header %s is %q", name, v)
		}
	}
	if host, _, err := net.SplitHostPort(got.RemoteAddr); err != nil || host != "127.0.0.1" {
		t.Errorf("remote address is %q", got.RemoteAddr)
	}
	if got.ID == "" || got.RunID != r.ID() || got.ReceivedAt.Before(before) || got.ReceivedAt.After(time.Now()) {
		t.Errorf("ID %q, run %q, received at %v", got.ID, got.RunID, got.ReceivedAt)
	}
	again := got.HTTP(t.Context())
	data, err := io.ReadAll(again.Body)
	if err != nil || string(data) != body || again.ContentLength != int64(len(body)) || again.Method != "PATCH" || again.Header.Get("X-Many") != "one" ||
		again.Host != got.Host || again.URL.Query().Get("a") != "1" {
		t.Errorf("as an *http.Request: %+v, %q, %v", again, data, err)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		opts  []workflow.WebhookOption
		taken []string
		allow string
	}{
		{nil, []string{"POST", "PUT", "PATCH", "DELETE"}, "POST, PUT, PATCH, DELETE, OPTIONS"},
		{[]workflow.WebhookOption{workflow.Methods("GET")}, []string{"GET"}, "GET, OPTIONS"},
		{[]workflow.WebhookOption{workflow.Methods("PUT", "REPORT")}, []string{"PUT", "REPORT"}, "PUT, REPORT, OPTIONS"},
	} {
		t.Run(tt.allow, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			wf := workflow.Define("methods", func(ctx workflow.Context, _ string) ([]string, error) {
				w, err := workflow.NewWebhook(ctx, tt.opts...)
				if err != nil {
					return nil, err
				}
				if err := l.opened(ctx, w); err != nil {
					return nil, err
				}
				var got []string
				for range tt.taken {
					r, err := w.Wait(ctx)
					if err != nil {
						return got, err
					}
					got = append(got, r.Method)
				}
				return got, nil
			})
			l.run(engine.Options{}, wf)
			r, u := open(l, wf, "")
			for _, m := range []string{"GET", "HEAD", "TRACE", "post", "BREW", "POST", "PUT", "PATCH", "DELETE"} {
				if slices.Contains(tt.taken, m) {
					continue
				}
				a := l.send(m, u, nil)
				if wantStatus(l, a, 405); a.header.Get("Allow") != tt.allow {
					t.Errorf("%s: Allow is %q, want %q", m, a.header.Get("Allow"), tt.allow)
				}
			}
			a := l.send("OPTIONS", u, nil, "Origin", "https://example.com", "Access-Control-Request-Method", "POST")
			if a.status != 204 || a.header.Get("Allow") != tt.allow || a.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("OPTIONS: %+v", a)
			}
			for _, m := range tt.taken {
				wantStatus(l, l.send(m, u, nil), 202)
			}
			if diff := cmp.Diff(tt.taken, result(l, r)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever is not an open webhook gets one and the same 404.
func TestNotFound(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.collector()
	plain := workflow.Define("plain", func(ctx workflow.Context, token string) (string, error) {
		h, err := workflow.NewHook[string](ctx, workflow.Token(token))
		if err != nil {
			return "", err
		}
		if err := workflow.Do(ctx, "opened", func(context.Context) error { l.urls <- l.urlOf(token); return nil }); err != nil {
			return "", err
		}
		return h.Wait(ctx)
	})
	l.run(engine.Options{}, wf, plain)
	released, releasedURL := open(l, wf, "released")
	collected(l, released, releasedURL)
	hook, plainURL := open(l, plain, "plain")

	want := l.post(l.urlOf("unknown"), "x")
	wantStatus(l, want, 404)
	base := l.srv.URL + server.WebhookPath
	for _, u := range []string{
		releasedURL, plainURL, base, base + "a/b", base + "%00", base + "%FF", base + "a%0Ab", base + strings.Repeat("t", 5000), base + "%2e%2e", base + "?q",
	} {
		for _, method := range []string{"POST", "GET", "DELETE", "OPTIONS", "BREW"} {
			a := l.send(method, u, nil)
			if a.status != 404 || a.body != want.body || a.header.Get("Content-Type") != want.header.Get("Content-Type") || a.header.Get("Allow") != "" {
				t.Errorf("%s %q: %+v, want %+v", method, u, a, want)
			}
		}
	}
	if _, err := workflow.Resume(t.Context(), l.eng, "plain", "by the app"); err != nil {
		t.Error(err)
	}
	if got := result(l, hook); got != "by the app" {
		t.Errorf("the plain hook got %q", got)
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := workflow.Define("two", func(ctx workflow.Context, _ string) (bodies []string, err error) {
		w, err := workflow.NewWebhook(ctx)
		if err != nil {
			return nil, err
		}
		if err := l.opened(ctx, w); err != nil {
			return nil, err
		}
		for r, err := range w.All(ctx) {
			if err != nil || string(r.Body) == "stop" {
				return bodies, err
			}
			bodies = append(bodies, fmt.Sprintf("%d %.1s", len(r.Body), r.Body))
		}
		return bodies, nil
	})
	l.run(engine.Options{MaxPayload: 10_000}, wf)
	r, u := open(l, wf, "")
	fits, large := strings.Repeat("x", 10_000), strings.Repeat("y", 10_001)
	chunked := func(s string) io.Reader { return io.MultiReader(strings.NewReader(s)) } // of unknown length
	for _, tt := range []struct {
		body io.Reader
		want int
	}{
		{strings.NewReader(fits), 202},
		{strings.NewReader(large), 413},
		{chunked(fits), 202},
		{chunked(large), 413},
		{chunked(strings.Repeat(large, 500)), 413},
	} {
		a, err := try(t.Context(), "POST", u, tt.body)
		if err != nil { // the server stops reading, so the client may fail to write
			if tt.want == 413 {
				continue
			}
			t.Fatal(err)
		}
		wantStatus(l, a, tt.want)
	}
	l.post(u, "stop")
	if diff := cmp.Diff([]string{"10000 x", "10000 x"}, result(l, r)); diff != "" {
		t.Error(diff)
	}
}

// A client that asks before it sends a body is refused before it sends the body.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.collector()
	l.run(engine.Options{MaxPayload: 10_000}, wf)
	r, u := open(l, wf, "")
	path := strings.TrimPrefix(u, l.srv.URL)
	for _, tt := range []struct {
		path, length, want string
	}{
		{path, "5", "HTTP/1.1 100 Continue"},
		{path, "10001", "HTTP/1.1 413 Request Entity Too Large"},
		{path + "x", "5", "HTTP/1.1 404 Not Found"},
	} {
		conn := l.dial(l.srv)
		if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %s\r\nExpect: 100-continue\r\n\r\n", tt.path, tt.length); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(conn)
		if !lines.Scan() || lines.Text() != tt.want {
			t.Errorf("body of %s bytes: %q, want %q", tt.length, lines.Text(), tt.want)
		}
		if strings.Contains(tt.want, "100") {
			lines.Scan() // an empty line
			if _, err := io.WriteString(conn, "hello"); err != nil {
				t.Fatal(err)
			}
			if !lines.Scan() || lines.Text() != "HTTP/1.1 202 Accepted" {
				t.Errorf("then: %q", lines.Text())
			}
		}
	}
	if diff := cmp.Diff([]string{"hello"}, collected(l, r, u)); diff != "" {
		t.Error(diff)
	}
}

// A body that ends too early is not delivered.
func TestTruncatedBody(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.collector()
	l.run(engine.Options{}, wf)
	r, u := open(l, wf, "")
	path := strings.TrimPrefix(u, l.srv.URL)
	for _, request := range []string{
		"Content-Length: 10\r\n\r\nhel", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "Transfer-Encoding: chunked\r\n\r\nfive\r\nhello\r\n0\r\n\r\n",
	} {
		conn := l.dial(l.srv)
		if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\n%s", path, request); err != nil {
			t.Fatal(err)
		}
		_ = conn.(*net.TCPConn).CloseWrite()
		status, _ := bufio.NewReader(conn).ReadString('\n')
		if !strings.HasPrefix(status, "HTTP/1.1 400") {
			t.Errorf("%q: status line %q", request, status)
		}
	}
	if got := collected(l, r, u); len(got) != 0 {
		t.Errorf("delivered: %q", got)
	}
}

// One connection serves many requests, whatever their answers.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.answering()
	l.run(engine.Options{}, wf)
	_, u := open(l, wf, "")
	conn := l.dial(l.srv)
	in := bufio.NewReader(conn)
	path := strings.TrimPrefix(u, l.srv.URL)
	for i, tt := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", path, "step a", 201},
		{"GET", path, "", 405},
		{"POST", path + "x", "body", 404},
		{"OPTIONS", path, "", 204},
		{"HEAD", path, "", 405},
		{"POST", path, "workflow b", 201},
		{"PUT", path, "step stop", 201},
		{"PUT", path, "late", 404},
	} {
		if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", tt.method, tt.path, len(tt.body), tt.body); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(in, &http.Request{Method: tt.method})
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != tt.want || resp.Close {
			t.Errorf("request %d: status %d, close %v, %v; want %d", i, resp.StatusCode, resp.Close, err, tt.want)
		}
		resp.Body.Close()
	}
}

var awkwardTokens = []string{
	"a", "approval:doc/7", "two words", " ", "größe 日本 🪝", "100%", "%2F", "%", `quo"te'`, "a+b", "a?b#c", "a;b&c=d", "...", "..a", "a/../b", "/", "//", "a//b",
	"/.well-known/workflow/v1/webhook/x", "~tilde", "<script>", `back\slash`, strings.Repeat("t", 1024), strings.Repeat("ü", 512),
}

func TestTokensSurvive(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.handle("/below/a/", func(e *engine.Engine) http.Handler {
		return http.StripPrefix("/below/a", server.Webhooks(e, server.Options{}))
	})
	wf := l.collector()
	for _, prefix := range []string{"", "/below/a", "/below/a/"} {
		l.run(engine.Options{PublicURL: l.srv.URL + prefix}, wf)
		for _, token := range awkwardTokens {
			r, u := open(l, wf, token)
			want := l.srv.URL + strings.TrimSuffix(prefix, "/") + server.WebhookPath
			if rest, ok := strings.CutPrefix(u, want); !ok || strings.ContainsAny(rest, "/?# ") {
				t.Errorf("token %q has URL %q", token, u)
			}
			wantStatus(l, l.post(u+"?q=1", "x"), 202)
			wantStatus(l, l.post(u, "stop"), 202)
			got := result(l, r)
			if len(got) != 1 || l.srv.URL+got[0].URL.String() != u+"?q=1" {
				t.Fatalf("token %q: got %+v", token, got)
			}
		}
	}
}

// Proxies on the way may have unescaped what they need not escape.
func TestTokensUnescapedOnTheWay(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.collector()
	l.run(engine.Options{}, wf)
	for _, token := range []string{"approval:doc/7", "a+b@c,d;e=f&g$h!i*j(k)'l", "ü"} {
		r, u := open(l, wf, token)
		wantStatus(l, l.post(l.srv.URL+server.WebhookPath+token, "x"), 202)
		if diff := cmp.Diff([]string{"x"}, collected(l, r, u)); diff != "" {
			t.Errorf("token %q: %s", token, diff)
		}
	}
}

// A handler that is mounted without a ServeMux sees paths that nobody has cleaned.
func TestOddURLs(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.collector()
	l.run(engine.Options{}, wf)
	bare := httptest.NewServer(server.Webhooks(l.eng, server.Options{}))
	defer bare.Close()
	r, u := open(l, wf, "t")
	targets := []string{
		"//host.example/x" + server.WebhookPath + "t", "//[::1" + server.WebhookPath + "t", "/a:b" + server.WebhookPath + "t?x=%zz&y=;",
		"http://other.example" + server.WebhookPath + "t?", "/..//." + server.WebhookPath + "t?a#b", server.WebhookPath + "%74",
	}
	for _, target := range targets {
		conn := l.dial(bare)
		if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", target); err != nil {
			t.Fatal(err)
		}
		if status, _ := bufio.NewReader(conn).ReadString('\n'); !strings.HasPrefix(status, "HTTP/1.1 202") {
			t.Errorf("%s: %s", target, status)
		}
	}
	wantStatus(l, l.post(u, "stop"), 202)
	got := result(l, r)
	if len(got) != len(targets) {
		t.Fatalf("%d requests were delivered, want %d", len(got), len(targets))
	}
	for i, req := range got {
		want, err := url.ParseRequestURI(targets[i])
		if err != nil {
			t.Fatal(err)
		}
		if req.URL.EscapedPath() != want.EscapedPath() || req.URL.RawQuery != want.RawQuery || req.URL.Host != want.Host {
			t.Errorf("%s: got path %s, query %s, host %s", targets[i], req.URL.EscapedPath(), req.URL.RawQuery, req.URL.Host)
		}
	}
}

func TestForwardedFor(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.collector()
	l.run(engine.Options{}, wf)
	l.handle("/trust/", func(e *engine.Engine) http.Handler {
		return server.Webhook(e, func(*http.Request) (string, error) { return "t", nil }, server.Options{TrustForwarded: true})
	})
	r, u := open(l, wf, "t")
	l.post(u, "0", "X-Forwarded-For", "6.6.6.6")
	trusting := l.srv.URL + "/trust/"
	l.post(trusting, "1", "X-Forwarded-For", "6.6.6.6, 7.7.7.7")
	l.post(trusting, "2", "X-Forwarded-For", "6.6.6.6", "X-Forwarded-For", "8.8.8.8")
	l.post(trusting, "3")
	l.post(trusting, "4", "X-Forwarded-For", " ")
	l.post(u, "stop")
	for i, req := range result(l, r) {
		host, _, err := net.SplitHostPort(req.RemoteAddr)
		if err != nil {
			host = req.RemoteAddr
		}
		if want := []string{"127.0.0.1", "7.7.7.7", "8.8.8.8", "127.0.0.1", "127.0.0.1"}[i]; host != want {
			t.Errorf("request %d came from %q, want %q", i, req.RemoteAddr, want)
		}
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.collector()
	l.run(engine.Options{}, wf)
	r, u := open(l, wf, "")

	var multi bytes.Buffer
	mw := multipart.NewWriter(&multi)
	_ = mw.WriteField("name", "größe")
	_ = mw.WriteField("name", "second")
	for i := range 3 {
		f, err := mw.CreateFormFile("file", fmt.Sprintf("f%d.bin", i))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.Write(bytes.Repeat([]byte{0, 255, byte(i)}, 10_000))
	}
	_ = mw.Close()

	a, err := http.PostForm(u+"?query=no", url.Values{"text": {"stop it & go", "2"}, "ü": {"\x00"}}) //nolint:noctx // it is what callers use
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	l.send("POST", u, &multi, "Content-Type", mw.FormDataContentType())
	l.post(u, `{"a": 1}`, "Content-Type", "application/json")
	l.post(u, "a=1;b=2", "Content-Type", "application/x-www-form-urlencoded")
	l.post(u, "stop")
	got := result(l, r)

	form, err := got[0].Form()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(url.Values{"text": {"stop it & go", "2"}, "ü": {"\x00"}}, form); diff != "" {
		t.Error(diff)
	}
	if got := got[0].HTTP(t.Context()).PostFormValue("text"); got != "stop it & go" {
		t.Errorf("PostFormValue is %q", got)
	}
	if form, err = got[1].Form(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(url.Values{"name": {"größe", "second"}}, form); diff != "" {
		t.Error(diff)
	}
	mf, err := got[1].MultipartForm()
	if err != nil || len(mf.File["file"]) != 3 {
		t.Fatalf("got %+v, %v", mf, err)
	}
	for i, fh := range mf.File["file"] {
		f, err := fh.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(f)
		if err != nil || !bytes.Equal(data, bytes.Repeat([]byte{0, 255, byte(i)}, 10_000)) || fh.Filename != fmt.Sprintf("f%d.bin", i) {
			t.Errorf("file %d is %s with %d bytes, %v", i, fh.Filename, len(data), err)
		}
	}
	var v struct{ A int }
	if err := got[2].JSON(&v); err != nil || v.A != 1 {
		t.Errorf("JSON: %+v, %v", v, err)
	}
	if err := got[0].JSON(&v); err == nil {
		t.Error("a form was decoded as JSON")
	}
	for _, req := range got[2:] {
		if form, err := req.Form(); err == nil {
			t.Errorf("%q was read as a form: %v", req.Body, form)
		}
	}
}

// Without a public URL a run waits for one.
func TestNoPublicURL(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.collector()
	l.runExactly(engine.Options{}, wf)
	r, err := wf.Start(t.Context(), l.eng, "t")
	if err != nil {
		t.Fatal(err)
	}
	reason := l.blocked(r.ID())
	if !strings.Contains(reason, "PublicURL") {
		t.Errorf("the reason is %q", reason)
	}
	wantStatus(l, l.post(l.urlOf("t"), "x"), 404)
	l.run(engine.Options{}, wf)
	u := receive(l, l.urls)
	l.post(u, "x")
	if diff := cmp.Diff([]string{"x"}, collected(l, r, u)); diff != "" {
		t.Error(diff)
	}
}

// blocked waits until a run is blocked, and returns why.
func (l *lab) blocked(runID string) string {
	l.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		info, err := l.eng.RunInfo(l.Context(), runID)
		if err != nil {
			l.Fatal(err)
		}
		if info.Status == workflow.StatusBlocked && info.ReasonCode != workflow.ReasonNoWorker { // it begins to run
			return info.Reason
		}
		if time.Now().After(deadline) {
			l.Fatalf("the run is %s", info.Status)
		}
	}
}

func TestBadPublicURL(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, u := range []string{"example.com", "/path", "ftp://example.com", "https://", "https://example.com?q", "https://example.com/#f", "%"} {
		if _, err := engine.New(l.store, engine.Options{PublicURL: u}); err == nil || !strings.Contains(err.Error(), "PublicURL") {
			t.Errorf("public URL %q: error is %v", u, err)
		}
	}
}

// HTTP/2 without TLS, as proxies speak it to what is behind them.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.answering()
	l.run(engine.Options{MaxPayload: 10_000}, wf)
	srv := httptest.NewUnstartedServer(server.Webhooks(l.eng, server.Options{Logger: l.logger()}))
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	srv.Config.Protocols = &p
	srv.Start()
	defer srv.Close()
	tr := &http.Transport{Protocols: &p}
	defer tr.CloseIdleConnections()
	_, u := open(l, wf, "t")
	u = srv.URL + strings.TrimPrefix(u, l.srv.URL)
	for _, tt := range []struct {
		method, body string
		want         int
	}{
		{"POST", "step a", 201},
		{"GET", "", 405},
		{"POST", strings.Repeat("x", 10_001), 413},
		{"PUT", "workflow stop", 201},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, u, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		a, err := do(&http.Client{Transport: tr, Timeout: patience}, req)
		if err != nil {
			t.Fatal(err)
		}
		wantStatus(l, a, tt.want)
	}
}

// The way most people try it first.
func TestCurl(t *testing.T) {
	t.Parallel()
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("there is no curl")
	}
	l := newLab(t)
	wf := l.answering()
	l.run(engine.Options{}, wf)
	r, u := open(l, wf, "größe/7 %")
	for _, args := range [][]string{
		{"-d", "step a"},
		{"-H", "Expect: 100-continue", "-d", "workflow b"},
		{"-H", "Transfer-Encoding: chunked", "--data-binary", "step c\n"},
		{"-X", "DELETE", "-d", "step stop"},
	} {
		out, err := exec.CommandContext(t.Context(), curl, append([]string{"-sS", "-w", " %{http_code}", "--noproxy", "*", u}, args...)...).CombinedOutput()
		if want := args[len(args)-1] + " 201"; err != nil || string(out) != want {
			t.Errorf("curl %q: %q, %v, want %q", args, out, err, want)
		}
	}
	if n := result(l, r); n != 4 {
		t.Errorf("the run took %d requests", n)
	}
}

// A webhook takes requests only: other payloads are refused where they are sent.
func TestResumeOfWebhook(t *testing.T) {
	t.Parallel()
	for name, cache := range map[string]int{"live": 0, "parked": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			wf := l.collector()
			l.run(engine.Options{CacheSize: cache}, wf)
			r, u := open(l, wf, "t")
			_, err := workflow.Resume(t.Context(), l.eng, "t", "no request")
			if _, ok := errors.AsType[*workflow.PayloadError](err); !ok {
				t.Errorf("error is %v, want a *PayloadError", err)
			}
			if diff := cmp.Diff([]string(nil), collected(l, r, u)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A server that gives up its connections has callers told to come again.
func TestServerStopsWhileCallersWait(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx, stop := context.WithCancel(t.Context())
	taken := make(chan string, 1)
	srv := httptest.NewUnstartedServer(l.mux)
	srv.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	srv.Start()
	defer srv.Close()
	holding := workflow.Define("holding", func(ctx workflow.Context, _ string) (string, error) {
		w, err := workflow.NewWebhook(ctx, workflow.RespondManually())
		if err != nil {
			return "", err
		}
		if err := l.opened(ctx, w); err != nil {
			return "", err
		}
		r, err := w.Wait(ctx)
		if err != nil {
			return "", err
		}
		if err := workflow.Do(ctx, "taken", func(context.Context) error { taken <- ""; return nil }); err != nil {
			return "", err
		}
		_, err = w.Wait(ctx)
		return string(r.Body), err
	})
	l.run(engine.Options{}, holding)
	r, u := open(l, holding, "")
	got := make(chan answer, 1)
	go func() {
		a, err := try(t.Context(), "POST", srv.URL+strings.TrimPrefix(u, l.srv.URL), strings.NewReader("hello"))
		if err != nil {
			t.Error(err)
		}
		got <- a
	}()
	receive(l, taken)
	stop()
	a := receive(l, got)
	if wantStatus(l, a, 503); a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	wantStatus(l, l.post(u, ""), 500)
	if got := result(l, r); got != "hello" {
		t.Errorf("the run got %q", got)
	}
}

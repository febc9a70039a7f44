package server_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/sender"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/sqlite"
)

// post is a store that has some webhooks, and keeps nothing but the last payload. It
// is quick enough for a fuzzer.
type post struct {
	store.Store
	hooks  map[string]string // by token: JSON
	looked string            // token that was looked for
	last   *store.Payload
}

func (p *post) Hook(_ context.Context, token string) (store.Hook, error) {
	p.looked = token
	if config, ok := p.hooks[token]; ok {
		return store.Hook{ID: "h", RunID: "r", Token: token, Webhook: []byte(config)}, nil
	}
	return store.Hook{}, store.ErrNotFound
}

func (p *post) Run(context.Context, string) (store.Run, error) { return store.Run{ID: "r"}, nil }

func (p *post) Accept(_ context.Context, payload store.Payload) (store.Receipt, error) {
	p.last = &payload
	return store.Receipt{}, nil
}

func newPost(f *testing.F, hooks map[string]string) (*post, http.Handler) {
	f.Helper()
	st, err := sqlite.OpenWith(filepath.Join(f.TempDir(), "a.db"), sqlite.Options{Private: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = st.Close() })
	p := &post{Store: st, hooks: hooks}
	eng, err := engine.New(p, engine.Options{
		MaxPayload: 1000, RespondWithin: time.Microsecond, Logger: slog.New(slog.DiscardHandler),
		Senders: map[string]*sender.Sender{"hub": sender.Must(sender.GitHub(secret)), "std": sender.Must(sender.StandardWebhooks("whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"))},
	})
	if err != nil {
		f.Fatal(err)
	}
	mux := http.NewServeMux()
	h := server.Webhooks(eng, server.Options{Logger: slog.New(slog.DiscardHandler), TrustForwarded: true})
	mux.Handle(server.WebhookPath, h)
	mux.Handle("/below/", http.StripPrefix("/below", h))
	return p, mux
}

// Whatever comes, the answer is one of those that are documented, and what is taken
// is what was sent.
func FuzzHandler(f *testing.F) {
	p, h := newPost(f, map[string]string{
		"t": `{}`, "get": `{"methods":["GET"],"dedupe":"Id"}`, "signed": `{"verify":"hub"}`, "standard": `{"verify":"std"}`, "manual": `{"manual":true}`,
	})
	base := server.WebhookPath
	for _, s := range []struct{ method, path, header, body string }{
		{"POST", base + "t?a=1", "X-A: b\r\nX-A: c", "hello"},
		{"POST", "/below" + base + "t", "X-Forwarded-For: 1.1.1.1, x", "\x00\xff"},
		{"GET", base + "get", "Id: 7", ""},
		{"POST", base + "signed", "X-Hub-Signature-256: sha256=00", "x"},
		{"POST", base + "standard", "Webhook-Id: a\r\nWebhook-Timestamp: 1\r\nWebhook-Signature: v1,AA==", "x"},
		{"PUT", base + "manual", "Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"},
		{"HEAD", base + "a%2Fb", "Expect: 100-continue", ""},
		{"OPTIONS", base + "%00", "", ""},
		{"POST", base + "t", "", strings.Repeat("x", 1001)},
	} {
		f.Add(s.method, s.path, s.header, []byte(s.body))
	}
	statuses := []int{202, 204, 301, 307, 308, 400, 401, 404, 405, 413, 504}
	f.Fuzz(func(t *testing.T, method, path, header string, body []byte) {
		raw := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\n", method, path)
		if !strings.Contains(strings.ToLower(header), "transfer-encoding") {
			raw += fmt.Sprintf("Content-Length: %d\r\n", len(body))
		}
		if header != "" {
			raw += header + "\r\n"
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw + "\r\n" + string(body))))
		if err != nil {
			return // the server would not let it through
		}
		sent := r.Header.Clone()
		p.last = nil
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		resp := w.Result()
		if !slices.Contains(statuses, resp.StatusCode) {
			t.Fatalf("%q: status %d: %s", raw, resp.StatusCode, w.Body)
		}
		if taken := resp.StatusCode == 202 || resp.StatusCode == 504; taken != (p.last != nil) {
			t.Fatalf("%q: status %d, taken: %v", raw, resp.StatusCode, p.last)
		}
		if p.last == nil {
			return
		}
		got, gotBody, err := run.DecodeRequest(p.last.Data)
		if err != nil {
			t.Fatal(err)
		}
		if r.TransferEncoding == nil && !bytes.Equal(gotBody, body[:min(len(body), int(r.ContentLength))]) || got.Method != r.Method {
			t.Errorf("%q: got %s %q", raw, got.Method, gotBody)
		}
		if diff := cmp.Diff(sent, http.Header(got.Header), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q: %s", raw, diff)
		}
		if u, err := run.ParseURL(got.URL); err != nil || u.EscapedPath() != mustParse(t, r.RequestURI).EscapedPath() {
			t.Errorf("%q: URL %q, %v", raw, got.URL, err)
		}
	})
}

func mustParse(t *testing.T, uri string) *url.URL {
	t.Helper()
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// The token in a URL is the token that is looked for, if a hook can have it.
func FuzzTokens(f *testing.F) {
	p, h := newPost(f, nil)
	for _, token := range awkwardTokens {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if token == "" || token == "." || token == ".." {
			return // no webhook has them
		}
		for _, prefix := range []string{"", "/below"} {
			r := httptest.NewRequest("POST", prefix+server.WebhookPath+url.PathEscape(token), http.NoBody)
			p.looked = ""
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			want := token
			if run.BadName(token, run.MaxToken) != "" {
				want = ""
			}
			if w.Code != 404 || p.looked != want {
				t.Errorf("token %q: looked for %q, status %d", token, p.looked, w.Code)
			}
		}
	})
}

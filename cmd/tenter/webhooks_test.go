package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/sender"
)

// receiver is what takes requests of one sender, as an application does.
func receiver(t *testing.T, s *sender.Sender) (*httptest.Server, <-chan *sender.Request) {
	t.Helper()
	got := make(chan *sender.Request, 10)
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		u, _ := url.Parse(srv.URL + r.RequestURI)
		req := &sender.Request{Method: r.Method, URL: u, Header: r.Header, Body: body}
		if err == nil {
			err = s.Verify(req, time.Now())
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		got <- req
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(srv.Close)
	return srv, got
}

// called calls the command, with the environment as given.
func called(ctx context.Context, env map[string]string, args ...string) (code int, out string) {
	var b bytes.Buffer
	a := &app{ctx: ctx, stdin: strings.NewReader(`{"from":"stdin"}`), stdout: &b, stderr: &b, env: func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}}
	return a.main(args), b.String()
}

func TestWebhooksSend(t *testing.T) {
	t.Parallel()
	for name, of := range impersonated {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			secret, other := "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
			srv, got := receiver(t, sender.Must(of(secret)))
			body := `{"id":"evt_1","value":[{"a":1}]}`
			env := map[string]string{"TENTER_WEBHOOK_SECRET": secret}
			code, out := called(t.Context(), env, "webhooks", "send", "--as", name, srv.URL+"/hook?a=1", body, "-H", "X-Event: a: b")
			if code != 0 || out != "202 Accepted\n" {
				t.Fatalf("exit code %d: %s", code, out)
			}
			r := <-got
			if r.Header.Get("X-Event") != "a: b" || r.Header.Get("Content-Type") != "application/json" || !bytes.Contains(r.Body, []byte("evt_1")) {
				t.Errorf("it sends %q %s", r.Header, r.Body)
			}
			env["TENTER_WEBHOOK_SECRET"] = other
			if code, out := called(t.Context(), env, "webhooks", "send", "--as", name, srv.URL, body); code != exitFailed || !strings.Contains(out, "401 Unauthorized") {
				t.Errorf("with another secret: exit code %d: %s", code, out)
			}
		})
	}
	if code, out := called(t.Context(), nil, "webhooks", "send", "--as", "nobody", "http://localhost/", "{}"); code != exitUsage || !strings.Contains(out, `"bitbucket"`) {
		t.Errorf("as a sender that is unknown: exit code %d: %s", code, out)
	}
}

func TestWebhooksSendOptions(t *testing.T) {
	t.Parallel()
	srv, got := receiver(t, sender.Must(sender.New(sender.Options{Name: "any", Verify: func(*sender.Request, time.Time) error { return nil }})))
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("a secret in a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	send := func(args ...string) (*sender.Request, string) {
		t.Helper()
		code, out := called(t.Context(), nil, slices.Concat([]string{"webhooks", "send", srv.URL}, args)...)
		if code != 0 {
			t.Fatalf("%q: exit code %d: %s", args, code, out)
		}
		return <-got, out
	}
	if r, _ := send("a=1&b=2", "--method", "put"); r.Method != "PUT" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("a form: %s %q", r.Method, r.Header)
	}
	if r, _ := send("-", "-H", "Content-Type: text/plain"); string(r.Body) != `{"from":"stdin"}` || r.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("standard input: %q %s", r.Header, r.Body)
	}
	if r, _ := send("@"+file, "--as", "github", "--secret-file", file); sender.Must(sender.GitHub("a secret in a file")).Verify(r, time.Now()) != nil {
		t.Errorf("a secret in a file: %q", r.Header)
	}
	_, out := send("{}", "--json")
	var answer struct{ Status int }
	if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.Status != http.StatusAccepted {
		t.Errorf("--json: %s, %v", out, err)
	}
	for want, args := range map[string][]string{
		"set TENTER_WEBHOOK_SECRET": {srv.URL, "{}", "--as", "github"},
		"has to be like http":       {"localhost:8080", "{}"},
		"must be one of":            {srv.URL, "{}", "--as", "discord"},
		"X-GitHub-Event: push":      {srv.URL, "{}", "-H", "nonsense"},
	} {
		if code, out := called(t.Context(), nil, slices.Concat([]string{"webhooks", "send"}, args)...); code != exitUsage || !strings.Contains(out, want) {
			t.Errorf("%q: exit code %d: %s", args, code, out)
		}
	}
}

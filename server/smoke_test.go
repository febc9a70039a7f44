package server_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

func TestSmoke(t *testing.T) {
	st, err := sqlite.Open(filepath.Join(t.TempDir(), "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	urls := make(chan string, 1)
	wf := workflow.Define("hook", func(ctx workflow.Context, _ string) (string, error) {
		w, err := workflow.NewWebhook(ctx, workflow.RespondManually(), workflow.Token("a/b c:ü"))
		if err != nil {
			return "", err
		}
		defer w.Close()
		_ = workflow.Do(ctx, "url", func(context.Context) error { urls <- w.URL(); return nil })
		var all []string
		for r, err := range w.All(ctx) {
			if err != nil {
				return "", err
			}
			all = append(all, r.Method+" "+r.URL.String()+" "+string(r.Body))
			if string(r.Body) == "stop" {
				return strings.Join(all, ";"), workflow.Do(ctx, "answer", func(ctx context.Context) error {
					return r.Respond(ctx, workflow.JSON(201, "bye"))
				})
			}
			if err := r.Respond(ctx, workflow.Text(200, "got "+string(r.Body))); err != nil {
				return "", err
			}
		}
		return "", nil
	})
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	defer srv.Close()
	e, err := engine.New(st, engine.Options{Workflows: []workflow.Definition{wf}, PublicURL: srv.URL, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle(server.WebhookPath, server.Webhooks(e))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- e.Run(ctx) }()
	run, err := wf.Start(ctx, e, "")
	if err != nil {
		t.Fatal(err)
	}
	u := <-urls
	t.Log(u)
	for _, body := range []string{"one", "two", "stop"} {
		resp, err := http.Post(u+"?q=1", "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		t.Log(resp.Status, string(b))
	}
	t.Log(run.Result(ctx))
	resp, err := http.Post(u+"?q=1", "text/plain", strings.NewReader("late"))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	t.Log(resp.Status, string(b))
	cancel()
	<-done
}

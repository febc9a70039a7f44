package workflow_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/workflow"
)

func TestRequestInLogs(t *testing.T) {
	t.Parallel()
	req := &workflow.Request{
		ID: "id1", Method: http.MethodPost,
		URL:    &url.URL{Path: "/app/.well-known/workflow/v1/webhook/the-token", RawQuery: "key=in-the-query"},
		Header: http.Header{"Authorization": {"Bearer in-a-header"}, "X-Hub-Signature-256": {"sha256=in-a-header"}, "User-Agent": {"GitHub"}},
		Body:   []byte("in-the-body"),
	}
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	log.Info("got", "request", req)
	for _, secret := range []string{"the-token", "in-the-query", "in-a-header", "in-the-body"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is in the log: %s", secret, &out)
		}
	}
	for _, want := range []string{"id1", "POST", "/app/.well-known/workflow/v1/webhook/***", "GitHub"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the log: %s", want, &out)
		}
	}

	out.Reset()
	log.Info("got", "request", &workflow.Request{ID: "id2"})
	if !strings.Contains(out.String(), "id2") || strings.Contains(out.String(), "PANIC") || strings.Contains(out.String(), "panic") {
		t.Errorf("a request without a URL: %s", &out)
	}
}

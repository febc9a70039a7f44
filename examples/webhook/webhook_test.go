package main

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/examples/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

const curlLine = `curl -i -X POST '(\S+)\?from=me' -d 'Hello, run'\n\n`

func TestWebhook(t *testing.T) {
	t.Parallel()
	ended := func(t *testing.T, p *exampletest.Process) {
		t.Helper()
		if code := p.Wait(); code != 0 {
			t.Errorf("exit code %d:\n%s", code, p.Output())
		}
	}

	t.Run("as printed", func(t *testing.T) {
		t.Parallel()
		p := exampletest.Start(t, t.TempDir(), "-addr", "127.0.0.1:0")
		p.WaitFor(curlLine)
		if out := p.Paste("curl"); !strings.HasPrefix(out, "HTTP/1.1 202 Accepted\r\n") {
			t.Errorf("curl printed %q, want 202", out)
		}
		ended(t, p)
		p.WaitFor(`POST /\.well-known/workflow/v1/webhook/\S+\nquery: from=me\nuser agent: curl/\S+\nbody: Hello, run\n`)
	})

	t.Run("accepted", func(t *testing.T) {
		t.Parallel()
		p := exampletest.Start(t, t.TempDir(), "-addr", "127.0.0.1:0")
		url := p.WaitFor(curlLine)[1]
		if a := exampletest.Send(t, http.MethodGet, url, nil, ""); a.Status != http.StatusMethodNotAllowed {
			t.Errorf("GET: %d, want 405", a.Status)
		}
		if a := exampletest.Send(t, http.MethodPost, url+"x", nil, ""); a.Status != http.StatusNotFound {
			t.Errorf("another token: %d, want 404", a.Status)
		}
		a := exampletest.Send(t, http.MethodPut, url+"?a=1&a=2", http.Header{"User-Agent": {"test"}}, "put")
		if a.Status != http.StatusAccepted || a.Body != "" {
			t.Errorf("PUT: %d %q, want 202 and nothing", a.Status, a.Body)
		}
		ended(t, p)
		p.WaitFor(`PUT /\.well-known/\S+\nquery: a=1&a=2\nuser agent: test\nbody: put\n`)
	})

	t.Run("static", func(t *testing.T) {
		t.Parallel()
		p := exampletest.Start(t, t.TempDir(), "-addr", "127.0.0.1:0", "-static")
		a := exampletest.Send(t, http.MethodPost, p.WaitFor(curlLine)[1], nil, "hi")
		if a.Status != http.StatusOK || a.Header.Get("X-Served-By") != "tenter" || a.Header.Get("Content-Type") != "application/json" ||
			a.Body != `{"message":"Webhook received","success":true}`+"\n" {
			t.Errorf("the answer is %+v", a)
		}
		ended(t, p)
		p.WaitFor(`body: hi\n`)
	})

	t.Run("address taken", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		p := exampletest.Start(t, t.TempDir(), "-addr", l.Addr().String())
		free := p.WaitFor(`so this is (\S+)\.\n`)[1]
		if url := p.WaitFor(curlLine)[1]; !strings.HasPrefix(url, "http://"+free+"/") {
			t.Errorf("it says %s and prints %s", free, url)
		}
	})
}

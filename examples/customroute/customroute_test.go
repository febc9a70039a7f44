package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/examples/internal/exampletest"
	"github.com/tenter-dev/tenter/server"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestCustomRoute(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) (p *exampletest.Process, url string) {
		t.Helper()
		p = exampletest.Start(t, t.TempDir(), "-addr", "127.0.0.1:0")
		return p, p.WaitFor(`curl -i (\S+)/suppliers/acme/approval .*"by":"Ada"}'\n\n`)[1]
	}

	t.Run("as printed", func(t *testing.T) {
		t.Parallel()
		p, _ := start(t)
		out := p.Paste("curl")
		for _, want := range []string{
			"HTTP/1.1 201 Created\r\n", `{"item":"crane","price":70000}`,
			"HTTP/1.1 400 Bad Request\r\n", `"field":"approved"`,
			"HTTP/1.1 202 Accepted\r\n", `"run_id":`,
		} {
			_, after, found := strings.Cut(out, want)
			if !found {
				t.Fatalf("%q is missing or out of order:\n%s", want, out)
			}
			out = after
		}
		p.WaitFor(`Ada buys the crane for 70000\.\n`)
		if code := p.Wait(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})

	t.Run("step by step", func(t *testing.T) {
		t.Parallel()
		p, url := start(t)
		for _, tt := range []struct {
			what, path, key, body string
			want                  int
		}{
			{"the public route", server.WebhookPath + "offer:acme", "acme-key", `{"item":"crane"}`, http.StatusNotFound},
			{"no key", "/suppliers/acme/offer", "", `{"item":"crane"}`, http.StatusUnauthorized},
			{"the supplier's key for the boss", "/suppliers/acme/approval", "acme-key", `{"approved":true,"by":"me"}`, http.StatusUnauthorized},
			{"another supplier", "/suppliers/other/offer", "other-key", `{"item":"crane"}`, http.StatusNotFound},
			{"no offer", "/suppliers/acme/offer", "acme-key", `no offer`, http.StatusBadRequest},
			{"a good offer", "/suppliers/acme/offer", "acme-key", `{"item":"crane"}`, http.StatusCreated},
			{"an unknown field", "/suppliers/acme/approval", "boss-key", `{"aproved":true,"by":"Ada"}`, http.StatusBadRequest},
			{"what does not validate", "/suppliers/acme/approval", "boss-key", `{"approved":true}`, http.StatusUnprocessableEntity},
			{"a rejection", "/suppliers/acme/approval", "boss-key", `{"by":"Ada"}`, http.StatusAccepted},
		} {
			header := http.Header{"Authorization": {"Bearer " + tt.key}}
			if a := exampletest.Send(t, http.MethodPost, url+tt.path, header, tt.body); a.Status != tt.want {
				t.Errorf("%s: %d %s, want %d", tt.what, a.Status, a.Body, tt.want)
			}
		}
		p.WaitFor(`Ada does not want the crane for 0\.\n`)
	})
}

package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tenter-dev/tenter/examples/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestDynamic(t *testing.T) {
	t.Parallel()
	// start returns the URL by the way in which the run answers.
	start := func(t *testing.T) (*exampletest.Process, map[string]string) {
		t.Helper()
		p := exampletest.Start(t, t.TempDir(), "-addr", "127.0.0.1:0")
		urls := map[string]string{}
		for _, how := range []string{"from a step", "from the workflow"} {
			urls[how] = p.WaitFor(`Answered ` + how + `:\n\n  curl -i (\S+) .*\n.*5000}'\n\n`)[1]
		}
		return p, urls
	}

	t.Run("as printed", func(t *testing.T) {
		t.Parallel()
		p, _ := start(t)
		out := p.Paste("curl")
		if n := strings.Count(out, "HTTP/1.1 200 OK\r\n"); n != 2 {
			t.Errorf("%d payments were accepted, want 2:\n%s", n, out)
		}
		if n := strings.Count(out, "HTTP/1.1 402 Payment Required\r\n"); n != 2 {
			t.Errorf("%d payments were declined, want 2:\n%s", n, out)
		}
		p.Interrupt()
		if code := p.Wait(); code != 0 {
			t.Errorf("exit code after Ctrl-C is %d:\n%s", code, p.Output())
		}
	})

	t.Run("each its own answer", func(t *testing.T) {
		t.Parallel()
		p, urls := start(t)
		var all sync.WaitGroup
		for how, url := range urls {
			for i := range 20 {
				all.Go(func() {
					from, amount := fmt.Sprint("caller ", i), 990+i
					a := exampletest.Send(t, http.MethodPost, url, nil, fmt.Sprintf(`{"from":%q,"amount":%d}`, from, amount))
					wantStatus, want := http.StatusOK, fmt.Sprintf(`{"accepted":true,"from":%q}`, from)
					if amount > 1000 {
						wantStatus, want = http.StatusPaymentRequired, `{"accepted":false,"reason":"more than 1000"}`
					}
					if a.Status != wantStatus || a.Body != want+"\n" {
						t.Errorf("%d %s: %d %q, want %d %q", amount, how, a.Status, a.Body, wantStatus, want)
					}
				})
			}
			if a := exampletest.Send(t, http.MethodPost, url, nil, "?"); a.Status != http.StatusBadRequest {
				t.Errorf("no JSON, %s: %d, want 400", how, a.Status)
			}
		}
		all.Wait()
		for how := range urls {
			for i := range 20 {
				p.WaitFor(fmt.Sprintf("Payment of %d from caller %d was answered %s.\n", 990+i, i, how))
			}
		}
	})
}

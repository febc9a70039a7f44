package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tenter-dev/tenter/examples/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

const printed = `http_code}\\n' '(\S+)' (?s:.*)deliver "\$secret" fourth .*\n\n`

func TestSigned(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) (p *exampletest.Process, url string) {
		t.Helper()
		p = exampletest.Start(t, t.TempDir(), "-addr", "127.0.0.1:0")
		return p, p.WaitFor(printed)[1]
	}

	t.Run("as printed", func(t *testing.T) {
		t.Parallel()
		p, _ := start(t)
		var codes []string
		for line := range strings.Lines(p.Paste("curl", "openssl", "sed")) {
			if !strings.HasPrefix(line, "{") {
				codes = append(codes, strings.TrimSpace(line))
			}
		}
		if got, want := strings.Join(codes, " "), "202 202 202 202 202 202 401 202"; got != want {
			t.Errorf("answers are %s, want %s", got, want)
		}
		p.WaitFor(`The branch is deleted after 2 pushes\.\n`)
		if out := p.Output(); strings.Contains(out, "what eve has pushed") {
			t.Errorf("what eve sent was taken:\n%s", out)
		}
	})

	t.Run("repeats at once", func(t *testing.T) {
		t.Parallel()
		p, url := start(t)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if a := deliver(t, url, "same", `{"pusher":"ada"}`, ""); a.Status != http.StatusAccepted {
					t.Errorf("a repeat: %d, want 202", a.Status)
				}
			})
		}
		all.Wait()
		deliver(t, url, "last", `{"deleted":true}`, "")
		p.WaitFor(`The branch is deleted after 1 pushes\.\n`)
	})

	t.Run("changed", func(t *testing.T) {
		t.Parallel()
		p, url := start(t)
		// A refused delivery does not use up its ID.
		if a := deliver(t, url, "one", `{"pusher":"ada"}`, " "); a.Status != http.StatusUnauthorized {
			t.Errorf("a changed body: %d, want 401", a.Status)
		}
		if a := deliver(t, url, "one", `{"pusher":"ada"}`, ""); a.Status != http.StatusAccepted {
			t.Errorf("the right body: %d, want 202", a.Status)
		}
		p.WaitFor(`1\. Build what ada has pushed\.\n`)
	})
}

// deliver sends what GitHub would have signed, with something added.
func deliver(t *testing.T, url, id, body, added string) exampletest.Answer {
	t.Helper()
	mac := hmac.New(sha256.New, []byte("It's a Secret to Everybody"))
	mac.Write([]byte(body))
	header := http.Header{}
	header.Set("X-GitHub-Delivery", id)
	header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	return exampletest.Send(t, http.MethodPost, url, header, body+added)
}

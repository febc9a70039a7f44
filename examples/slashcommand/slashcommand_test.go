package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/examples/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

const lastLine = `curl '(\S+)' -d command=/status -d text=stop\n\n`

func TestSlashCommand(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) (p *exampletest.Process, url string) {
		t.Helper()
		p = exampletest.Start(t, t.TempDir(), "-addr", "127.0.0.1:0")
		return p, p.WaitFor(lastLine)[1]
	}

	t.Run("as printed", func(t *testing.T) {
		t.Parallel()
		p, _ := start(t)
		want := []string{"Checking the status.", "There is no command /weather.", "Stopping."}
		var got []string
		for d := json.NewDecoder(strings.NewReader(p.Paste("curl"))); d.More(); {
			var answer struct{ Text string }
			if err := d.Decode(&answer); err != nil {
				t.Fatal(err)
			}
			got = append(got, answer.Text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		if code := p.Wait(); code != 0 || strings.Count(p.Output(), "#general Status: ") != 1 {
			t.Errorf("exit code %d, and one post wanted:\n%s", code, p.Output())
		}
		p.WaitFor(`Stopped after 3 commands\.\n`)
	})

	t.Run("many at once", func(t *testing.T) {
		t.Parallel()
		p, url := start(t)
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				command := fmt.Sprint("/", i)
				if a := send(t, url, nil, command, ""); a.Status != http.StatusOK || !strings.Contains(a.Body, `no command `+command+`.`) {
					t.Errorf("%s: %d %s", command, a.Status, a.Body)
				}
			})
		}
		all.Wait()
		if a := send(t, url, nil, "/status", "stop"); !strings.Contains(a.Body, "Stopping") {
			t.Errorf("stop: %d %s", a.Status, a.Body)
		}
		if p.Wait(); !strings.HasSuffix(p.Output(), "Stopped after 51 commands.\n") {
			t.Errorf("it printed:\n%s", p.Output())
		}
	})

	t.Run("no form", func(t *testing.T) {
		t.Parallel()
		_, url := start(t)
		header := http.Header{"Content-Type": {"application/json"}}
		if a := exampletest.Send(t, http.MethodPost, url, header, `{}`); a.Status != http.StatusBadRequest {
			t.Errorf("JSON: %d, want 400", a.Status)
		}
	})
}

func TestSignedCommand(t *testing.T) {
	t.Setenv("SLACK_SIGNING_SECRET", "8f742231b10e8888abcd99yyyzzz85a5")
	p := exampletest.Start(t, t.TempDir(), "-addr", "127.0.0.1:0")
	url := p.WaitFor(lastLine)[1]
	if a := send(t, url, nil, "/status", "stop"); a.Status != http.StatusUnauthorized {
		t.Errorf("without a signature: %d, want 401", a.Status)
	}
	if a := send(t, url, []byte("8f742231b10e8888abcd99yyyzzz85a5"), "/status", "stop"); a.Status != http.StatusOK {
		t.Errorf("signed: %d %s, want 200", a.Status, a.Body)
	}
	p.WaitFor(`Stopped after 1 commands\.\n`)
}

// send sends a command, signed if there is a key.
func send(t *testing.T, to string, key []byte, command, text string) exampletest.Answer {
	t.Helper()
	body := url.Values{"command": {command}, "text": {text}}.Encode()
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if key != nil {
		at := fmt.Sprint(time.Now().Unix())
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte("v0:" + at + ":" + body))
		header.Set("X-Slack-Request-Timestamp", at)
		header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	}
	return exampletest.Send(t, http.MethodPost, to, header, body)
}

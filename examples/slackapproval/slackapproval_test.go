package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/examples/internal/exampletest"
	"github.com/tenter-dev/tenter/sender"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

const (
	botToken      = "xoxb-of-the-tests"
	signingSecret = "8f742231b10e8888abcd99yyyzzz85a5"
)

func TestSlackApproval(t *testing.T) {
	t.Setenv("SLACK_BOT_TOKEN", botToken)
	t.Setenv("SLACK_SIGNING_SECRET", signingSecret)
	start := func(t *testing.T) (p *exampletest.Process, s *fakeSlack, to string) {
		t.Helper()
		s = newSlack(t)
		p = exampletest.Start(t, t.TempDir(), "-addr", "127.0.0.1:0", "-slack", s.URL)
		return p, s, p.WaitFor(`interactivity is (\S+)\.\n`)[1]
	}

	t.Run("approved", func(t *testing.T) {
		p, s, to := start(t)
		asked := <-s.posted
		buttons := asked.buttons(t)
		if asked.Channel != "C0RELEASES" || asked.Text != "May v1.4.0 be released?" || len(buttons) != 2 {
			t.Fatalf("it asks %+v", asked)
		}
		click := s.click(t, "U0ADA", buttons["Approve"])
		unsigned := http.Header{"Content-Type": click.header["Content-Type"]}
		if a := exampletest.Send(t, http.MethodPost, to, unsigned, click.body); a.Status != http.StatusUnauthorized {
			t.Errorf("not signed: %d, want 401", a.Status)
		}
		for range 2 { // Slack repeats what it has no answer to
			if a := click.send(t, to); a.Status != http.StatusOK || a.Body != "" {
				t.Errorf("the click: %d %q, want 200 and nothing", a.Status, a.Body)
			}
		}
		updated := <-s.updated
		if updated.TS != s.ts || updated.Text != "v1.4.0: approved by <@U0ADA>" || len(updated.buttons(t)) != 0 {
			t.Errorf("the message becomes %+v", updated)
		}
		p.WaitFor(`v1\.4\.0: approved by <@U0ADA>\n`)
		if code := p.Wait(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})

	t.Run("rejected", func(t *testing.T) {
		p, s, to := start(t)
		buttons := (<-s.posted).buttons(t)
		other := buttons["Reject"]
		other.Value = "the token of nobody"
		if a := s.click(t, "U0BOB", other).send(t, to); a.Status != http.StatusNotFound {
			t.Errorf("a click for nobody: %d, want 404", a.Status)
		}
		s.click(t, "U0BOB", buttons["Reject"]).send(t, to)
		if updated := <-s.updated; updated.Text != "v1.4.0: rejected by <@U0BOB>" {
			t.Errorf("the message becomes %+v", updated)
		}
		p.WaitFor(`v1\.4\.0: rejected by <@U0BOB>\n`)
	})
}

// fakeSlack is what the example knows of Slack.
type fakeSlack struct {
	*httptest.Server
	ts      string
	posted  chan message
	updated chan message
}

func newSlack(t *testing.T) *fakeSlack {
	s := &fakeSlack{ts: "1503435956.000247", posted: make(chan message, 10), updated: make(chan message, 10)}
	var failed atomic.Bool
	method := func(to chan message) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var m message
			answer := map[string]any{"ok": true, "ts": s.ts}
			switch err := json.NewDecoder(r.Body).Decode(&m); {
			case r.Header.Get("Authorization") != "Bearer "+botToken:
				answer = map[string]any{"ok": false, "error": "invalid_auth"}
			case err != nil:
				answer = map[string]any{"ok": false, "error": "invalid_json"}
			case failed.CompareAndSwap(false, true): // as Slack does when there is too much traffic
				w.WriteHeader(http.StatusTooManyRequests)
				return
			default:
				to <- m
			}
			json.NewEncoder(w).Encode(answer)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /chat.postMessage", method(s.posted))
	mux.HandleFunc("POST /chat.update", method(s.updated))
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// button is what Slack sends of a button that was clicked.
type button struct {
	ActionID string `json:"action_id"`
	BlockID  string `json:"block_id"`
	Type     string `json:"type"`
	Value    string `json:"value"`
}

// buttons are those of a message, by their labels.
func (m message) buttons(t *testing.T) map[string]button {
	t.Helper()
	all := map[string]button{}
	for _, block := range m.Blocks {
		var b struct {
			BlockID  string `json:"block_id"`
			Elements []struct {
				button
				Text struct{ Text string }
			}
		}
		data, err := json.Marshal(block)
		if err == nil {
			err = json.Unmarshal(data, &b)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range b.Elements {
			e.BlockID = b.BlockID
			all[e.Text.Text] = e.button
		}
	}
	return all
}

// sentClick is a click as Slack sends it.
type sentClick struct {
	body   string
	header http.Header
}

func (s *fakeSlack) click(t *testing.T, user string, b button) sentClick {
	t.Helper()
	payload, err := json.Marshal(map[string]any{
		"type": "block_actions", "trigger_id": "13345224609.738474920.8088930838d88f008e0",
		"user":      map[string]any{"id": user, "team_id": "T0TEST"},
		"container": map[string]any{"type": "message", "message_ts": s.ts, "channel_id": "C0RELEASES"},
		"actions":   []button{b},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &sender.Request{
		Method: http.MethodPost, Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		Body: []byte(url.Values{"payload": {string(payload)}}.Encode()),
	}
	if err := sender.Must(sender.Slack(signingSecret)).Sign(r, time.Now()); err != nil {
		t.Fatal(err)
	}
	return sentClick{string(r.Body), r.Header}
}

func (c sentClick) send(t *testing.T, to string) exampletest.Answer {
	t.Helper()
	return exampletest.Send(t, http.MethodPost, to, c.header, c.body)
}

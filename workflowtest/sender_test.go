package workflowtest_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/sender"
	"github.com/tenter-dev/tenter/workflow"
	"github.com/tenter-dev/tenter/workflowtest"
)

// thinks answers a request after a time.
var thinks = workflow.Define("thinks", func(ctx workflow.Context, d time.Duration) (string, error) {
	hook, err := workflow.NewWebhook(ctx, workflow.From("discord"), workflow.RespondManually())
	if err != nil {
		return "", err
	}
	req, err := hook.Wait(ctx)
	if err != nil {
		return "", err
	}
	if err := workflow.Sleep(ctx, d); err != nil {
		return "", err
	}
	return string(req.Body), req.Respond(ctx, workflow.JSON(http.StatusOK, map[string]int{"type": 4}))
})

// A sender that waits for three seconds gets the run's answer if it is in time, and else its own form
// of "accepted"; and so does each repeat, also when the run has responded.
func TestSenderDoesNotWait(t *testing.T) {
	t.Parallel()
	key := ed25519.NewKeyFromSeed([]byte("a seed of 32 bytes for the tests"))
	opts := with(thinks)
	opts.Senders = map[string]*sender.Sender{"discord": sender.Must(sender.Discord(hex.EncodeToString(key[ed25519.SeedSize:])))}
	for d, want := range map[time.Duration]string{
		2 * time.Second:  `{"type":4}`,
		6 * time.Second:  `{"type":5}`,
		10 * time.Minute: `{"type":5}`,
	} {
		workflowtest.Test(t, opts, func(t *testing.T, eng *workflowtest.Engine) {
			run := workflowtest.Start(eng, thinks, d)
			hook := eng.Hook(run)
			send := func(body string) workflow.Response {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, hook.URL(), strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				at := strconv.FormatInt(time.Now().Unix(), 10)
				req.Header.Set("X-Signature-Timestamp", at)
				req.Header.Set("X-Signature-Ed25519", hex.EncodeToString(ed25519.Sign(key, []byte(at+body))))
				return eng.Send(req)
			}
			if got := send(`{"type":1}`); string(got.Body) != `{"type":1}` {
				t.Errorf("PING: %d %s", got.Status, got.Body)
			}
			began := time.Now()
			got := send(`{"id":"1","type":2}`)
			if took := time.Since(began); got.Status != http.StatusOK || strings.TrimSpace(string(got.Body)) != want || took > 3*time.Second {
				t.Errorf("%v: %d %s after %v, want %s", d, got.Status, got.Body, took, want)
			}
			if got := send(`{"id":"1","type":2,"again":true}`); strings.TrimSpace(string(got.Body)) != want {
				t.Errorf("%v: a repeat: %d %s, want %s", d, got.Status, got.Body, want)
			}
			if got := workflowtest.Result(eng, run); got != `{"id":"1","type":2}` {
				t.Errorf("result is %q", got)
			}
			if got := send(`{"id":"1","type":2,"when":"the run has responded"}`); strings.TrimSpace(string(got.Body)) != want {
				t.Errorf("%v: a repeat when the run has responded: %d %s, want %s", d, got.Status, got.Body, want)
			}
		})
	}
}

func TestFromAndVerify(t *testing.T) {
	t.Parallel()
	odd := workflow.Define("odd", func(ctx workflow.Context, _ string) (string, error) {
		var errs []string
		for _, opts := range [][]workflow.WebhookOption{
			{workflow.From("a"), workflow.Verify("b")},
			{workflow.Verify("b"), workflow.From("a")},
			{workflow.From("")},
		} {
			_, err := workflow.NewWebhook(ctx, opts[0], opts[len(opts)-1])
			if err == nil {
				errs = append(errs, "fine")
				continue
			}
			errs = append(errs, err.Error())
		}
		return strings.Join(errs, "\n"), nil
	})
	workflowtest.Test(t, with(odd), func(t *testing.T, eng *workflowtest.Engine) {
		got := strings.Split(workflowtest.Result(eng, workflowtest.Start(eng, odd, "")), "\n")
		for i, want := range []string{`verify "b": its requests are those from "a"`, `from "a": its requests are those of "b"`, "sender"} {
			if !strings.Contains(got[i], want) {
				t.Errorf("%q, want %q", got[i], want)
			}
		}
	})
}

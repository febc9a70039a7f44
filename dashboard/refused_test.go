package dashboard_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/browsertest"
	"github.com/tenter-dev/tenter/sender"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

const hubSecret = "the secret of the tests"

var hub = workflow.Define("hub", func(ctx workflow.Context, n int) (string, error) {
	w, err := workflow.NewWebhook(ctx, workflow.Token("hub"), workflow.From("github"))
	if err != nil {
		return "", err
	}
	var bodies []string
	for r, err := range w.All(ctx) {
		if err != nil {
			return "", err
		}
		if bodies = append(bodies, string(r.Body)); len(bodies) == n {
			break
		}
	}
	return strings.Join(bodies, ", "), nil
})

// refusing is a world in which a run has a webhook that has refused requests with these bodies.
func refusing(t *testing.T, opts dashboard.Options, bodies ...string) (*world, *workflow.Run[string]) {
	t.Helper()
	w := newWorld(t, opts, func(o *engine.Options) {
		o.Workflows, o.KeepRefused = append(o.Workflows, hub), 100
		o.Senders = map[string]*sender.Sender{"github": sender.Must(sender.GitHub(hubSecret))}
	})
	run := start(w, hub, 2)
	opened(w, run)
	for _, body := range bodies {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.web+server.WebhookPath+"hub", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Hub-Signature-256", "sha256=<b>")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Fatalf("it is answered with %s", res.Status)
		}
	}
	return w, run
}

// Refused requests are listed and shown, and delivered at the press of a button.
func TestRefused(t *testing.T) {
	t.Parallel()
	w, run := refusing(t, dashboard.Options{}, "<one>", "two")
	all, err := w.client.RefusedRequests(t.Context(), inspect.RefusedFilter{})
	if err != nil || len(all) != 2 {
		t.Fatalf("kept are %+v, %v", all, err)
	}
	one := all[1].ID
	v := newVisitor(w)
	for path, wants := range map[string][]string{
		"hooks":   {`<a href="refused">Refused requests</a>`},
		"refused": {`href="refused?id=` + one + `"`, "sender: github: X-Hub-Signature-256: malformed", `href="run?id=` + run.ID() + `"`},
		"refused?id=" + one: {
			"&lt;one&gt;", "***", "Verify and deliver", "Deliver unverified",
		},
	} {
		_, body := v.get(path)
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %q:\n%s", path, want, body)
			}
		}
	}
	send := func(status int, form url.Values) {
		t.Helper()
		if res, body := v.ask(http.MethodPost, "redeliver", form); res.StatusCode != status {
			t.Errorf("%v is answered with %s:\n%s", form, res.Status, body)
		}
	}
	send(http.StatusUnprocessableEntity, url.Values{"id": {one}})
	send(http.StatusNotFound, url.Values{"id": {"none"}})
	for path, status := range map[string]int{"refused?id=none": http.StatusNotFound, "refused?before=x": http.StatusBadRequest} {
		if res, _ := v.get(path); res.StatusCode != status {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	for i := range all {
		send(http.StatusSeeOther, url.Values{"id": {all[1-i].ID}, "unverified": {"true"}})
	}
	if _, body := v.get("refused?notice=redelivered"); !strings.Contains(body, "No refused requests are kept.") || !strings.Contains(body, "The request is delivered") {
		t.Errorf("afterwards:\n%s", body)
	}
	if got, err := run.Result(t.Context()); got != "<one>, two" || err != nil {
		t.Errorf("the run returns %q, %v", got, err)
	}
}

// The pages are accessible, also on a phone.
func TestRefusedPages(t *testing.T) {
	t.Parallel()
	w, _ := refusing(t, dashboard.Options{}, `{"a": 1}`)
	all, err := w.client.RefusedRequests(t.Context(), inspect.RefusedFilter{})
	if err != nil || len(all) != 1 {
		t.Fatalf("kept are %+v, %v", all, err)
	}
	b := browsertest.New(t)
	for name, path := range map[string]string{"refused": "refused", "refused-request": "refused?id=" + all[0].ID} {
		b.Size(1280, 900)
		open(b, w.url+path)
		b.Accessible(name)
		b.Shot(*shots, name)
		b.Size(390, 844)
		b.Accessible(name+", on a phone", "color-contrast", "target-size", "scrollable-region-focusable")
		if wide := browsertest.Get(b, chromedp.Evaluate[int](`document.documentElement.scrollWidth`)); wide > 390 {
			t.Errorf("%s: on a phone it is %d wide", name, wide)
		}
		b.Shot(*shots, name+"-phone")
		b.Clean(name)
	}
	b.Size(1280, 900)
	open(b, w.url+"refused?id="+all[0].ID)
	b.Do(chromedp.Click(chromedp.CSS("form button.danger")), chromedp.WaitVisible(chromedp.CSS(".notice")))
	if all, err := w.client.RefusedRequests(t.Context(), inspect.RefusedFilter{}); err != nil || len(all) != 0 {
		t.Errorf("after the press of the button there are %+v, %v", all, err)
	}
}

// A reader sees them, and can't deliver them.
func TestRefusedReadOnly(t *testing.T) {
	t.Parallel()
	w, _ := refusing(t, dashboard.Options{ReadOnly: true}, "one")
	all, err := w.client.RefusedRequests(t.Context(), inspect.RefusedFilter{})
	if err != nil || len(all) != 1 {
		t.Fatalf("kept are %+v, %v", all, err)
	}
	v := newVisitor(w)
	if _, body := v.get("refused?id=" + all[0].ID); !strings.Contains(body, "malformed") || strings.Contains(body, "Deliver unverified") {
		t.Errorf("the request:\n%s", body)
	}
	if res, _ := v.ask(http.MethodPost, "redeliver", url.Values{"id": {all[0].ID}, "unverified": {"true"}}); res.StatusCode != http.StatusForbidden {
		t.Errorf("redeliver: %s", res.Status)
	}
}

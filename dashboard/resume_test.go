package dashboard_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/browsertest"
	"github.com/tenter-dev/tenter/workflow"
)

// payloads are those that hooks of a run have got.
func payloads(w *world, runID string) []string {
	w.Helper()
	d, err := inspect.Load(w.Context(), w.client, runID)
	if err != nil {
		w.Fatal(err)
	}
	var all []string
	for _, e := range d.Events {
		if e.Kind == "payload_received" {
			all = append(all, string(e.Data))
		}
	}
	return all
}

// same tells whether two texts are the same JSON.
func same(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// An approval needs no page of the user's own.
func TestResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	run := start(w, orders, order{"ada", nil, 1}, workflow.RunID("order-1"))
	opened(w, run)
	b := browsertest.New(t)
	open(b, w.url+"hooks")
	b.Do(chromedp.Click(chromedp.CSS(`[data-rows] .button`)), chromedp.WaitVisible(chromedp.CSS("#form")))

	// What the type says is said at the field, and the form keeps what was filled in.
	b.Do(
		chromedp.Click(chromedp.CSS(`[name="f/approved"][value="true"]`)),
		chromedp.SendKeys(chromedp.CSS(`[name="f/comment"]`), `<b>fine</b> "so be it"`),
		chromedp.SendKeys(chromedp.CSS(`[name="f/amount"]`), "5000"),
		chromedp.Click(chromedp.CSS(`[name="_add"][value="f/reviewers"]`)),
		chromedp.SendKeys(chromedp.CSS(`[name="f/reviewers/0"]`), "grace"),
		chromedp.Click(chromedp.CSS(`[name="_add"][value="f/reviewers"]`)),
		chromedp.SendKeys(chromedp.CSS(`[name="f/reviewers/1"]`), "nobody"),
		chromedp.Click(chromedp.CSS(`[name="_remove"][value="f/reviewers/1"]`)),
		chromedp.WaitNotPresent(chromedp.CSS(`[name="f/reviewers/1"]`)),
		chromedp.SendKeys(chromedp.CSS(`[name="f/terms/days"]`), "30"),
		chromedp.Click(chromedp.CSS(`#form .primary`)),
		chromedp.WaitVisible(chromedp.CSS(`#form [role=alert]`)),
	)
	wrong := browsertest.Get(b, chromedp.Evaluate[string](`document.activeElement.name + ": " + document.getElementById(document.activeElement.getAttribute("aria-describedby").trim()).textContent`))
	if !strings.HasPrefix(wrong, "f/amount: ") || !strings.Contains(wrong, "that takes a director") {
		t.Errorf("what is wrong is said at %q", wrong)
	}
	b.Accessible("a form with an error")
	_ = b.Problems() // the console notes the 422
	if got := payloads(w, run.ID()); len(got) > 0 {
		t.Fatalf("a payload that is refused was sent: %s", got)
	}

	// There and back again.
	b.Do(
		chromedp.SetValue(chromedp.CSS(`[name="f/amount"]`), "1"),
		chromedp.Click(chromedp.CSS(`[name="_switch"]`)),
		chromedp.WaitVisible(chromedp.CSS(`[name="_json"]`)),
	)
	if text := browsertest.Get(b, chromedp.Value(chromedp.CSS(`[name="_json"]`))); !strings.Contains(text, `"days": 30`) {
		t.Errorf("as JSON: %s", text)
	}
	b.Do(
		chromedp.Click(chromedp.CSS(`[name="_switch"]`)),
		chromedp.WaitVisible(chromedp.CSS(`[name="f/amount"]`)),
	)

	// Impatience sends it once.
	b.Do(
		chromedp.Evaluate[chromedp.Void](`for (let i = 0; i < 3; i++) document.querySelector("#form .primary").click()`),
		chromedp.WaitVisible(chromedp.CSS(".notice")),
	)
	want := `{"approved":true,"comment":"<b>fine</b> \"so be it\"","amount":1,"reviewers":["grace"],"terms":{"days":30}}`
	if got := payloads(w, run.ID()); len(got) != 1 || !same(got[0], want) {
		t.Errorf("the run got %s, want %s", got, want)
	}
	if out, err := run.Result(t.Context()); err != nil || !strings.HasPrefix(out, "approved: <b>fine</b>") {
		t.Errorf("the run returned %q, %v", out, err)
	}
	b.Eventually(`document.querySelector("#head .status").textContent === "completed"`)
	b.Clean("resume")
}

// All of it works without JavaScript.
func TestWithoutJavaScript(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	run := start(w, orders, order{"ada", nil, 1}, workflow.RunID("order-1"))
	opened(w, run)
	b := browsertest.New(t)
	b.Scripts(false)
	b.Do(
		chromedp.Navigate(w.url),
		chromedp.Click(chromedp.CSS(`a[href="run?id=order-1"]`)), chromedp.WaitVisible(chromedp.CSS("#timeline")),
		chromedp.Click(chromedp.CSS(`#chart-tools [data-zoom=in]`)), chromedp.WaitVisible(chromedp.CSS(".zoom-2")),
		chromedp.Click(chromedp.CSS(`.waits .primary`)), chromedp.WaitVisible(chromedp.CSS("#form")),
		chromedp.Click(chromedp.CSS(`[name="_add"][value="f/reviewers"]`)),
		chromedp.SendKeys(chromedp.CSS(`[name="f/reviewers/0"]`), "grace"),
		chromedp.Click(chromedp.CSS(`[name="f/approved"][value="false"]`)),
		chromedp.Click(chromedp.CSS(`#form .primary`)), chromedp.WaitVisible(chromedp.CSS(".notice")),
	)
	if out, err := run.Result(t.Context()); err != nil || out != "rejected: " {
		t.Errorf("the run returned %q, %v", out, err)
	}
	sleeper := start(w, nap, 1<<50, workflow.RunID("nap-1"))
	b.Do(
		chromedp.Navigate(w.url+"run?id=nap-1"),
		chromedp.Click(chromedp.CSS(`a[href*="do=terminate"]`)),
		chromedp.SendKeys(chromedp.CSS(`#reason`), "because"),
		chromedp.Click(chromedp.CSS(`button.danger`)), chromedp.WaitVisible(chromedp.CSS(".notice")),
	)
	if _, err := sleeper.Result(t.Context()); err == nil || !strings.Contains(err.Error(), "because") {
		t.Errorf("the run returned %v", err)
	}
	b.Do(
		chromedp.Navigate(w.url+"start?workflow=reminder"),
		chromedp.SendKeys(chromedp.CSS("#form [name=f], #form [name=_json]"), "0"),
		chromedp.SendKeys(chromedp.CSS("#run-id"), "nap-2"),
		chromedp.Click(chromedp.CSS(`#form .primary`)), chromedp.WaitVisible(chromedp.CSS(".notice")),
	)
	if out, err := nap.Get(w.eng, "nap-2").Result(t.Context()); err != nil || out != "rested" {
		t.Errorf("the run returned %q, %v", out, err)
	}
	b.Clean("without JavaScript")
}

// Pages follow what happens, and say so to those who don't see.
func TestLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	b := browsertest.New(t)
	open(b, w.url)
	start(w, untyped, "token-1", workflow.RunID("one"))
	b.Eventually(`document.querySelector('[data-key="one"] .status')?.textContent === "waiting"`)
	b.Eventually(`document.querySelector(".tabs .waiting b").textContent === "1"`)

	open(b, w.url+"run?id=one")
	b.Do(chromedp.Evaluate[chromedp.Void](`document.querySelector(".item details").open = true; document.querySelector(".item summary").focus()`))
	if _, err := workflow.Resume(t.Context(), w.eng, "token-1", "hello"); err != nil {
		t.Fatal(err)
	}
	b.Eventually(`document.querySelector("#head .status").textContent === "completed"`)
	b.Eventually(`document.getElementById("said").textContent === "run is completed"`)
	b.Eventually(`document.querySelector("#events").textContent.includes("payload_received")`)
	if !browsertest.Get(b, chromedp.Evaluate[bool](`document.querySelector(".item details").open && document.activeElement.matches(".item summary")`)) {
		t.Error("what was open and had the focus has lost it")
	}
	b.Clean("live")
}

func TestDialog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	run := start(w, untyped, "token-1", workflow.RunID("one"))
	opened(w, run)
	b := browsertest.New(t)
	open(b, w.url+"run?id=one")
	b.Do(chromedp.Click(chromedp.CSS(`a[href*="do=cancel"]`)), chromedp.WaitVisible(chromedp.CSS("#dialog[open] form")))
	b.Accessible("a dialog")
	b.Do(chromedp.KeyEvent("\x1b"), chromedp.WaitNotVisible(chromedp.CSS("#dialog")))
	b.Do(chromedp.Click(chromedp.CSS("#events .event")), chromedp.WaitVisible(chromedp.CSS("#dialog[open] .doc")))
	b.Do(chromedp.KeyEvent("\x1b"), chromedp.WaitNotVisible(chromedp.CSS("#dialog")))
	b.Do(chromedp.Click(chromedp.CSS(`a[href*="do=cancel"]`)), chromedp.WaitVisible(chromedp.CSS("#dialog[open] form")))
	b.Do(chromedp.Click(chromedp.CSS(`#dialog [data-close]`)), chromedp.WaitNotVisible(chromedp.CSS("#dialog")))
	b.Do(
		chromedp.Click(chromedp.CSS(`a[href*="do=cancel"]`)), chromedp.WaitVisible(chromedp.CSS("#dialog[open] form")),
		chromedp.Click(chromedp.CSS(`#dialog button`)), chromedp.WaitVisible(chromedp.CSS(".notice")),
	)
	b.Eventually(`document.querySelector("#head .status").textContent === "canceled"`)
	b.Clean("dialog")
}

package dashboard_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// A topic is listed with its subjects, how many listen, and when it was last published; a form publishes
// what fits its type, once.
func TestTopics(t *testing.T) {
	t.Parallel()
	topic := workflow.DefineTopic[decision]("verdict")
	wf := workflow.Define("listener", func(ctx workflow.Context, subject string) (string, error) {
		h, err := topic.Listen(ctx, subject)
		if err != nil {
			return "", err
		}
		d, err := h.Wait(ctx)
		return d.Comment, err
	})
	w := newWorld(t, dashboard.Options{}, func(o *engine.Options) {
		o.Workflows, o.Hooks = append(o.Workflows, wf), append(o.Hooks, topic)
	})
	v := newVisitor(w)
	if _, body := v.get("topics"); !strings.Contains(body, "Nobody listens to a topic.") {
		t.Errorf("without listeners:\n%s", body)
	}
	one, two := start(w, wf, "case-1"), start(w, wf, "case-1")
	opened(w, one)
	opened(w, two)
	has := func(path string, texts ...string) {
		t.Helper()
		_, body := v.get(path)
		for _, text := range texts {
			if !strings.Contains(body, text) {
				t.Errorf("%s lacks %q:\n%s", path, text, body)
			}
		}
	}
	has("hooks", `<a href="topics">Topics</a>`, `verdict: case-1`)
	has("topics", `>case-1</th>`, `2<span class="unseen"> hooks of verdict</span>`, "none yet", `href="publish?subject=case-1&amp;topic=verdict"`)
	has("topics?topic=other", `Nobody listens to topic`)
	has("publish?subject=case-1&topic=verdict", `value="case-1"`, "May it be published?")
	form := url.Values{"_key": {"0123456789abcdef"}, "subject": {"case-1"}, "f/approved": {"true"}, "f/comment": {"fine"}, "f/amount": {"5000"}}
	send := func(status int, text string) {
		t.Helper()
		if res, body := v.ask("POST", "publish?topic=verdict", form); res.StatusCode != status || !strings.Contains(body, text) {
			t.Errorf("publishing %v shows %s without %q\n%s", form, res.Status, text, body)
		}
	}
	send(http.StatusUnprocessableEntity, "that takes a director")
	form.Set("f/amount", "1")
	form.Set("subject", "case\x012")
	send(http.StatusUnprocessableEntity, "control characters")
	form.Set("subject", "case 2")
	send(http.StatusOK, "nothing was kept")
	form.Set("subject", "case-1")
	send(http.StatusOK, "2 hooks get it.")
	for _, r := range []*workflow.Run[string]{one, two} {
		if got, err := r.Result(t.Context()); got != "fine" || err != nil {
			t.Errorf("a run got %q, %v", got, err)
		}
	}
	opened(w, start(w, wf, "case-1"))
	send(http.StatusOK, "It was sent before")
	topics, err := w.eng.Topics(t.Context(), inspect.TopicFilter{})
	if err != nil || len(topics) != 1 || !topics[0].PublishedAt.IsZero() {
		t.Errorf("topics are %+v, %v", topics, err)
	}
	if res, _ := v.get("publish"); res.StatusCode != http.StatusBadRequest {
		t.Errorf("publishing to no topic: %s", res.Status)
	}
}

var errBusy = workflow.DefineError("dashboard_test: ask again tomorrow")

// A call is listed as one, and its page asks and shows what the run answers, or why it refuses.
func TestCalls(t *testing.T) {
	t.Parallel()
	quote := workflow.DefineCall[int, map[string]int]("quote")
	wf := workflow.Define("seller", func(ctx workflow.Context, _ string) (string, error) {
		calls, err := quote.Open(ctx, workflow.Token("shop"))
		if err != nil {
			return "", err
		}
		for call, err := range calls.All(ctx) {
			switch {
			case err != nil:
				return "", err
			case call.Input > 9:
				err = call.Refuse(ctx, errBusy)
			default:
				err = call.Return(ctx, map[string]int{"price": 3 * call.Input})
			}
			if err != nil || call.Input == 0 {
				return calls.By().Name, err
			}
		}
		return "", errors.New("nobody has sent 0")
	})
	w := newWorld(t, dashboard.Options{}, func(o *engine.Options) { o.Workflows = append(o.Workflows, wf) })
	run := start(w, wf, "", workflow.RunID("s"))
	h := opened(w, run)
	v := newVisitor(w)
	if _, body := v.get("hooks"); !strings.Contains(body, "quote (call)") || !strings.Contains(body, `Call<span class="unseen"> shop</span>`) {
		t.Errorf("the list of hooks does not have the call:\n%s", body)
	}
	page := "hook?run=s&id=" + h.ID
	if _, body := v.get(page); !strings.Contains(body, "Call it") {
		t.Errorf("the page of the call:\n%s", body)
	}
	for input, want := range map[string][]string{
		"7":  {"<h2 id=\"answer\">Answer</h2>", "price", "21"},
		"12": {"<h2 id=\"answer\">Refused</h2>", "ask again tomorrow"},
	} {
		res, body := v.ask("POST", page, url.Values{"_key": {"0123456789abcdef"}, "_as": {"json"}, "_json": {input}})
		for _, text := range want {
			if res.StatusCode != http.StatusOK || !strings.Contains(body, text) {
				t.Errorf("a call with %s shows %s without %q:\n%s", input, res.Status, text, body)
			}
		}
	}
	v.ask("POST", page, url.Values{"_key": {"0123456789abcdef"}, "_as": {"json"}, "_json": {"0"}})
	ended(w, run)
}

package dashboard_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/browsertest"
	"github.com/tenter-dev/tenter/workflow"
)

// chatty is a bot that restarts after each message, and leaves what came for its side hook unread.
var chatty = workflow.Declare[int, int]("chatty")

func chat(ctx workflow.Context, n int) (int, error) {
	inbox, err := workflow.NewHook[string](ctx, workflow.Token("inbox"))
	if err != nil {
		return 0, err
	}
	side, err := workflow.NewHook[string](ctx, workflow.Token(fmt.Sprint("side ", n)))
	if err != nil {
		return 0, err
	}
	if _, err := inbox.Wait(ctx); err != nil {
		return 0, err
	}
	if err := workflow.Do(ctx, fmt.Sprint("answer ", n), func(context.Context) error { return nil }); err != nil || n == 2 {
		return n, err
	}
	side.Close()
	return chatty.Restart(ctx, n+1)
}

// inChat calls f with a bot that has restarted twice, and waits.
func inChat(t *testing.T, f func(w *world)) {
	t.Helper()
	w := newWorld(t, dashboard.Options{}, func(o *engine.Options) { o.Workflows = append(o.Workflows, chatty.Implement(chat)) })
	run := start(w, chatty, 0, workflow.RunID("bot-1"))
	resume := func(token, text string) {
		w.eventually(func() bool {
			_, err := workflow.Resume(t.Context(), w.eng, token, text)
			return err == nil
		})
	}
	for n := range 2 {
		resume(fmt.Sprint("side ", n), fmt.Sprint("psst ", n))
		resume("inbox", "hello")
		w.eventually(func() bool {
			info, err := run.Info(t.Context())
			return err == nil && info.Generation == n+1
		})
	}
	resume("side 2", "not yet read")
	w.eventually(func() bool {
		info, err := run.Info(t.Context())
		return err == nil && info.Status == workflow.StatusWaiting && info.Events >= info.Base+3
	})
	f(w)
}

// The page of a run that has restarted shows its present generation, and leads to the others.
func TestGenerations(t *testing.T) {
	t.Parallel()
	inChat(t, func(w *world) {
		v := newVisitor(w)
		_, body := v.get("run?id=bot-1")
		for _, want := range []string{"<dt>Generation</dt><dd>2</dd>", "Earlier generations", "run?generation=1&amp;id=bot-1", "run?generation=0&amp;id=bot-1", "not yet read"} {
			if !strings.Contains(body, want) {
				t.Errorf("%q is not on the page", want)
			}
		}
		if strings.Contains(body, "psst") {
			t.Error("the page has what an earlier generation left unread")
		}
		_, body = v.get("run?generation=1&id=bot-1")
		for _, want := range []string{"answer 1", "This generation is over", `1 <span class="muted">of 2</span>`, "Never taken", "psst 1"} {
			if !strings.Contains(body, want) {
				t.Errorf("%q is not on the page of generation 1", want)
			}
		}
		for _, other := range []string{"answer 0", "psst 0", "not yet read"} {
			if strings.Contains(body, other) {
				t.Errorf("the page of generation 1 has %q of another one", other)
			}
		}
		if _, body = v.get("journal?id=bot-1&after=5&until=7"); !strings.Contains(body, "position=7") || strings.Contains(body, "position=8") || strings.Contains(body, `rel="next"`) {
			t.Errorf("the journal of the first generation goes on:\n%s", body)
		}
		for _, path := range []string{"journal?id=bot-1&until=x", "run?generation=3&id=bot-1", "payload?run=bot-1&generation=x&mail=1"} {
			if res, _ := v.get(path); res.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: %s", path, res.Status)
			}
		}
	})
}

// From the present generation one gets to those that are over, and back.
func TestGenerationsInABrowser(t *testing.T) {
	t.Parallel()
	inChat(t, func(w *world) {
		b := browsertest.New(t)
		open(b, w.url+"run?id=bot-1")
		b.Eventually(`document.querySelectorAll("#generations ~ table tbody tr, section[aria-labelledby=generations] tbody tr").length === 2`)
		b.Accessible("the present generation")
		b.Do(chromedp.Click("section[aria-labelledby=generations] tbody tr:last-child a"))
		b.Eventually(`document.body.innerText.includes("This generation is over") && document.body.innerText.includes("psst 0")`)
		b.Accessible("a generation that is over")
		if _, err := workflow.Resume(t.Context(), w.eng, "inbox", "the last one"); err != nil {
			t.Fatal(err)
		}
		b.Eventually(`document.querySelector(".head").innerText.includes("completed")`)
		b.Eventually(`[...document.querySelectorAll("#events .pos")].at(-1).textContent === "7"`) // it has followed the run, and not its journal
		for _, other := range []string{"psst 1", "Output", "ended with the run"} {
			if browsertest.Get(b, chromedp.Evaluate[bool](`document.body.innerText.includes("`+other+`")`)) {
				t.Errorf("the page of the first generation has %q", other)
			}
		}
		b.Do(chromedp.Click(".notice a"))
		b.Eventually(`document.body.innerText.includes("the last one") && !document.body.innerText.includes("This generation is over")`)
		b.Clean("generations")
	})
}

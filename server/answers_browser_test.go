package server_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/browsertest"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

var shots = flag.String("shots", "", "write what browsers see of answer pages to this `directory`")

type travelDecision struct {
	Approved bool     `json:"approved" title:"Approve this trip?"`
	Reason   string   `json:"reason,omitempty" jsonschema:"Grace reads it." contentMediaType:"text/plain"`
	Limit    *float64 `json:"limit,omitempty" title:"Spending limit, in euros" minimum:"0"`
	Class    string   `json:"class,omitempty" enum:"first,second"`
	Until    string   `json:"until,omitempty" format:"date" title:"Valid until"`

	Ticket *workflow.File `json:"ticket,omitempty" contentMediaType:"application/pdf,image/*"`
}

var travelDecisions = workflow.DefineHook[travelDecision]("travel decision")

// An office serves answer pages.
type office struct {
	*lab
	travel *workflow.Workflow[[]string, travelDecision]
}

// newOffice has a workflow that sends a link to each of some people, and takes the first decision.
func newOffice(t *testing.T, opts server.AnswerOptions, more ...workflow.LinkOption) *office {
	t.Helper()
	o := &office{lab: newLab(t)}
	opts.Logger = o.logger()
	o.handle(server.AnswerPath, func(e *engine.Engine) http.Handler { return server.Answers(e, opts) })
	o.travel = workflow.Define("travel", func(ctx workflow.Context, people []string) (travelDecision, error) {
		hook, err := travelDecisions.New(ctx, workflow.Metadata(map[string]any{
			"traveler": "Grace Hopper", "from": "Lyon", "to": "Paris", "cost": 342.5, "nights": 2,
			"stops": []string{"Dijon", "Sens"}, "request": "https://intranet.example/trips/7?from=Lyon", "note": "<b>urgent</b>\nSee the agenda.",
		}))
		if err != nil {
			return travelDecision{}, err
		}
		for _, who := range people {
			link, err := workflow.AnswerLink(ctx, hook, slices.Concat([]workflow.LinkOption{
				workflow.Addressee(who), workflow.PageTitle("Grace’s trip to Paris"),
				workflow.PageText("Grace Hopper would like to go to the COBOL conference in Paris.\n\nThe train has to be booked by Friday."),
				workflow.CommentWith("reason", false),
			}, more)...)
			if err != nil {
				return travelDecision{}, err
			}
			if err := workflow.Do(ctx, "send", func(context.Context) error { o.urls <- link.URL(); return nil }); err != nil {
				return travelDecision{}, err
			}
		}
		return hook.Wait(ctx)
	})
	o.run(engine.Options{
		Hooks: []workflow.HookDefinition{travelDecisions}, AnswerKeys: []engine.AnswerKey{{ID: "k", Key: bytes.Repeat([]byte("k"), 32)}},
	}, o.travel)
	return o
}

// invite sends links to people.
func (o *office) invite(people ...string) (run *workflow.Run[travelDecision], links []string) {
	o.Helper()
	run, err := o.travel.Start(o.Context(), o.eng, people)
	if err != nil {
		o.Fatal(err)
	}
	for range people {
		links = append(links, receive(o.lab, o.urls))
	}
	return run, links
}

type css = chromedp.CSS

// heading is the title that people see.
func heading(b *browsertest.Tab) string {
	b.Helper()
	return browsertest.Get(b, chromedp.Text(css("h1")))
}

// clean fails if something has gone wrong in the tab, other than that a page has a status that says so.
func clean(b *browsertest.Tab, what string) {
	b.Helper()
	for _, p := range b.Problems() {
		if !strings.HasPrefix(p, "network: Failed to load resource: the server responded with a status of 4") {
			b.Errorf("%s: %s", what, p)
		}
	}
}

// fits fails if a page is wider than the window, or has something to press that is too small.
func fits(b *browsertest.Tab, what string, width int64) {
	b.Helper()
	if wide := browsertest.Get(b, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`)); wide > width {
		b.Errorf("%s: it is %d wide, and the window %d", what, wide, width)
	}
	small := browsertest.Get(b, chromedp.Evaluate[string](`[...document.querySelectorAll("button, input:not([type=hidden], [type=radio]), select, textarea, .choices label")]
		.filter(e => !e.classList.contains("unseen") && e.getBoundingClientRect().height < 44).map(e => e.outerHTML).join("\n")`))
	if small != "" {
		b.Errorf("%s: too small for a finger:\n%s", what, small)
	}
}

// A person decides, on all that has a browser.
func TestAnswerInABrowser(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		width, height int64
		theme         string
		script        bool
	}{
		"desktop": {1280, 900, "light", true},
		"dark":    {1280, 900, "dark", true},
		"phone":   {390, 844, "light", true},
		"plain":   {1280, 900, "light", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, server.AnswerOptions{})
			run, links := o.invite("ada@example.com")
			b := browsertest.New(t)
			b.Size(tt.width, tt.height)
			b.Prefer(tt.theme)
			b.Scripts(tt.script)
			look := func(what string) {
				b.Helper()
				if b.Shot(*shots, "answer-"+name+"-"+what); tt.script {
					b.Accessible(what)
					fits(b, what, tt.width)
				}
			}
			press := func(choice string) chromedp.Action[chromedp.Void] {
				return chromedp.Click(css(`button[name="f/approved"][value="` + choice + `"]`))
			}
			b.Do(chromedp.Navigate(links[0]), chromedp.WaitVisible(css("form")))
			look("new")
			ticket := filepath.Join(t.TempDir(), "Lyon–Paris.pdf")
			if err := os.WriteFile(ticket, []byte("%PDF-1.7"), 0o600); err != nil {
				t.Fatal(err)
			}
			b.Do(chromedp.SetUploadFiles(css(`[type="file"]`), []string{ticket}))
			b.Do(chromedp.SetValue(css(`[name="f/limit"]`), "-1"), press("false"), chromedp.WaitVisible(css("[role=alert] li:nth-child(1)")))
			look("wrong")
			if text := browsertest.Get(b, chromedp.Text(css(".chosen"))); !strings.HasPrefix(text, "Lyon–Paris.pdf\n8 bytes") {
				t.Errorf("the file that was chosen is shown as %q", text)
			}
			if text := browsertest.Get(b, chromedp.Text(css("[role=alert]"))); !strings.Contains(text, "Spending limit, in euros: It has to be at least 0.") {
				t.Errorf("the page says %q", text)
			}
			b.Do(chromedp.SetValue(css(`[name="f/limit"]`), "300"), press("false"), chromedp.WaitVisible(css("textarea[aria-invalid]")))
			look("no reason")
			if text := browsertest.Get(b, chromedp.Text(css("[role=alert]"))); !strings.Contains(text, "Reason: Say why.") {
				t.Errorf("the page says %q", text)
			}
			if tt.script {
				if at := browsertest.Get(b, chromedp.Evaluate[string](`document.activeElement.name`)); at != "f/reason" {
					t.Errorf("the focus is at %q", at)
				}
			}
			b.Do(chromedp.SendKeys(css(`[name="f/reason"]`), "Too dear.\nTake the night train."), press("false"), chromedp.WaitNotPresent(css("form")))
			if got := heading(b); got != "Thank you" {
				t.Errorf("the page says %q", got)
			}
			look("thanks")
			b.Do(chromedp.Navigate(links[0]), chromedp.WaitVisible(css("h1")))
			if got := heading(b); got != "Already answered" {
				t.Errorf("the page says %q", got)
			}
			look("answered")
			if text := browsertest.Get(b, chromedp.Text(css("main"))); !strings.Contains(text, "Approve this trip?\nNo\n") || !strings.Contains(text, "Lyon–Paris.pdf (8 bytes)") {
				t.Errorf("the page says\n%s", text)
			}
			clean(b, name)
			limit := 300.0
			want := travelDecision{
				Reason: "Too dear.\nTake the night train.", Limit: &limit,
				Ticket: &workflow.File{Name: "Lyon–Paris.pdf", ContentType: "application/pdf", Data: []byte("%PDF-1.7")},
			}
			if diff := cmp.Diff(want, result(o.lab, run)); diff != "" {
				t.Errorf("the decision (-want +got):\n%s", diff)
			}
		})
	}
}

// All of it works with keys, in the order of the page.
func TestAnswerByKeyboard(t *testing.T) {
	t.Parallel()
	o := newOffice(t, server.AnswerOptions{})
	run, links := o.invite("ada@example.com")
	b := browsertest.New(t)
	b.Do(chromedp.Navigate(links[0]), chromedp.WaitVisible(css("form")))
	at := func() string {
		b.Helper()
		return browsertest.Get(b, chromedp.Evaluate[string](`(e => (e.name || e.href || e.nodeName) + (e.type === "submit" ? "=" + e.value : ""))(document.activeElement)`))
	}
	var order []string
	for range 7 {
		b.Do(chromedp.KeyEvent("\t"))
		if order = append(order, at()); len(order) == 2 {
			b.Do(chromedp.KeyEvent("Fine by me."))
		}
		if outline := browsertest.Get(b, chromedp.Evaluate[string](`getComputedStyle(document.activeElement).outlineStyle`)); outline != "solid" {
			t.Errorf("the focus at %s is not visible: outline %s", at(), outline)
		}
	}
	want := []string{"https://intranet.example/trips/7?from=Lyon", "f/reason", "f/limit", "f/class", "f/until", "f/until", "f/until"}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("the focus goes (-want +got):\n%s", diff)
	}
	// Enter in a field chooses nothing.
	b.Do(chromedp.SendKeys(css(`[name="f/limit"]`), "500\r"), chromedp.WaitVisible(css("[role=alert]")))
	if text := browsertest.Get(b, chromedp.Text(css("[role=alert]"))); !strings.Contains(text, "Nothing was sent yet.") {
		t.Errorf("the page says %q", text)
	}
	b.Shot(*shots, "answer-keys-enter")
	for range 20 {
		if b.Do(chromedp.KeyEvent("\t")); at() == "f/approved=true" {
			break
		}
	}
	b.Do(chromedp.KeyEvent("\r"), chromedp.WaitNotPresent(css("form")))
	if got := heading(b); got != "Thank you" {
		t.Errorf("the page says %q", got)
	}
	clean(b, "keys")
	limit := 500.0
	if diff := cmp.Diff(travelDecision{Approved: true, Reason: "Fine by me.", Limit: &limit}, result(o.lab, run)); diff != "" {
		t.Errorf("the decision (-want +got):\n%s", diff)
	}
}

// A button in a mail leads to a page with that choice alone.
func TestConfirmInABrowser(t *testing.T) {
	t.Parallel()
	o := newOffice(t, server.AnswerOptions{})
	run, links := o.invite("ada@example.com")
	b := browsertest.New(t)
	b.Size(390, 844)
	b.Do(chromedp.Navigate(links[0]+"?choice=false"), chromedp.WaitVisible(css("form")))
	b.Shot(*shots, "answer-confirm")
	b.Accessible("confirmation")
	fits(b, "confirmation", 390)
	b.Do(chromedp.Click(css(`form ~ p a`)), chromedp.WaitVisible(css(`button[value="true"]`)), chromedp.Click(css(`button[value="true"]`)), chromedp.WaitNotPresent(css("form")))
	clean(b, "confirmation")
	if got := result(o.lab, run); !got.Approved {
		t.Errorf("the decision is %+v", got)
	}
}

// What people see of links that can't be answered.
func TestLinksThatAreOverInABrowser(t *testing.T) {
	t.Parallel()
	o := newOffice(t, server.AnswerOptions{})
	run, links := o.invite("ada@example.com", "bob@example.com", "eve@example.com")
	all, err := o.eng.Links(t.Context(), inspectLinks(run.ID()))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.eng.RevokeLink(t.Context(), all[1].ID); err != nil {
		t.Fatal(err)
	}
	approve(o.lab, links[0])
	result(o.lab, run)
	short := newOffice(t, server.AnswerOptions{}, workflow.ExpiresIn(time.Microsecond))
	_, expired := short.invite("ada@example.com")
	once := newOffice(t, server.AnswerOptions{}, workflow.Once())
	_, decided := once.invite("ada@example.com", "bob@example.com")
	approve(once.lab, decided[0])
	guarded := newOffice(t, server.AnswerOptions{
		RequireIdentity: true, Authenticate: func(http.ResponseWriter, *http.Request) (string, bool) { return "mallory@example.com", true },
	})
	_, others := guarded.invite("ada@example.com")

	b := browsertest.New(t)
	for _, tt := range []struct{ name, link, heading string }{
		{"answered", links[0], "Already answered"},
		{"revoked", links[1], "This link was taken back"},
		{"closed", links[2], "This is closed"},
		{"unknown", links[0][:len(links[0])-3], "There is no such link"},
		{"expired", expired[0], "This link has expired"},
		{"decided", decided[1], "Already decided"},
		{"forbidden", others[0], "This link is for somebody else"},
	} {
		b.Size(1280, 600)
		b.Prefer("light")
		b.Do(chromedp.Navigate(tt.link), chromedp.WaitVisible(css("h1")))
		if got := heading(b); got != tt.heading {
			t.Errorf("%s: the page says %q, want %q", tt.name, got, tt.heading)
		}
		b.Accessible(tt.name)
		b.Prefer("dark")
		b.Size(390, 600)
		b.Accessible(tt.name+", dark", "color-contrast")
		b.Shot(*shots, "answer-over-"+tt.name)
		fits(b, tt.name, 390)
		if tt.name != "answered" && strings.Contains(browsertest.Get(b, chromedp.Text(css("main"))), "Grace") {
			t.Errorf("%s: the page says what it was about", tt.name)
		}
		clean(b, tt.name)
	}
}

// approve sends the form of a page.
func approve(l *lab, link string) {
	l.Helper()
	form := l.ask("GET", link, nil).form()
	form.Set("f/approved", "true")
	l.ask("POST", link, form).wants(l, 200, "Thank you")
}

// Browsers that follow each link, and programs that look at all of them, answer nothing.
func TestFollowersAnswerNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t, server.AnswerOptions{})
	run, links := o.invite("ada@example.com")
	b := browsertest.New(t)
	todo := []string{links[0], links[0] + "?choice=true", links[0] + "?choice=false"}
	seen := map[string]bool{}
	for len(todo) > 0 {
		at := todo[0]
		todo = todo[1:]
		if seen[at] || !strings.HasPrefix(at, o.srv.URL) { // what is elsewhere can't answer
			continue
		}
		seen[at] = true
		b.Do(chromedp.Navigate(at), chromedp.WaitVisible(css("form")))
		todo = append(todo, browsertest.Get(b, chromedp.Evaluate[[]string](`[...document.querySelectorAll("[href], [src], [action], [formaction]")]
			.map(e => e.href || e.src || e.action || e.formAction)`))...)
		if active := browsertest.Get(b, chromedp.Evaluate[string](`[...document.querySelectorAll("script, iframe, object, [onload], [onerror], meta[http-equiv]")].map(e => e.outerHTML).join("\n")`)); active != "" {
			t.Errorf("the page has something that acts by itself:\n%s", active)
		}
	}
	if len(seen) < 4 {
		t.Errorf("the browser has seen %v alone", seen)
	}
	clean(b, "following")
	for _, query := range []string{"", "?choice=true", "?choice=false"} {
		for range 20 {
			for _, method := range []string{"GET", "HEAD"} {
				if p := o.ask(method, links[0]+query, nil); p.status != 200 {
					t.Errorf("%s %s: %d", method, query, p.status)
				}
			}
		}
	}
	form := o.ask("GET", links[0], nil).form()
	for _, sent := range []url.Values{{"f/approved": {"true"}}, {"f/approved": {"true"}, "_key": form["_key"]}, {"f/approved": {"true"}, "_token": {"k.0.AAAA"}}} {
		o.ask("POST", links[0], sent).wants(o.lab, 422)
	}
	all, err := o.eng.Links(t.Context(), inspectLinks(run.ID()))
	if err != nil || fmt.Sprint(all[0].State) != "open" {
		t.Fatalf("the link is %+v (%v)", all, err)
	}
	person := browsertest.New(t)
	person.Do(chromedp.Navigate(links[0]), chromedp.WaitVisible(css("form")), chromedp.Click(css(`button[value="true"]`)), chromedp.WaitNotPresent(css("form")))
	if got := heading(person); got != "Thank you" {
		t.Errorf("the page says %q", got)
	}
	if got := result(o.lab, run); !got.Approved {
		t.Errorf("the decision is %+v", got)
	}
}

// A link does not go out with the requests that its page makes, which logs often have.
func TestLinkIsInNoReferer(t *testing.T) {
	t.Parallel()
	o := newOffice(t, server.AnswerOptions{})
	_, links := o.invite("ada@example.com")
	var posted, shown atomic.Int32
	answers := server.Answers(o.eng, server.AnswerOptions{Logger: o.logger()})
	o.mux.HandleFunc("/seen"+server.AnswerPath, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posted.Add(1)
		}
		if strings.Contains(r.Header.Get("Referer"), server.AnswerPath) {
			shown.Add(1)
		}
		answers.ServeHTTP(w, r)
	})
	b := browsertest.New(t)
	b.Do(chromedp.Navigate(strings.Replace(links[0], server.AnswerPath, "/seen"+server.AnswerPath, 1)), chromedp.WaitVisible(css("form")),
		chromedp.Click(css(`button[value="true"]`)), chromedp.WaitNotPresent(css("form")))
	if got := heading(b); got != "Thank you" || posted.Load() != 1 || shown.Load() != 0 {
		t.Errorf("the page says %q after %d forms; the link was in the Referer of %d requests", got, posted.Load(), shown.Load())
	}
}

package dashboard_test

import (
	"bytes"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/browsertest"
	"github.com/tenter-dev/tenter/workflow"
)

// signing sends links to people, and waits for one answer.
var signing = workflow.Define("signing", func(ctx workflow.Context, people []string) (bool, error) {
	hook, err := approvals.New(ctx)
	if err != nil {
		return false, err
	}
	for _, who := range people {
		if _, err := workflow.AnswerLink(ctx, hook, workflow.Addressee(who), workflow.PageTitle("Sign <here>")); err != nil {
			return false, err
		}
	}
	d, err := hook.Wait(ctx)
	return d.Approved, err
})

// withLinks has an engine make links.
func withLinks(o *engine.Options) {
	o.Workflows = append(o.Workflows, signing)
	o.AnswerKeys = []engine.AnswerKey{{ID: "k", Key: bytes.Repeat([]byte("k"), 32)}}
}

// links waits until a run has made some, and lists them.
func links(w *world, runID string, n int) (all []inspect.Link) {
	w.Helper()
	w.eventually(func() bool {
		var err error
		if all, err = w.client.Links(w.Context(), inspect.LinkFilter{RunID: runID}); err != nil {
			w.Fatal(err)
		}
		return len(all) == n
	})
	return all
}

// Links are listed with the run and its hook, and can be taken back.
func TestLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{}, withLinks)
	run := start(w, signing, []string{"ada@example.com", "<bob>"}, workflow.RunID("one"))
	all := links(w, run.ID(), 2)
	b := browsertest.New(t)
	open(b, w.url+"run?id=one")
	b.Accessible("a run with links")
	b.Shot(*shots, "links")
	b.Size(390, 844)
	b.Accessible("a run with links, on a phone", "color-contrast", "target-size", "scrollable-region-focusable")
	if wide := browsertest.Get(b, chromedp.Evaluate[int](`document.documentElement.scrollWidth`)); wide > 390 {
		t.Errorf("on a phone it is %d wide", wide)
	}
	b.Shot(*shots, "links-phone")
	b.Size(1280, 900)
	list := func() string {
		b.Helper()
		return browsertest.Get(b, chromedp.Evaluate[string](`[...document.querySelectorAll("#links tbody tr")].map(r => [...r.cells].slice(0, 2).map(c => c.innerText.trim()).join(": ")).join("; ")`))
	}
	if got, want := list(), "ada@example.com Sign <here>: open; <bob> Sign <here>: open"; got != want {
		t.Errorf("the links are %q, want %q", got, want)
	}
	b.Do(chromedp.Click(chromedp.CSS(`#links tr:nth-child(1) .button`)), chromedp.WaitVisible(chromedp.CSS("#dialog button.danger")))
	b.Accessible("to revoke a link")
	b.Shot(*shots, "links-revoke")
	b.Do(chromedp.Click(chromedp.CSS("#dialog button.danger")), chromedp.WaitVisible(chromedp.CSS(".notice")))
	if got := list(); !strings.Contains(got, "ada@example.com Sign <here>: revoked ") {
		t.Errorf("the links are %q", got)
	}
	if got := links(w, run.ID(), 2); got[0].State != inspect.LinkRevoked || got[1].State != inspect.LinkOpen {
		t.Errorf("the links are %+v", got)
	}
	b.Clean("links")

	v := newVisitor(w)
	if _, body := v.get("hook?run=one&id=" + all[0].HookID); strings.Count(body, "do=revoke") != 1 || !strings.Contains(body, "&lt;bob&gt;") {
		t.Errorf("the page of the hook:\n%s", body)
	}
	for query, want := range map[string]int{"link=" + all[0].ID: http.StatusConflict, "link=none": http.StatusNotFound, "link=" + all[1].ID: http.StatusOK} {
		if res, _ := v.get("act?id=one&do=revoke&" + query); res.StatusCode != want {
			t.Errorf("act?%s: %s, want %d", query, res.Status, want)
		}
	}
	if res, _ := v.ask(http.MethodPost, "act", url.Values{"id": {"one"}, "link": {"none"}, "do": {"revoke"}}); res.StatusCode != http.StatusNotFound {
		t.Errorf("a link that is not there: %s", res.Status)
	}
}

// What waits for one person is listed over all runs, in pages, and can be taken back.
func TestLinksOfAnAddressee(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{}, withLinks)
	start(w, signing, []string{"ada@example.com", "<bob>"}, workflow.RunID("one"))
	ofOne := links(w, "one", 2)
	start(w, signing, []string{"ada@example.com"}, workflow.RunID("two"))
	links(w, "two", 1)
	v := newVisitor(w)
	for path, want := range map[string]string{
		"hooks":                     `<a href="links">Answer links</a>`,
		"run?id=one":                `<a href="links?addressee=ada%40example.com"><bdi>ada@example.com</bdi></a>`,
		"links":                     "Whose links?",
		"links?addressee=carol":     `Nothing waits for <bdi class="any">carol</bdi>.`,
		"links?addressee=%3Cbob%3E": `value="&lt;bob&gt;"`,
	} {
		if res, body := v.get(path); res.StatusCode != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %s, without %q:\n%s", path, res.Status, want, body)
		}
	}

	b := browsertest.New(t)
	open(b, w.url+"links")
	b.Accessible("links of nobody")
	b.Do(chromedp.SendKeys(chromedp.CSS(`.filter input`), "ada@example.com"), chromedp.Click(chromedp.CSS(".filter button")), chromedp.WaitVisible(chromedp.CSS("#list table")))
	b.Accessible("links of an addressee")
	b.Shot(*shots, "links-addressee")
	b.Size(390, 844)
	b.Accessible("links of an addressee, on a phone", "color-contrast", "target-size", "scrollable-region-focusable")
	if wide := browsertest.Get(b, chromedp.Evaluate[int](`document.documentElement.scrollWidth`)); wide > 390 {
		t.Errorf("on a phone it is %d wide", wide)
	}
	b.Shot(*shots, "links-addressee-phone")
	b.Size(1280, 900)
	list := func() string {
		b.Helper()
		return browsertest.Get(b, chromedp.Evaluate[string](`[...document.querySelectorAll("#list tbody tr")].map(r => [...r.cells].slice(0, 3).map(c => c.innerText.trim()).join(": ")).join("; ")`))
	}
	if got, want := list(), "Sign <here>: approval: one; Sign <here>: approval: two"; got != want {
		t.Errorf("the links are %q, want %q", got, want)
	}
	b.Do(chromedp.Click(chromedp.CSS(`#list tr:nth-child(1) .button`)), chromedp.WaitVisible(chromedp.CSS("#dialog button.danger")))
	b.Do(chromedp.Click(chromedp.CSS("#dialog button.danger")), chromedp.WaitVisible(chromedp.CSS(".notice")))
	open(b, w.url+"links?addressee=ada%40example.com")
	if got, want := list(), "Sign <here>: approval: two"; got != want {
		t.Errorf("after one is revoked, the links are %q, want %q", got, want)
	}
	b.Clean("links of an addressee")
	if l, err := w.client.Link(t.Context(), ofOne[0].ID); err != nil || l.State != inspect.LinkRevoked {
		t.Errorf("the link is %+v, %v", l, err)
	}

	const many, page = 53, 50
	start(w, signing, slices.Repeat([]string{"many"}, many), workflow.RunID("many"))
	links(w, "many", many)
	next := regexp.MustCompile(`<a href="([^"]*)" rel="next">`)
	_, body := v.get("links?addressee=many")
	more := next.FindStringSubmatch(body)
	if n := strings.Count(body, "do=revoke"); n != page || more == nil {
		t.Fatalf("the first page has %d links, and leads on to %q:\n%s", n, more, body)
	}
	_, body = v.get(html.UnescapeString(more[1]))
	if n := strings.Count(body, "do=revoke"); n != many-page || next.MatchString(body) || !strings.Contains(body, `<a href="links?addressee=many">First</a>`) {
		t.Errorf("the last page has %d links:\n%s", n, body)
	}
}

// A reader sees links, and can't take them back.
func TestLinksReadOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{ReadOnly: true}, withLinks)
	run := start(w, signing, []string{"ada@example.com"}, workflow.RunID("one"))
	all := links(w, run.ID(), 1)
	v := newVisitor(w)
	if _, body := v.get("run?id=one"); !strings.Contains(body, "ada@example.com") || strings.Contains(body, "do=revoke") {
		t.Errorf("the run:\n%s", body)
	}
	if _, body := v.get("links?addressee=ada%40example.com"); !strings.Contains(body, "Sign &lt;here&gt;") || strings.Contains(body, "do=revoke") {
		t.Errorf("the links:\n%s", body)
	}
	if res, _ := v.ask(http.MethodPost, "act", url.Values{"id": {"one"}, "link": {all[0].ID}, "do": {"revoke"}}); res.StatusCode != http.StatusForbidden {
		t.Errorf("revoke: %s", res.Status)
	}
	if got := links(w, run.ID(), 1); got[0].State != inspect.LinkOpen {
		t.Errorf("the link is %s", got[0].State)
	}
}

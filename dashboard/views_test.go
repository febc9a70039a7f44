package dashboard_test

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/browsertest"
	"github.com/tenter-dev/tenter/workflow"
)

// views are all pages, with everything on them.
func views(w *world) map[string]string {
	failed := start(w, crash, "thing")
	ended(w, failed)
	web := start(w, callback, "delivery-42")
	opened(w, web)
	post(w, "delivery-42", "Authorization", "Bearer secret-of-the-sender")
	waiting := start(w, orders, order{"ada", []string{"loom"}, 129.5}, workflow.RunID("order-42"))
	opened(w, waiting)
	opened(w, start(w, untyped, "slack:general"))
	start(w, lost, "?", workflow.RunID("lost-1"))
	long := start(w, quick, 250, workflow.RunID("long"))
	ended(w, long)
	unread := start(w, untyped, "unread")
	opened(w, unread)
	for range 2 {
		if _, err := workflow.Resume(w.Context(), w.eng, "unread", map[string]any{"a": strings.Repeat("x", 10_000)}); err != nil {
			break // it has taken the first one, and ended
		}
	}
	ended(w, unread)
	many := start(w, crowd, 60, workflow.RunID("crowd"))
	opened(w, many)
	return map[string]string{
		"crowd":     "run?id=crowd",
		"its hooks": "hooks?run=crowd",
		"runs":      "",
		"filtered":  "?status=completed&workflow=resize&within=24h",
		"none":      "?prefix=nothing",
		"waiting":   "run?id=order-42",
		"failed":    "run?id=" + failed.ID(),
		"blocked":   "run?id=lost-1",
		"long":      "run?id=long&zoom=4&scale=time",
		"unread":    "run?id=" + unread.ID(),
		"webhook":   "run?id=" + web.ID(),
		"journal":   "journal?id=long&after=200",
		"event":     "event?id=order-42&position=1",
		"request":   "event?id=" + web.ID() + "&position=2",
		"error":     "event?id=" + failed.ID() + "&position=3",
		"payload":   "payload?run=order-42&event=1",
		"hooks":     "hooks",
		"hook":      "hook?run=order-42&id=order-42.h1",
		"workflows": "workflows",
		"links":     "links?addressee=nobody",
		"topics":    "topics",
		"publish":   "publish?topic=news&subject=all",
		"start":     "start?workflow=order",
		"again":     "start?workflow=order&like=order-42",
		"terminate": "act?id=order-42&do=terminate",
		"help":      "help",
	}
}

func TestViews(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{Title: "staging"})
	b := browsertest.New(t)
	for name, path := range views(w) {
		b.Size(1280, 900)
		b.Prefer("light")
		open(b, w.url+path)
		b.Do(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("details").forEach(d => d.open = true)`))
		b.Accessible(name)
		b.Prefer("dark")
		b.Size(390, 844)
		b.Accessible(name+", dark, phone", "color-contrast", "target-size", "scrollable-region-focusable")
		if wide := browsertest.Get(b, chromedp.Evaluate[int](`document.documentElement.scrollWidth`)); wide > 390 {
			b.Errorf("%s: on a phone it is %d wide", name, wide)
		}
		b.Clean(name)
	}
}

// open goes to a page and waits until it follows what happens, if it does.
func open(b *browsertest.Tab, u string) {
	b.Helper()
	b.Do(chromedp.Navigate(u))
	b.Eventually(`!document.body.dataset.live || !document.getElementById("pulse").hidden`)
}

// opened waits until a run has a hook.
func opened[Out any](w *world, run *workflow.Run[Out]) workflow.HookInfo {
	w.Helper()
	for {
		hooks, err := w.eng.Hooks(w.Context(), inspect.HookFilter{RunID: run.ID()})
		if err != nil {
			w.Fatal(err)
		}
		if len(hooks) > 0 {
			return hooks[0]
		}
		select {
		case <-time.After(time.Millisecond):
		case <-w.Context().Done():
			w.Fatal("no hook")
		}
	}
}

func TestPhoneFocusAndKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	ended(w, start(w, quick, 1, workflow.RunID("b")))
	ended(w, start(w, quick, 1, workflow.RunID("a")))
	b := browsertest.New(t)
	open(b, w.url)
	active := func() string {
		b.Helper()
		return browsertest.Get(b, chromedp.Evaluate[string](`(() => { const e = document.activeElement; return (e.textContent.trim() || e.name || e.ariaLabel || e.nodeName).split("\n")[0]; })()`))
	}
	var order []string
	for range 8 {
		b.Do(chromedp.KeyEvent("\t"))
		order = append(order, active())
	}
	want := "Skip to the content, Tenter, Runs, Hooks, Workflows, q, theme, Keys and help"
	if got := strings.Join(order, ", "); got != want {
		t.Errorf("the focus goes\n%s, want\n%s", got, want)
	}
	if outline := browsertest.Get(b, chromedp.Evaluate[string](`getComputedStyle(document.activeElement).outlineStyle`)); outline != "solid" {
		t.Errorf("the focus is not visible: outline %s", outline)
	}
	b.Do(chromedp.KeyEvent("j"))
	first := active()
	b.Do(chromedp.KeyEvent("j"))
	if second := active(); first == second || first+second != "ab" && first+second != "ba" {
		t.Errorf("j goes to %q and then to %q", first, second)
	}
	b.Do(chromedp.KeyEvent("?"), chromedp.WaitVisible(chromedp.CSS("#dialog[open] .keys")))
	b.Do(chromedp.KeyEvent("\x1b"), chromedp.WaitNotVisible(chromedp.CSS("#dialog")))
	b.Do(chromedp.KeyEvent("/"))
	if a := active(); a != "q" {
		t.Errorf("/ goes to %q", a)
	}
	// The browser's driver types the slash all the same: a keyboard does not.
	b.Do(chromedp.Evaluate[chromedp.Void](`document.getElementById("find").value = ""`), chromedp.KeyEvent("a\r"), chromedp.WaitVisible(chromedp.CSS("#timeline")))
	if title := browsertest.Get(b, chromedp.Title()); title != "resize a · Tenter" {
		t.Errorf("finding a leads to %q", title)
	}
	b.Do(chromedp.KeyEvent("gh"), chromedp.WaitVisible(chromedp.CSS(`form[action="hooks"]`)))
	b.Clean("keys")
}

func TestTheme(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	b := browsertest.New(t)
	b.Prefer("light")
	open(b, w.url)
	ground := func() string {
		return browsertest.Get(b, chromedp.Evaluate[string](`getComputedStyle(document.documentElement).backgroundColor`))
	}
	light := ground()
	b.Do(chromedp.Click(chromedp.CSS("form.theme button")))
	dark := ground()
	if light == dark {
		t.Error("the switch changes nothing")
	}
	b.Eventually(`fetch("./").then(r => r.text()).then(t => t.includes('data-theme="dark"'))`)
	open(b, w.url+"hooks")
	if g := ground(); g != dark {
		t.Errorf("the next page has the ground %s", g)
	}
	b.Clean("theme")
}

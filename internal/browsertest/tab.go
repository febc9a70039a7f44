package browsertest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Tab is a page of the browser, with cookies of its own. It notes what goes wrong in it.
type Tab struct {
	*testing.T
	ctx context.Context //nolint:containedctx // chromedp's handle of the tab

	mu       sync.Mutex
	problems []string
}

// patience is far above what anything here takes, on a busy machine too.
const patience = 15 * time.Minute

// New opens a tab, of the size of a desktop. Without Chromium the test is skipped, or fails if
// TENTER_REQUIRE_CHROMIUM is set.
func New(t *testing.T) *Tab {
	t.Helper()
	browser.once.Do(launch)
	if browser.err != nil {
		if os.Getenv("TENTER_REQUIRE_CHROMIUM") != "" {
			t.Fatal(browser.err)
		}
		t.Skip(browser.err)
	}
	b := &Tab{T: t}
	ctx, cancel := chromedp.NewContext(browser.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.note))
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	b.ctx, cancel = context.WithTimeout(ctx, patience)
	t.Cleanup(cancel)
	Call(b, log.Enable, cdp.Empty{})
	Call(b, network.Enable, network.EnableParams{})
	b.Size(1280, 900)
	return b
}

// note keeps what the console says, and what the page tried and may not.
func (b *Tab) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, exception(e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			b.problems = append(b.problems, fmt.Sprintf("console: %s", e.Args[0].Value))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning || e.Entry.Source == log.EntrySourceSecurity {
			b.problems = append(b.problems, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	}
}

func exception(d *runtime.ExceptionDetails) string {
	if d.Exception != nil {
		return d.Exception.Description
	}
	return d.Text
}

// Problems returns what has gone wrong in the tab since it was last asked: messages in the console,
// and violations of the page's policy.
func (b *Tab) Problems() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	problems := b.problems
	b.problems = nil
	return problems
}

// Clean fails the test if something has gone wrong in the tab.
func (b *Tab) Clean(what string) {
	b.Helper()
	for _, p := range b.Problems() {
		b.Errorf("%s: %s", what, p)
	}
}

// Do has the browser do something.
func (b *Tab) Do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.Fatal(err)
	}
}

// Get has the browser do something that returns a value.
func Get[V any](b *Tab, a chromedp.Action[V]) V {
	b.Helper()
	v, err := chromedp.Run(b.ctx, a)
	if err != nil {
		b.Fatal(err)
	}
	return v
}

// Call gives the browser a command of its protocol.
func Call[P, R any](b *Tab, cmd cdp.Command[P, R], params P) {
	b.Helper()
	if _, err := chromedp.Call(b.ctx, cmd, params); err != nil {
		b.Fatal(err)
	}
}

// Size sets the size of the window. Below a width of 600 it is that of a phone.
func (b *Tab) Size(width, height int64) {
	b.Helper()
	Call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600})
}

// Prefer sets which theme the system prefers, light or dark.
func (b *Tab) Prefer(theme string) {
	b.Helper()
	Call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// Scripts turns the scripts of pages on or off.
func (b *Tab) Scripts(on bool) {
	b.Helper()
	Call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
}

// Shot writes a screenshot of the whole page into a directory. Without one it does nothing.
func (b *Tab) Shot(dir, name string) {
	b.Helper()
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), Get(b, chromedp.FullScreenshot(100)), 0o644); err != nil {
		b.Fatal(err)
	}
}

// Eventually waits until an expression of JavaScript is true, or a promise of that.
func (b *Tab) Eventually(expression string) {
	b.Helper()
	for {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression, chromedp.EvalAwaitPromise))
		if ok {
			return
		}
		if b.ctx.Err() != nil {
			page, _ := chromedp.Run(context.WithoutCancel(b.ctx), chromedp.Evaluate[string](`document.body.innerText`))
			b.Fatalf("never: %s (%v); the page:\n%s", expression, err, page)
		}
		select { // an error may be that of a page which is just being left
		case <-b.ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

package dashboard_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/internal/browsertest"
	"github.com/tenter-dev/tenter/workflow"
)

var screenshots = flag.String("screenshots", "", "write the screenshots of the docs to this `directory`")

// TestScreenshots makes the screenshots of the docs: make screenshots.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("it is for make screenshots")
	}
	w := newWorld(t, dashboard.Options{Title: "staging"})
	for i := range 7 {
		ended(w, start(w, quick, 2+i%3))
	}
	ended(w, start(w, crash, "customers.csv"))
	start(w, nap, 26*time.Hour)
	start(w, untyped, "slack_messages:general")
	start(w, callback, "parcel-7")
	late := start(w, nap, time.Hour)
	if err := late.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	run := start(w, orders, order{"ada", []string{"loom", "yarn"}, 129.5}, workflow.RunID("order-42"))
	opened(w, run)
	w.eventually(func() bool { // the step has been tried a few times
		info, err := run.Info(t.Context())
		return err == nil && info.Events >= 11
	})
	start(w, lost, "?", workflow.RunID("legacy-2019"))

	b := browsertest.New(t)
	for _, shot := range []struct {
		name, path, theme string
		width, height     int64
		before            string // script
	}{
		{"runs", "", "light", 1280, 760, ""},
		{"run", "run?id=order-42", "light", 1280, 980, ""},
		{"attempts", "run?id=order-42", "light", 1280, 980, `document.querySelectorAll(".item.step details")[1].open = true; document.getElementById("timeline").scrollIntoView()`},
		{"resume", "hook?run=order-42&id=order-42.h1", "light", 1280, 900, `document.querySelector('[name="f/approved"]').click(); document.querySelector('[name="f/comment"]').value = "Fine by me."; document.querySelector('[name="_add"]').click()`},
		{"terminate", "run?id=order-42", "light", 1280, 760, `document.querySelector("a.danger").click()`},
		{"blocked", "run?id=legacy-2019", "light", 1280, 700, ""},
		{"dark", "run?id=order-42", "dark", 1280, 980, ""},
		{"phone", "run?id=order-42", "light", 390, 1180, ""},
		{"phone-runs", "", "dark", 390, 1180, ""},
		{"phone-resume", "hook?run=order-42&id=order-42.h1", "light", 390, 1180, ""},
	} {
		b.Size(shot.width, shot.height)
		b.Prefer(shot.theme)
		open(b, w.url+shot.path)
		if shot.before != "" {
			b.Do(chromedp.Evaluate[chromedp.Void](shot.before + "; 0"))
		}
		// Fonts, a dialog, a part that comes from the server.
		b.Do(chromedp.Evaluate[chromedp.Void](`new Promise(done => setTimeout(done, 300))`, chromedp.EvalAwaitPromise))
		if err := os.WriteFile(filepath.Join(*screenshots, "dashboard-"+shot.name+".png"), browsertest.Get(b, chromedp.CaptureScreenshot()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.Clean("screenshots")
}

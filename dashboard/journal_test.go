package dashboard_test

import (
	"flag"
	"slices"
	"strconv"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/internal/browsertest"
	"github.com/tenter-dev/tenter/workflow"
)

var journalEvents = flag.Int("events", 1200, "how long the journal is that is scrolled")

// A journal that nobody would want to load at once comes as it is scrolled. How smoothly
// is for people to see: go test ./dashboard -run LongJournal -v -events=10000.
func TestLongJournal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	events := *journalEvents
	ended(w, start(w, quick, events-2, workflow.RunID("long")))
	b := browsertest.New(t)
	open(b, w.url+"run?id=long")
	if n := browsertest.Get(b, chromedp.Evaluate[int](`document.querySelectorAll("#events .event").length`)); n >= events {
		t.Fatalf("%d events at once", n)
	}
	for more := true; more; {
		more = browsertest.Get(b, chromedp.Evaluate[bool](`new Promise(done => {
			const box = document.getElementById("events");
			box.scrollTop = box.scrollHeight;
			setTimeout(() => done(Boolean(box.querySelector("a[rel=next]"))), 30);
		})`, chromedp.EvalAwaitPromise))
	}
	positions := browsertest.Get(b, chromedp.Evaluate[[]string](`[...document.querySelectorAll("#events .pos")].map(e => e.textContent)`))
	for i, p := range positions {
		if p != strconv.Itoa(i+1) {
			t.Fatalf("event %s is in place %d", p, i+1)
		}
	}
	if len(positions) != events {
		t.Errorf("%d events, want %d", len(positions), events)
	}
	frames := browsertest.Get(b, chromedp.Evaluate[[]float64](`new Promise(done => {
		const box = document.getElementById("events"), frames = [];
		box.scrollTop = 0;
		let last = performance.now();
		requestAnimationFrame(function frame(now) {
			frames.push(now - last);
			last = now;
			box.scrollTop += box.scrollHeight / 120;
			if (frames.length < 120) requestAnimationFrame(frame);
			else done(frames.slice(1));
		});
	})`, chromedp.EvalAwaitPromise))
	slices.Sort(frames)
	t.Logf("scrolled through %d events in %d frames: p50 %.1f ms, p95 %.1f ms, the slowest %.1f ms", len(positions), len(frames), frames[len(frames)/2], frames[len(frames)*95/100], frames[len(frames)-1])
	b.Clean("journal")
}

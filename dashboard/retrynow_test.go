package dashboard_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// A page has the buttons for what the run waits for: to retry now, or to wake.
func TestRetryNow(t *testing.T) {
	t.Parallel()
	var open atomic.Bool
	pay := workflow.Define("pay", func(ctx workflow.Context, _ string) (string, error) {
		err := workflow.Do(ctx, "charge", func(context.Context) error {
			if !open.Load() {
				return workflow.RetryAfter(errors.New("the bank is closed"), time.Hour)
			}
			return nil
		})
		if err != nil {
			return "", err
		}
		return "paid", workflow.Sleep(ctx, time.Hour)
	})
	w := newWorld(t, dashboard.Options{}, func(o *engine.Options) { o.Workflows = append(o.Workflows, pay) })
	run := start(w, pay, "", workflow.RunID("pay"))
	waitsFor := func(code inspect.WaitCode) {
		t.Helper()
		w.eventually(func() bool {
			d, err := inspect.Load(t.Context(), w.eng, "pay")
			return err == nil && len(d.Waits) > 0 && d.Waits[0].Code == code
		})
	}
	v := newVisitor(w)
	has := func(retry, wake bool) {
		t.Helper()
		_, body := v.get("run?id=pay")
		if got := strings.Contains(body, "do=retry"); got != retry {
			t.Errorf("the page lets people retry: %t, want %t", got, retry)
		}
		if got := strings.Contains(body, "do=wake"); got != wake {
			t.Errorf("the page lets people wake the run: %t, want %t", got, wake)
		}
	}
	act := func(do string) {
		t.Helper()
		if res, body := v.ask("POST", "act", url.Values{"id": {"pay"}, "do": {do}}); res.StatusCode != 303 {
			t.Errorf("%s: %s", do, body)
		}
	}
	waitsFor(inspect.WaitRetry)
	has(true, false)
	if _, body := v.get("act?id=pay&do=retry"); !strings.Contains(body, "Retry now") || !strings.Contains(body, "attempted at once") {
		t.Errorf("the page does not say what a retry does:\n%s", body)
	}
	open.Store(true)
	act("retry")
	waitsFor(inspect.WaitSleep)
	has(false, true)
	act("wake")
	ended(w, run)
}

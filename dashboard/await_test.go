package dashboard_test

import (
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// A run's page links to those that await it.
func TestAwaitedBy(t *testing.T) {
	t.Parallel()
	target := workflow.Define("awaited", func(ctx workflow.Context, _ string) (string, error) {
		h, err := workflow.NewHook[string](ctx, workflow.Token("awaited"))
		if err != nil {
			return "", err
		}
		return h.Wait(ctx)
	})
	waiter := workflow.Define("awaits", func(ctx workflow.Context, id string) (string, error) {
		return workflow.Await[string](ctx, id).Wait(ctx)
	})
	w := newWorld(t, dashboard.Options{}, func(o *engine.Options) { o.Workflows = append(o.Workflows, target, waiter) })
	start(w, target, "", workflow.RunID("target"))
	start(w, waiter, "target", workflow.RunID("waiter"))
	w.eventually(func() bool {
		info, err := w.eng.RunInfo(t.Context(), "waiter")
		return err == nil && info.Status == workflow.StatusWaiting
	})
	v := newVisitor(w)
	if _, body := v.get("run?id=target"); !strings.Contains(body, "<dt>Awaited by</dt>") || !strings.Contains(body, `href="run?id=waiter"`) {
		t.Error("the page does not say who awaits the run")
	}
	if err := w.eng.TerminateRun(t.Context(), "target", ""); err != nil {
		t.Fatal(err)
	}
	ended(w, workflow.Get[string](w.eng, "waiter"))
	if _, body := v.get("run?id=target"); strings.Contains(body, "Awaited by") {
		t.Error("the page says that the run is awaited, and it has ended")
	}
}

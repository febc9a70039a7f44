package engine_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// A payload whose turn this engine can't finish is durable all the same, its sender is
// told so, and the run takes it once the engine can.
func TestAPayloadThatMakesARunBlockIsKept(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("w", func(ctx workflow.Context, _ string) (string, error) {
			h, err := workflow.NewHook[string](ctx, workflow.Token("t"))
			if err != nil {
				return "", err
			}
			v, err := h.Wait(ctx)
			if err != nil {
				return "", err
			}
			w, err := workflow.NewWebhook(ctx)
			if err != nil {
				return "", err
			}
			w.Close()
			return v, nil
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(l.Context(), time.Minute)
		defer cancel()
		if _, err := workflow.Resume(ctx, l.eng, "t", "kept"); err != nil {
			t.Fatalf("resume: %v", err)
		}
		synctest.Wait()
		wantStatus(l, r, workflow.StatusBlocked)
		if err := l.stop(); err != nil {
			t.Fatal(err)
		}
		l.stop = func() error { return nil }
		l.run(engine.Options{PublicURL: "https://example.com"}, wf)
		if got := mustResult(l, wf.Get(l.eng, r.ID())); got != "kept" {
			t.Errorf("result is %q", got)
		}
	})
}

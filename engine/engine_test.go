package engine_test

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/memdir"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

func TestSmoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, err := sqlite.OpenWith(filepath.Join(memdir.TempDir(t), "a.db"), sqlite.Options{Private: true})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = st.Close() }()
		var hookToken string
		wf := workflow.Define("approval", func(ctx workflow.Context, doc string) (string, error) {
			h, err := workflow.NewHook[string](ctx)
			if err != nil {
				return "", err
			}
			defer h.Close()
			if err := workflow.Do(ctx, "mail", func(ctx context.Context) error { hookToken = h.Token(); return nil }); err != nil {
				return "", err
			}
			v, err := h.Wait(ctx)
			if err != nil {
				return "", err
			}
			if err := workflow.Sleep(ctx, 365*24*time.Hour); err != nil {
				return "", err
			}
			return workflow.Step(ctx, "pub", func(context.Context) (string, error) { return doc + v, nil })
		})
		e, err := engine.New(st, engine.Options{Workflows: []workflow.Definition{wf}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		synctest.Wait()
		run, err := wf.Start(ctx, e, "doc")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := workflow.Resume(ctx, e, hookToken, "yes"); err != nil {
			t.Fatal(err)
		}
		out, err := run.Result(ctx)
		t.Log(out, err)
		ev, _ := e.Journal(ctx, run.ID(), 0, 0)
		for _, v := range ev {
			t.Logf("%d %s %s %s %s %q", v.Position, v.At.Format(time.RFC3339Nano), v.Kind, v.Ref, v.Data, v.Asked)
		}
		cancel()
		t.Log(<-done)
		_ = e.Close()
	})
}

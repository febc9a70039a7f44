package engine_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// An ID that another Start is just about to take is not taken: what has not become
// durable may never.
func TestARunExistsOnlyOnceItIsDurable(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := define("wf")
		l.run(engine.Options{}, wf)
		thaw := l.freeze()
		defer thaw()
		first := make(chan error, 1)
		go func() {
			_, err := wf.Start(t.Context(), l.eng, "first", workflow.RunID("x"))
			first <- err
		}()
		synctest.Wait() // it is being committed
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r, err := wf.Start(ctx, l.eng, "second", workflow.RunID("x"))
		if _, unknown := l.store.Run(t.Context(), "x"); errors.Is(err, workflow.ErrRunExists) && unknown != nil {
			t.Fatalf("error is %v, and the store knows of no such run", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		thaw()
		wantIs(l, <-first, workflow.ErrRunExists)
		if got := mustResult(l, r); got != "second" {
			t.Errorf("result is %q", got)
		}
	})
}

// When Start returns from an engine that is at work, the hooks that the run opens
// before it first waits for something else take payloads. Before Run there are none.
func TestHooksAreOpenWhenStartReturns(t *testing.T) {
	t.Parallel()
	tokens := make(chan string, 1)
	generated := workflow.Define("generated", func(ctx workflow.Context, _ string) (string, error) {
		hook, err := workflow.NewHook[string](ctx)
		if err != nil {
			return "", err
		}
		tokens <- hook.Token()
		return hook.Wait(ctx)
	})
	for name, tt := range map[string]struct {
		workflow *workflow.Workflow[string, string]
		token    func() string
	}{
		"own token":       {tokenWaiter, func() string { return "t" }},
		"generated token": {generated, func() string { return <-tokens }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				l.run(engine.Options{}, generated, tokenWaiter)
				r, err := tt.workflow.Start(t.Context(), l.eng, "t")
				if err != nil {
					t.Fatal(err)
				}
				token := tt.token()
				if _, err := l.eng.HookByToken(t.Context(), token); err != nil {
					t.Error(err)
				}
				l.resume(token, "at once")
				if got := mustResult(l, r); got != "at once" {
					t.Errorf("result is %q", got)
				}
			})
		})
	}
	t.Run("before Run", func(t *testing.T) {
		t.Parallel()
		inLab(t, func(t *testing.T, l *lab) {
			eng, err := engine.New(l.store, engine.Options{Workflows: []workflow.Definition{tokenWaiter}})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = eng.Close() }()
			if _, err := tokenWaiter.Start(t.Context(), eng, "t"); err != nil {
				t.Fatal(err)
			}
			_, err = workflow.Resume(t.Context(), eng, "t", "too early")
			wantIs(l, err, workflow.ErrHookNotFound)
		})
	})
}

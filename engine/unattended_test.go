package engine_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

const unattended = "a run is waited for that nobody executes"

// The log says, once, that a caller waits for a run that nobody executes, with the reason.
func TestWaitForARunThatNobodyExecutes(t *testing.T) {
	t.Parallel()
	wf := define("wf")
	other := define("other")
	waiter := workflow.Define("waiter", func(ctx workflow.Context, token string) (string, error) {
		hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
		if err != nil {
			return "", err
		}
		return hook.Wait(ctx)
	})
	for name, tt := range map[string]struct {
		opts  engine.Options
		start func(l *lab, e *engine.Engine) (runID string)
		want  string
	}{
		"Run was not called": {
			engine.Options{Workflows: []workflow.Definition{wf}},
			func(l *lab, e *engine.Engine) string {
				l.eng = e
				return mustStart(l, wf, "x").ID()
			},
			"Engine.Run of this engine was not called",
		},
		"Run has returned": {
			engine.Options{Workflows: []workflow.Definition{wf}},
			func(l *lab, e *engine.Engine) string {
				ctx, cancel := context.WithCancel(l.Context())
				done := make(chan error, 1)
				go func() { done <- e.Run(ctx) }()
				synctest.Wait()
				cancel()
				if err := <-done; err != nil {
					l.Fatal(err)
				}
				l.eng = e
				return mustStart(l, wf, "x").ID()
			},
			"Engine.Run of this engine has returned: its context had ended",
		},
		"OrStart": {
			engine.Options{Workflows: []workflow.Definition{waiter}},
			func(l *lab, e *engine.Engine) string {
				l.eng = e
				l.resume("t", "payload", workflow.OrStart(waiter, "t", workflow.RunID("w")))
				return "w"
			},
			"Engine.Run of this engine was not called",
		},
		"a client": {
			engine.Options{},
			func(l *lab, e *engine.Engine) string {
				l.eng = e
				return mustStart(l, wf, "x").ID()
			},
			"no worker is live",
		},
		"a worker without the workflow": {
			engine.Options{Workflows: []workflow.Definition{other}, Elsewhere: []string{"wf"}},
			func(l *lab, e *engine.Engine) string {
				ctx, cancel := context.WithCancel(context.WithoutCancel(l.Context()))
				done := make(chan error, 1)
				go func() { done <- e.Run(ctx) }()
				l.stop = func() error { cancel(); return <-done }
				synctest.Wait()
				l.eng = e
				return mustStart(l, wf, "x").ID()
			},
			"this engine does not have the workflow",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				tt.opts.Logger = slog.New(slog.NewTextHandler(l.logs, nil))
				eng, err := engine.New(l.store, tt.opts)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = eng.Close() }()
				id := tt.start(l, eng)
				ctx, enough := context.WithCancel(t.Context())
				waits := make(chan error, 2)
				for range 2 {
					go func() {
						_, err := eng.AwaitRun(ctx, id)
						waits <- err
					}()
				}
				l.advance(3 * time.Second)
				if n := l.logs.count(unattended); n != 0 {
					t.Errorf("told %d times after 3 s", n)
				}
				l.advance(10 * time.Second)
				wantContains(l, l.logs.String(), unattended, "run="+id, tt.want)
				l.advance(24 * time.Hour)
				if n := l.logs.count(unattended); n != 1 {
					t.Errorf("told %d times in a day, want once", n)
				}
				enough()
				for range 2 {
					wantIs(l, <-waits, context.Canceled)
				}
			})
		})
	}
}

// Nobody is warned who waits for the outside world, or for workers that are there.
func TestWaitForARunThatIsAttended(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		stuck := newStuckCode()
		slow := workflow.Define("slow", func(ctx workflow.Context, token string) (string, error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
			if err != nil {
				return "", err
			}
			got, err := hook.Wait(ctx)
			if err != nil {
				return "", err
			}
			if err := workflow.Do(ctx, "work", func(context.Context) error { sleepFor(time.Hour); return nil }); err != nil {
				return "", err
			}
			stuck.block()
			return got, nil
		})
		l.run(engine.Options{}, slow)
		r := mustStart(l, slow, "t")
		client, err := engine.New(l.store, engine.Options{Logger: slog.New(slog.NewTextHandler(l.logs, nil))})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = client.Close() }()
		result := make(chan error, 1)
		go func() {
			_, err := client.AwaitRun(t.Context(), r.ID())
			result <- err
		}()
		l.advance(24 * time.Hour) // the worker is idle
		l.resume("t", "payload")
		l.advance(3 * time.Hour) // it executes a step, then code that blocks
		close(stuck.released)
		if err := <-result; err != nil {
			t.Error(err)
		}
		if n := l.logs.count(unattended); n != 0 {
			t.Errorf("warned %d times of a run that is attended:\n%s", n, l.logs)
		}
	})
}

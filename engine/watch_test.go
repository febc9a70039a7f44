package engine_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// A watcher of a run is notified when it begins to watch, and then at each progress.
func TestWatchARun(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("wf", func(ctx workflow.Context, _ string) (string, error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token("t"))
			if err != nil {
				return "", err
			}
			if _, err := hook.Wait(ctx); err != nil {
				return "", err
			}
			return "", workflow.Sleep(ctx, time.Hour)
		})
		l.run(engine.Options{}, wf)
		engines := func(yield func(string, *engine.Engine) bool) {
			_ = yield("where it is executed", l.eng) && yield("elsewhere", l.client())
		}
		r := mustStart(l, wf, "")
		other := mustStart(l, wf, "") // its token is taken: it fails
		synctest.Wait()
		for name, eng := range engines {
			ctx, stop := context.WithCancel(t.Context())
			var told []inspect.Change
			done := make(chan error, 1)
			go func() { done <- eng.Watch(ctx, r.ID(), func(c inspect.Change) { told = append(told, c) }) }()
			want := func(what string, atLeast int) {
				t.Helper()
				l.advance(2 * time.Second)
				if len(told) < atLeast {
					t.Errorf("%s: told %d times, want %d", what, len(told), atLeast)
				}
				for _, c := range told {
					if !slices.Equal(c.Runs, []string{r.ID()}) || c.All {
						t.Errorf("%s: told %+v", what, c)
					}
				}
				told = nil
			}
			want("at the beginning", 1)
			if err := other.Wake(t.Context()); !errors.Is(err, workflow.ErrRunEnded) {
				t.Fatal(err)
			}
			if name == "where it is executed" {
				l.advance(time.Minute)
				if len(told) > 0 {
					t.Errorf("nothing has happened, and told %+v", told)
				}
				l.resume("t", "x")
				want("payload", 1)
			} else {
				l.advance(time.Hour)
				want("end", 1)
			}
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		for range 20 { // a watcher that has seen enough is not notified of what has happened meanwhile
			r := mustStart(l, wf, "")
			ctx, stop := context.WithCancel(t.Context())
			calls := 0
			err := l.eng.Watch(ctx, r.ID(), func(inspect.Change) {
				calls++
				synctest.Wait() // the token is free: it waits
				l.resume("t", "x")
				synctest.Wait()
				if err := r.Cancel(t.Context()); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				stop()
			})
			if err != nil || calls != 1 {
				t.Errorf("told %d times, %v", calls, err)
			}
		}
		err := l.eng.Watch(t.Context(), "nobody", func(inspect.Change) { t.Error("a change of nobody") })
		wantIs(l, err, workflow.ErrRunNotFound)
	})
}

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// Runs that ended longer ago than KeepEnded are deleted, a few at a time; others, and
// those that have not ended, stay. What was sent again within DedupeFor is known.
func TestKeepEnded(t *testing.T) {
	t.Parallel()
	const runs = 700 // of three events, so that it takes several operations
	quick := workflow.Define("quick", func(ctx workflow.Context, n int) (int, error) {
		return workflow.Step(ctx, "add", func(context.Context) (int, error) { return n + 1, nil })
	})
	patient := workflow.Define("patient", func(ctx workflow.Context, token string) (string, error) {
		h, err := workflow.NewHook[string](ctx, workflow.Token(token))
		if err != nil {
			return "", err
		}
		return h.Wait(ctx)
	})
	opts := engine.Options{KeepEnded: 24 * time.Hour, DedupeFor: 24 * time.Hour}
	inLab(t, func(t *testing.T, l *lab) {
		l.run(opts, quick, patient)
		ctx := t.Context()
		start := func(from, to int) {
			for i := from; i < to; i++ {
				run, err := quick.Start(ctx, l.eng, i, workflow.RunID(fmt.Sprint("quick-", i)))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := run.Result(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		count := func() int {
			all, err := l.store.Runs(ctx, store.Filter{Limit: 2 * runs})
			if err != nil {
				t.Fatal(err)
			}
			return len(all)
		}
		for _, token := range []string{"answered", "open"} {
			if _, err := patient.Start(ctx, l.eng, token, workflow.RunID(token)); err != nil {
				t.Fatal(err)
			}
		}
		start(0, runs)
		l.advance(23 * time.Hour)
		first, err := workflow.Resume(ctx, l.eng, "answered", "yes", workflow.IdempotencyKey("k"))
		if err != nil {
			t.Fatal(err)
		}
		start(runs, runs+10)
		synctest.Wait()
		if n := count(); n != runs+12 {
			t.Fatalf("%d runs after 23 h, want all %d", n, runs+12)
		}
		l.advance(time.Hour + 2*time.Minute)
		if n := count(); n != 12 {
			t.Errorf("%d runs after 24 h, want the 12 that did not end before", n)
		}
		if _, err := quick.Get(l.eng, "quick-0").Result(ctx); !errors.Is(err, workflow.ErrRunNotFound) {
			t.Errorf("a run that was deleted: %v", err)
		}
		again, err := workflow.Resume(ctx, l.eng, "answered", "yes", workflow.IdempotencyKey("k"))
		if err != nil || !again.Duplicate || again.RunID != first.RunID {
			t.Errorf("a payload that comes again: %+v, %v", again, err)
		}
		if info, err := workflow.Resume(ctx, l.eng, "open", "yes"); err != nil || info.RunID != "open" {
			t.Errorf("resume a run that waits: %+v, %v", info, err)
		}
		start(0, 1) // its ID is free
	})
}

func TestKeepEndedIsNotTooShort(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		for keep, want := range map[time.Duration]string{time.Hour: "DedupeFor", 59 * time.Second: "at least 1m0s", -1: "negative"} {
			_, err := engine.New(l.store, engine.Options{KeepEnded: keep})
			if err == nil || !strings.Contains(err.Error(), "Options.KeepEnded") || !strings.Contains(err.Error(), want) {
				t.Errorf("an engine that keeps ended runs for %v: %v", keep, err)
			}
		}
	})
}

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// A check that is canceled says so: what it has yielded is not all.
func TestCheckReplayCanceled(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{}, tokenWaiter)
		for i := range 3 {
			mustStart(l, tokenWaiter, fmt.Sprint("t", i))
		}
		l.advance(time.Second)
		ctx, cancel := context.WithCancel(l.Context())
		defer cancel()
		var errs []error
		for _, err := range l.eng.CheckReplay(ctx, engine.CheckReplayOptions{Parallel: 1, HangsAfter: -1}) {
			cancel()
			if err != nil {
				errs = append(errs, err)
			}
		}
		if len(errs) != 1 || !errors.Is(errs[0], context.Canceled) {
			t.Errorf("errors %v, want that it was canceled", errs)
		}
	})
}

// A build is checked against runs that another one has begun.
func TestCheckReplay(t *testing.T) {
	t.Parallel()
	type body = func(ctx workflow.Context, token string) (string, error)
	charge := func(step string) body {
		return func(ctx workflow.Context, token string) (string, error) {
			if err := workflow.Do(ctx, step, func(context.Context) error { return nil }); err != nil {
				return "", err
			}
			hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
			if err != nil {
				return "", err
			}
			return hook.Wait(ctx)
		}
	}
	inLab(t, func(t *testing.T, l *lab) {
		release := make(chan struct{})
		defer close(release)
		names := []string{"same", "renamed", "panics", "hangs", "gone", "returns"}
		var old, now []workflow.Definition
		for _, name := range names {
			old = append(old, workflow.Define(name, charge("charge")))
		}
		old = append(old, workflow.Define("webhook", func(ctx workflow.Context, token string) (string, error) {
			hook, err := workflow.NewWebhook(ctx, workflow.Token(token))
			if err != nil {
				return "", err
			}
			_, err = hook.Wait(ctx)
			return "", err
		}))
		now = append(
			now,
			workflow.Define("same", charge("charge")),
			workflow.Define("renamed", charge("pay")),
			workflow.Define("panics", func(workflow.Context, string) (string, error) { panic("no more") }),
			workflow.Define("hangs", func(workflow.Context, string) (string, error) { <-release; return "", nil }),
			workflow.Define("returns", func(ctx workflow.Context, token string) (string, error) {
				return "", workflow.Do(ctx, "charge", func(context.Context) error { return nil })
			}),
			old[len(old)-1],
		)
		l.run(engine.Options{PublicURL: "https://example.com"}, old...)
		for _, name := range append(slices.Clone(names), "webhook") {
			if _, err := l.eng.StartRun(l.Context(), workflow.StartRequest{Workflow: name, RunID: name, Input: []byte(`"` + name + `"`)}); err != nil {
				t.Fatal(err)
			}
		}
		l.advance(time.Second)
		journals := func() (all [][]string) {
			for _, c := range append(slices.Clone(names), "webhook") {
				all = append(all, l.journal(c))
			}
			return all
		}
		before := journals()
		eng, err := engine.New(l.store, engine.Options{Workflows: now})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]engine.ReplayVerdict{}
		var progress []int
		for c, err := range eng.CheckReplay(l.Context(), engine.CheckReplayOptions{Progress: func(n, of int) { progress = append(progress, n, of) }}) {
			if err != nil {
				t.Fatal(err)
			}
			got[c.RunID] = c.Verdict
			if (c.Detail == "") != (c.Verdict == engine.ReplaySame) {
				t.Errorf("%s: %s: %q", c.RunID, c.Verdict, c.Detail)
			}
			if c.RunID == "renamed" && (c.Recorded != "step charge#1" || c.Attempted != "step pay#1" || !strings.Contains(c.Caller, "checkreplay_test.go:")) {
				t.Errorf("renamed: %+v", c)
			}
		}
		want := map[string]engine.ReplayVerdict{
			"same": engine.ReplaySame, "renamed": engine.ReplayDiverges, "panics": engine.ReplayPanics, "hangs": engine.ReplayHangs,
			"gone": engine.ReplayVersionMissing, "returns": engine.ReplayDiverges, "webhook": engine.ReplayUnable,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
		if n := len(progress); n != 2*len(want) || progress[n-2] != len(want) || progress[n-1] != len(want) {
			t.Errorf("progress: %v", progress)
		}
		if diff := cmp.Diff(before, journals()); diff != "" {
			t.Errorf("the check has changed journals (-before +after):\n%s", diff)
		}
	})
}

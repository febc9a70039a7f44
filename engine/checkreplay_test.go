package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/sender"
	"github.com/tenter-dev/tenter/store"
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
		for _, err := range engine.CheckReplay(ctx, l.store, engine.Options{Workflows: []workflow.Definition{tokenWaiter}}, engine.CheckReplayOptions{Parallel: 1, HangsAfter: -1}) {
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

// lists calls a function after each list of runs.
type lists struct {
	store.Reader
	after func()
}

func (r *lists) Runs(ctx context.Context, f store.Filter) ([]store.Run, error) {
	runs, err := r.Reader.Runs(ctx, f)
	r.after()
	return runs, err
}

// A run that is open all the time is checked, even if its status changes while runs are listed.
func TestCheckReplayOfBusyRuns(t *testing.T) {
	t.Parallel()
	busy := workflow.Define("busy", func(ctx workflow.Context, token string) (string, error) {
		hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
		if err != nil {
			return "", err
		}
		for {
			if _, err := hook.Wait(ctx); err != nil {
				return "", err
			}
			err := workflow.Do(ctx, "work", func(ctx context.Context) error {
				select {
				case <-time.After(time.Hour):
				case <-ctx.Done():
				}
				return ctx.Err()
			})
			if err != nil {
				return "", err
			}
		}
	})
	inLab(t, func(t *testing.T, l *lab) {
		opts := engine.Options{Workflows: []workflow.Definition{busy}}
		l.run(opts)
		run := mustStart(l, busy, "go")
		l.advance(time.Second)
		working := false
		reader := &lists{Reader: l.store, after: func() {
			if working = !working; working {
				l.resume("go", "now")
				l.advance(time.Second)
				wantStatus(l, run, workflow.StatusRunning)
			} else {
				l.advance(2 * time.Hour)
				wantStatus(l, run, workflow.StatusWaiting)
			}
		}}
		for _, filter := range []inspect.RunFilter{{}, {Workflow: "busy"}, {Prefix: run.ID()[:3]}} {
			var checked []string
			for c, err := range engine.CheckReplay(l.Context(), reader, opts, engine.CheckReplayOptions{Filter: filter}) {
				if err != nil {
					t.Fatal(err)
				}
				checked = append(checked, c.RunID)
			}
			if diff := cmp.Diff([]string{run.ID()}, checked); diff != "" {
				t.Errorf("runs that were checked (-want +got):\n%s", diff)
			}
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
		webhook := func(opts ...workflow.WebhookOption) body {
			return func(ctx workflow.Context, token string) (string, error) {
				hook, err := workflow.NewWebhook(ctx, append(opts, workflow.Token(token))...)
				if err != nil {
					return "", err
				}
				_, err = hook.Wait(ctx)
				return "", err
			}
		}
		old = append(
			old,
			workflow.Define("webhook", webhook()),
			workflow.Define("verified", webhook(workflow.Verify("github"))),
			workflow.Define("versioned", charge("charge"), workflow.Version(2)),
		)
		now = append(
			now,
			workflow.Define("same", charge("charge")),
			workflow.Define("renamed", charge("pay")),
			workflow.Define("panics", func(workflow.Context, string) (string, error) { panic("no more") }),
			workflow.Define("hangs", func(workflow.Context, string) (string, error) { <-release; return "", nil }),
			workflow.Define("returns", func(ctx workflow.Context, token string) (string, error) {
				return "", workflow.Do(ctx, "charge", func(context.Context) error { return nil })
			}),
			workflow.Define("webhook", webhook()),
			workflow.Define("verified", webhook(workflow.Verify("github"))),
			workflow.Define("versioned", charge("charge"), workflow.Version(3)),
		)
		github := sender.Must(sender.GitHub("a-secret-of-github"))
		l.run(engine.Options{PublicURL: "https://example.com", Senders: map[string]*sender.Sender{"github": github}}, old...)
		names = append(names, "webhook", "verified", "versioned")
		for _, name := range names {
			if _, err := l.eng.StartRun(l.Context(), workflow.StartRequest{Workflow: name, RunID: name, Input: []byte(`"` + name + `"`)}); err != nil {
				t.Fatal(err)
			}
		}
		l.advance(time.Second)
		journals := func() (all [][]string) {
			for _, c := range names {
				all = append(all, l.journal(c))
			}
			return all
		}
		before := journals()
		got, details := map[string]engine.ReplayVerdict{}, map[string]string{}
		var progress []int
		check := engine.CheckReplayOptions{Progress: func(n, of int) { progress = append(progress, n, of) }}
		for c, err := range engine.CheckReplay(l.Context(), l.store, engine.Options{Workflows: now}, check) {
			if err != nil {
				t.Fatal(err)
			}
			got[c.RunID], details[c.RunID] = c.Verdict, c.Detail
			if (c.Detail == "") != (c.Verdict == engine.ReplaySame) {
				t.Errorf("%s: %s: %q", c.RunID, c.Verdict, c.Detail)
			}
			if c.RunID == "renamed" && (c.Recorded != "step charge#1" || c.Attempted != "step pay#1" || !strings.Contains(c.Caller, "checkreplay_test.go:")) {
				t.Errorf("renamed: %+v", c)
			}
		}
		want := map[string]engine.ReplayVerdict{
			"same": engine.ReplaySame, "renamed": engine.ReplayDiverges, "panics": engine.ReplayPanics, "hangs": engine.ReplayHangs,
			"gone": engine.ReplayVersionMissing, "versioned": engine.ReplayVersionMissing, "returns": engine.ReplayDiverges,
			"webhook": engine.ReplayUnable, "verified": engine.ReplayUnable,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
		withURL := engine.Options{Workflows: now, PublicURL: "https://example.com"}
		for c, err := range engine.CheckReplay(l.Context(), l.store, withURL, engine.CheckReplayOptions{Filter: inspect.RunFilter{Workflow: "verified"}}) {
			if err != nil || c.Verdict != engine.ReplayUnable {
				t.Errorf("%+v, %v", c, err)
			}
			details[c.RunID] = c.Detail
		}
		for id, part := range map[string]string{
			"panics": "no more", "hangs": "10s", "gone": "the workflow gone", "versioned": "version 2 of the workflow versioned", "returns": "return",
			"webhook": "Options.PublicURL", "verified": `sender "github", which is not in Options.Senders`,
		} {
			if !strings.Contains(details[id], part) {
				t.Errorf("%s: %q does not say %q", id, details[id], part)
			}
		}
		if n := len(progress); n != 2*len(want) || progress[n-2] != len(want) || progress[n-1] != len(want) {
			t.Errorf("progress: %v", progress)
		}
		if diff := cmp.Diff(before, journals()); diff != "" {
			t.Errorf("the check has changed journals (-before +after):\n%s", diff)
		}
	})
}

package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// mustFork forks a run.
func mustFork[Out any](l *lab, r *workflow.Run[Out], opts ...workflow.ForkOption) *workflow.Run[Out] {
	l.Helper()
	f, err := r.Fork(l.Context(), opts...)
	if err != nil {
		l.Fatal(err)
	}
	l.advance(0)
	return f
}

// stepLog records the IDs of the steps that are executed.
type stepLog struct{ ids []string }

func (s *stepLog) step(ctx workflow.Context, name string) (string, error) {
	return workflow.Step(ctx, name, func(ctx context.Context) (string, error) {
		id := workflow.InfoOf(ctx).StepID
		s.ids = append(s.ids, id)
		return id, nil
	})
}

// taken returns the steps that were executed since it was last called.
func (s *stepLog) taken() []string {
	ids := s.ids
	s.ids = nil
	return ids
}

func wantSame(l *lab, what string, got, want any) {
	l.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		l.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// A fork has what its origin had up to a step, and goes on by itself, under its own names.
func TestFork(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		steps := &stepLog{}
		type report struct{ RunID, Before, Charge, After string }
		order := workflow.Define("order", func(ctx workflow.Context, _ string) (r report, err error) {
			r.Before = workflow.NewID(ctx)
			r.RunID = workflow.InfoOf(ctx).RunID
			if r.Charge, err = steps.step(ctx, "charge"); err != nil {
				return r, err
			}
			if _, err = steps.step(ctx, "ship"); err != nil {
				return r, err
			}
			r.After = workflow.NewID(ctx)
			r.RunID += " " + workflow.InfoOf(ctx).RunID
			return r, nil
		})
		l.run(opts, order)
		origin := mustStart(l, order, "", workflow.RunID("o"))
		first := mustResult(l, origin)
		wantSame(l, "steps of the origin", steps.taken(), []string{"o/charge#1", "o/ship#1"})
		before := l.journal("o")

		plan, err := origin.PlanFork(t.Context(), workflow.AtStep("ship#1"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range plan.Again {
			plan.Again[i].At = time.Time{}
		}
		wantSame(l, "plan", plan, workflow.ForkPlan{RunID: "o", Position: 2, Again: []workflow.ForkedAgain{
			{Step: "ship#1", Status: workflow.StatusCompleted, Position: 2},
		}})
		f := mustFork(l, origin, workflow.AtStep("ship#1"), workflow.ForkID("f"))
		again := mustResult(l, f)
		wantSame(l, "steps of the fork", steps.taken(), []string{"f/ship#1"})
		if again.Before != first.Before || again.Charge != "o/charge#1" || again.RunID != "o f" {
			t.Errorf("the fork had %+v, its origin %+v", again, first)
		}
		if again.After == first.After {
			t.Error("the fork and its origin have drawn the same ID after they parted")
		}
		wantSame(l, "journal of the fork", l.journal("f"), []string{"started", "step_completed charge#1", "forked o", "step_completed ship#1", "completed"})
		wantSame(l, "journal of the origin", l.journal("o"), before)
		info, err := f.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wantSame(l, "origin", info.ForkedFrom, &workflow.ForkedFrom{RunID: "o", Position: 2, Step: "ship#1"})
		l.checkReplays(order)
	})
}

// checkReplays replays all runs of some workflows, those that have ended too.
func (l *lab) checkReplays(defs ...workflow.Definition) { l.Helper(); l.checkReplaysOf("", defs...) }

// checkReplaysOf replays runs whose IDs begin alike.
func (l *lab) checkReplaysOf(prefix string, defs ...workflow.Definition) {
	l.Helper()
	check := engine.CheckReplayOptions{Ended: true, Filter: inspect.RunFilter{Prefix: prefix}}
	for c, err := range engine.CheckReplay(l.Context(), l.store, goldenOptions(defs), check) {
		if err != nil {
			l.Fatal(err)
		}
		if c.Verdict != engine.ReplaySame {
			l.Errorf("run %s: %s %s", c.RunID, c.Verdict, c.Detail)
		}
	}
}

// A fork's hooks have tokens of its own. What comes for the origin does not come for the fork.
func TestForkHasTokensOfItsOwn(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		steps := &stepLog{}
		wf := workflow.Define("wf", func(ctx workflow.Context, _ string) (string, error) {
			one, err := openHook(ctx)
			if err != nil {
				return "", err
			}
			named, err := openHook(ctx, workflow.Named("inbox"))
			if err != nil {
				return "", err
			}
			early, err := one.Wait(ctx)
			if err != nil {
				return "", err
			}
			if _, err := steps.step(ctx, "a"); err != nil {
				return "", err
			}
			late, err := one.Wait(ctx)
			if err != nil {
				return "", err
			}
			last, err := named.Wait(ctx)
			return early + late + last, err
		})
		l.run(opts, wf)
		origin := mustStart(l, wf, "", workflow.RunID("o"))
		of := func(run string) (tokens, ids []string) {
			hooks, err := l.eng.Hooks(t.Context(), inspect.HookFilter{RunID: run})
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range hooks {
				tokens, ids = append(tokens, h.Token), append(ids, h.ID)
			}
			return tokens, ids
		}
		tokens, ids := of("o")
		l.resume(tokens[0], "1")
		l.resume(tokens[0], "2")
		f := mustFork(l, origin, workflow.AtStep("a#1"), workflow.ForkID("f"))
		theirs, theirIDs := of("f")
		wantSame(l, "IDs of the hooks", theirIDs, ids)
		for i, token := range theirs {
			if slices.Contains(tokens, token) {
				t.Errorf("hook %s of the fork has the token of the origin's", theirIDs[i])
			}
		}
		l.resume(tokens[1], "3")
		if got := mustResult(l, origin); got != "123" {
			t.Errorf("the origin took %s", got)
		}
		wantStatus(l, f, workflow.StatusWaiting)
		l.resume(theirs[1], "c")
		l.resume(theirs[0], "b")
		if got := mustResult(l, f); got != "1bc" {
			t.Errorf("the fork took %s", got)
		}
		l.checkReplays(wf)
	})
}

// A token that the author has chosen can't be the fork's while it is the origin's.
func TestForkWithAChosenToken(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		steps := &stepLog{}
		wf := workflow.Define("wf", func(ctx workflow.Context, _ string) (string, error) {
			h, err := openHook(ctx, workflow.Token("order:7"))
			if err != nil {
				return "", err
			}
			if _, err := steps.step(ctx, "a"); err != nil {
				return "", err
			}
			return h.Wait(ctx)
		})
		l.run(opts, wf)
		origin := mustStart(l, wf, "", workflow.RunID("o"))
		for _, plan := range []bool{true, false} {
			_, err := origin.Fork(t.Context(), workflow.AtStep("a#1"))
			if plan {
				_, err = origin.PlanFork(t.Context(), workflow.AtStep("a#1"))
			}
			conflict, ok := errors.AsType[*workflow.HookConflictError](err)
			if !ok || conflict.Token != "order:7" || conflict.RunID != "o" {
				t.Fatalf("error is %v, want a *HookConflictError", err)
			}
		}
		l.resume("order:7", "1")
		if got := mustResult(l, origin); got != "1" {
			t.Errorf("the origin took %s", got)
		}
		f := mustFork(l, origin, workflow.AtStep("a#1"))
		l.resume("order:7", "2")
		if got := mustResult(l, f); got != "2" {
			t.Errorf("the fork took %s", got)
		}
	})
}

// What came with OrStart for a hook that the origin had not opened is the fork's as well, once.
func TestForkOfARunThatAPayloadStarted(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		steps, held := &stepLog{}, (<-chan struct{})(nil)
		wf := workflow.Define("wf", func(ctx workflow.Context, _ string) (string, error) {
			if err := workflow.Do(ctx, "wait", func(context.Context) error { <-held; return nil }); err != nil {
				return "", err
			}
			if _, err := steps.step(ctx, "a"); err != nil {
				return "", err
			}
			h, err := openHook(ctx, workflow.Token("tok"))
			if err != nil {
				return "", err
			}
			return h.Wait(ctx)
		})
		l.run(opts, wf)
		hold := make(chan struct{})
		held = hold
		info := l.resume("tok", "1", workflow.OrStart(wf, ""))
		origin := wf.Get(l.eng, info.RunID)
		for _, fork := range []func() error{
			func() error { _, err := origin.Fork(t.Context(), workflow.AtStep("wait#1")); return err },
			func() error { _, err := origin.PlanFork(t.Context(), workflow.AtStep("wait#1")); return err },
		} {
			if conflict, ok := errors.AsType[*workflow.HookConflictError](fork()); !ok || conflict.Token != "tok" || conflict.RunID != info.RunID {
				t.Errorf("a fork of a run that has a reservation: %v", conflict)
			}
		}
		close(hold)
		if got := mustResult(l, origin); got != "1" {
			t.Errorf("the origin took %s", got)
		}
		if got := mustResult(l, mustFork(l, origin, workflow.AtStep("a#1"))); got != "1" {
			t.Errorf("the fork took %s", got)
		}
		runs, err := l.eng.Runs(t.Context(), inspect.RunFilter{})
		if err != nil || len(runs) != 2 {
			t.Errorf("there are %d runs, want the origin and the fork, and no successor; %v", len(runs), err)
		}
		l.checkReplays(wf)
	})
}

// Children and steps that are under way begin again, under the fork's IDs.
func TestForkBeginsAnewWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		steps := &stepLog{}
		child := workflow.Define("child", func(ctx workflow.Context, _ string) (string, error) {
			h, err := openHook(ctx)
			if err != nil {
				return "", err
			}
			_, err = h.Wait(ctx)
			return workflow.InfoOf(ctx).RunID, err
		})
		broken := true
		wf := workflow.Define("wf", func(ctx workflow.Context, _ string) (string, error) {
			kid := child.Go(ctx, "")
			flaky := workflow.Go(ctx, func(ctx workflow.Context) (string, error) {
				return workflow.Step(ctx, "flaky", func(ctx context.Context) (string, error) {
					info := workflow.InfoOf(ctx)
					steps.ids = append(steps.ids, fmt.Sprint(info.StepID, " ", info.Attempt))
					if broken {
						return "", errors.New("broken")
					}
					return info.StepID, nil
				})
			})
			if err := workflow.Sleep(ctx, time.Hour); err != nil {
				return "", err
			}
			id, err := kid.Wait(ctx)
			if err != nil {
				return "", err
			}
			step, err := flaky.Wait(ctx)
			return id + " " + step, err
		})
		l.run(opts, wf, child)
		origin := mustStart(l, wf, "", workflow.RunID("o"))
		l.advance(2 * time.Second) // a second attempt
		info, err := origin.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		steps.taken()
		broken = false
		f := mustFork(l, origin, workflow.AtPosition(info.Events), workflow.ForkID("f"))
		wantSame(l, "steps", steps.taken(), []string{"f/flaky#1 1"})
		for _, run := range []string{"o", "f"} {
			hooks, err := l.eng.Hooks(t.Context(), inspect.HookFilter{RunID: run + ".child.1"})
			if err != nil || len(hooks) != 1 {
				t.Fatalf("run %s has no child: %v", run, err)
			}
			l.resume(hooks[0].Token, "")
		}
		l.advance(2 * time.Hour)
		if got := mustResult(l, f); got != "f.child.1 f/flaky#1" {
			t.Errorf("the fork got %s", got)
		}
		if got := mustResult(l, origin); got != "o.child.1 o/flaky#1" {
			t.Errorf("the origin got %s", got)
		}
		l.checkReplays(wf, child)
	})
}

// A child whose ID its author has chosen can't be started a second time.
func TestForkRefusesAChosenChild(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		child := workflow.Define("child", func(ctx workflow.Context, _ string) (string, error) {
			return "", workflow.Sleep(ctx, time.Hour)
		})
		wf := workflow.Define("wf", func(ctx workflow.Context, _ string) (string, error) {
			_, err := child.Call(ctx, "", workflow.RunID("chosen"))
			if exists, ok := errors.AsType[*workflow.RunExistsError](err); ok {
				return exists.RunID + " exists", nil
			}
			return "", err
		})
		l.run(opts, wf, child)
		origin := mustStart(l, wf, "", workflow.RunID("o"))
		_, err := origin.Fork(t.Context(), workflow.AtPosition(2))
		wantRefused(l, err, "chosen")
		if got := mustResult(l, mustFork(l, origin, workflow.AtPosition(1))); got != "chosen exists" {
			t.Errorf("the fork got %q", got)
		}
		l.advance(2 * time.Hour)
		mustResult(l, origin)
		mustResult(l, mustFork(l, origin, workflow.AtPosition(3)))
		l.checkReplays(wf, child)
	})
}

func wantRefused(l *lab, err error, parts ...string) {
	l.Helper()
	refused, ok := errors.AsType[*workflow.ForkRefusedError](err)
	if !ok {
		l.Fatalf("error is %v, want a *ForkRefusedError", err)
	}
	wantContains(l, refused.Reason, parts...)
}

// Deadlines that have passed since end at once, and what had been canceled is canceled.
func TestForkLater(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		steps := &stepLog{}
		child := workflow.Define("child", func(ctx workflow.Context, _ string) (string, error) {
			return "", workflow.Sleep(ctx, 1000*time.Hour)
		})
		wf := workflow.Define("wf", func(ctx workflow.Context, _ string) (string, error) {
			begin := workflow.Now(ctx)
			limited, cancel := workflow.WithTimeout(ctx, time.Hour)
			defer cancel()
			kid := child.Go(limited, "")
			if _, err := steps.step(ctx, "a"); err != nil {
				return "", err
			}
			_, err := kid.Wait(workflow.WithoutCancel(ctx))
			return fmt.Sprint(workflow.Now(ctx).Sub(begin), " ", errors.Is(err, workflow.ErrCanceled)), nil
		})
		l.run(opts, wf, child)
		origin := mustStart(l, wf, "", workflow.RunID("o"))
		l.advance(10 * time.Hour)
		if got := mustResult(l, origin); got != "1h0m0s true" {
			t.Errorf("the origin: %s", got)
		}
		// Before and after the deadline of the context of the child.
		for _, at := range []workflow.ForkOption{workflow.AtStep("a#1"), workflow.AtPosition(3)} {
			if got := mustResult(l, mustFork(l, origin, at)); got != "10h0m0s true" {
				t.Errorf("the fork: %s", got)
			}
		}
		l.checkReplays(wf, child)
	})
}

// A fork of a fork has the events of both, and the names of each in its part.
func TestForkOfAFork(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		steps := &stepLog{}
		wf := workflow.Define("wf", func(ctx workflow.Context, _ string) ([]string, error) {
			var all []string
			for _, name := range []string{"a", "b", "c", "d"} {
				id, err := steps.step(ctx, name)
				if err != nil {
					return nil, err
				}
				all = append(all, id, workflow.NewID(ctx), workflow.InfoOf(ctx).RunID)
			}
			return all, nil
		})
		l.run(opts, wf)
		o := mustStart(l, wf, "", workflow.RunID("o"))
		f := mustFork(l, o, workflow.AtStep("b#1"), workflow.ForkID("f"))
		g := mustFork(l, f, workflow.AtStep("d#1"), workflow.ForkID("g"))
		h := mustFork(l, g, workflow.AtStep("c#1"), workflow.ForkID("h"))
		i := mustFork(l, g, workflow.AtStep("a#1"), workflow.ForkID("i"))
		results := map[string][]string{}
		for _, r := range []*workflow.Run[[]string]{o, f, g, h, i} {
			results[r.ID()] = mustResult(l, r)
		}
		for id, want := range map[string]string{"o": "oooo", "f": "offf", "g": "offg", "h": "ofhh", "i": "iiii"} {
			for n, of := range strings.Split(want, "") {
				got := results[id][3*n : 3*n+3]
				ends := []string{of, "abcd"[n : n+1]}
				if got[0] != ends[0]+"/"+ends[1]+"#1" || got[2] != of {
					t.Errorf("part %d of %s has %v, want that of %s", n, id, got, of)
				}
				if same := results[of][3*n+1]; got[1] != same {
					t.Errorf("part %d of %s has the ID %s, %s has %s", n, id, got[1], of, same)
				}
			}
		}
		seen := map[string]string{}
		for _, id := range []string{"o", "f", "g", "h", "i"} {
			own := results[id][10]
			if other := seen[own]; other != "" && id != "h" {
				t.Errorf("%s and %s have drawn the same ID", id, other)
			}
			seen[own] = id
		}
		// A recording has no secrets, and replays all the same.
		var recorded bytes.Buffer
		exporter, err := engine.New(l.store, engine.Options{Workflows: []workflow.Definition{wf}})
		if err != nil {
			t.Fatal(err)
		}
		if err := exporter.ExportForReplay(t.Context(), &recorded, []string{"o", "f", "g", "h", "i"}, engine.ExportForReplayOptions{}); err != nil {
			t.Error(err)
		}
		if strings.Contains(recorded.String(), "secret") {
			t.Error("the recording has secrets")
		}
		l.checkReplays(wf)
	})
}

// A fork continues the generation of its origin.
func TestForkOfARunThatRestarted(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		steps := &stepLog{}
		first := func(ctx workflow.Context, restart restartFunc) (string, error) {
			if _, err := steps.step(ctx, "a"); err != nil {
				return "", err
			}
			return restart()
		}
		last := func(ctx workflow.Context, _ restartFunc) (string, error) {
			h, err := openHook(ctx, workflow.Named("inbox"))
			if err != nil {
				return "", err
			}
			id, err := steps.step(ctx, "a")
			if err != nil {
				return "", err
			}
			msg, err := h.Wait(ctx)
			return id + " " + msg, err
		}
		wf := restarting(first, first, last)
		l.run(opts, wf)
		o := startRestarting(l)
		info := wantStatus(l, o, workflow.StatusWaiting)
		_, err := o.Fork(t.Context(), workflow.AtPosition(info.Base))
		wantRefused(l, err, fmt.Sprintf("generation 1 ended after event %d", info.Base-1))
		_, err = o.Fork(t.Context(), workflow.AtStep("b#1.1"))
		wantRefused(l, err, `generation 1 has no step "b#1.1"; it has a#1.1`)
		_, err = o.Fork(t.Context(), workflow.AtStep("a#3.1"))
		wantRefused(l, err, `generation 2 has no step "a#3.1"; it has a#2.1`)
		steps.taken()
		f := mustFork(l, o, workflow.AtStep("a#2.1"), workflow.ForkID("f"))
		wantSame(l, "steps", steps.taken(), []string{"f/a#2.1"})
		hooks, err := l.eng.Hooks(t.Context(), inspect.HookFilter{RunID: "f"})
		if err != nil {
			t.Fatal(err)
		}
		l.resume(hooks[0].Token, "hello")
		if got := mustResult(l, f); got != "f/a#2.1 hello" {
			t.Errorf("the fork: %s", got)
		}
		wantStatus(l, o, workflow.StatusWaiting)
		l.checkReplays(wf)
	})
}

// Generations that are over are forked like the present one, and restart once more.
func TestForkOfAnEarlierGeneration(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		steps := &stepLog{}
		each := func(ctx workflow.Context) (string, error) {
			h, err := openHook(ctx, workflow.Named("inbox"))
			if err != nil {
				return "", err
			}
			drawn := workflow.NewID(ctx)
			for _, name := range []string{"a", "b"} {
				if _, err := steps.step(ctx, name); err != nil {
					return "", err
				}
			}
			msg, err := h.Wait(ctx)
			return drawn + " " + msg, err
		}
		goesOn := func(ctx workflow.Context, restart restartFunc) (string, error) {
			if _, err := each(ctx); err != nil {
				return "", err
			}
			return restart()
		}
		wf := restarting(goesOn, goesOn, func(ctx workflow.Context, _ restartFunc) (string, error) { return each(ctx) })
		l.run(opts, wf)
		o := startRestarting(l)
		send := func(id, msg string) {
			t.Helper()
			hooks, err := l.eng.Hooks(t.Context(), inspect.HookFilter{RunID: id})
			if err != nil || len(hooks) != 1 {
				t.Fatalf("hooks of %s: %v, %v", id, hooks, err)
			}
			l.resume(hooks[0].Token, msg)
		}
		send("r", "first")
		send("r", "second")
		wantStatus(l, o, workflow.StatusWaiting)
		steps.taken()

		plan, err := o.PlanFork(t.Context(), workflow.AtStep("b#1"))
		if err != nil {
			t.Fatal(err)
		}
		again := []string{}
		for _, a := range plan.Again {
			again = append(again, a.Step+" "+string(a.Status))
		}
		wantSame(l, "executed again", again, []string{"b#1 completed"})
		f := mustFork(l, o, workflow.AtStep("b#1"), workflow.ForkID("f"))
		g := mustFork(l, o, workflow.AtStep("a#1.1"), workflow.ForkID("g"))
		wantSame(l, "steps", steps.taken(), []string{"f/b#1", "g/a#1.1", "g/b#1.1"})
		for _, r := range []*workflow.Run[string]{f, g} {
			send(r.ID(), "first")
		}
		send("f", "second")
		wantSame(l, "steps", steps.taken(), []string{"f/a#1.1", "f/b#1.1", "g/a#2.1", "g/b#2.1", "f/a#2.1", "f/b#2.1"})
		for _, r := range []*workflow.Run[string]{o, f, g} {
			send(r.ID(), "end of "+r.ID())
			if got := mustResult(l, r); !strings.HasSuffix(got, " end of "+r.ID()) {
				t.Errorf("run %s: %s", r.ID(), got)
			}
			if info := wantStatus(l, r, workflow.StatusCompleted); info.Generation != 2 {
				t.Errorf("run %s has restarted %d times", r.ID(), info.Generation)
			}
		}
		l.checkReplays(wf)

		l.advance(time.Hour)
		if _, _, err := l.store.PruneGenerations(t.Context(), l.store.Now(), 1000); err != nil {
			t.Fatal(err)
		}
		for _, at := range []workflow.ForkOption{workflow.AtStep("b#1"), workflow.AtPosition(1)} {
			_, err := o.Fork(t.Context(), at)
			wantRefused(l, err, "was deleted", "KeepGenerationsFor")
		}
	})
}

// The fork of a generation that is over is executed by the version that executed that.
func TestForkOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		bot := workflow.Declare[string, string]("bot")
		v1 := bot.Implement(func(ctx workflow.Context, in string) (string, error) {
			h, err := openHook(ctx, workflow.Token("turn"))
			if err == nil {
				_, err = h.Wait(ctx)
			}
			if err != nil {
				return "", err
			}
			return bot.Restart(ctx, in+" of 1")
		})
		v2 := workflow.Define("bot", func(ctx workflow.Context, in string) (string, error) {
			return fmt.Sprintf("%s, version %d", in, workflow.InfoOf(ctx).Version), nil
		}, workflow.Version(2))
		l.run(engine.Options{Build: "1"}, v1)
		mustStart(l, bot, "in", workflow.RunID("r"))
		l.run(engine.Options{Build: "2"}, v1, v2)
		l.resume("turn", "")
		r := workflow.Get[string](l.eng, "r")
		mustResult(l, r)
		f := mustFork(l, r, workflow.AtPosition(1))
		if info := wantStatus(l, f, workflow.StatusWaiting); info.Version != 1 {
			t.Errorf("the fork is executed by version %d", info.Version)
		}
		l.resume("turn", "")
		if got := mustResult(l, f); got != "in of 1, version 2" {
			t.Error(got)
		}
	})
}

// A fork restarts, and its next generation is all its own.
func TestForkRestarts(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		steps := &stepLog{}
		wf := restarting(func(ctx workflow.Context, restart restartFunc) (string, error) {
			for _, name := range []string{"a", "b"} {
				if _, err := steps.step(ctx, name); err != nil {
					return "", err
				}
			}
			if err := workflow.Sleep(ctx, time.Hour); err != nil {
				return "", err
			}
			return restart()
		}, func(ctx workflow.Context, _ restartFunc) (string, error) {
			_, err := steps.step(ctx, "a")
			return workflow.NewID(ctx), err
		})
		l.run(opts, wf)
		o := startRestarting(l)
		f := mustFork(l, o, workflow.AtStep("b#1"), workflow.ForkID("f"))
		l.advance(2 * time.Hour)
		theirs := mustResult(l, o)
		if got := mustResult(l, f); got == theirs {
			t.Error("the fork and its origin have drawn the same ID")
		}
		executed := steps.taken()
		slices.Sort(executed)
		wantSame(l, "steps", executed, []string{"f/a#1.1", "f/b#1", "r/a#1", "r/a#1.1", "r/b#1"})
		g := mustFork(l, f, workflow.AtStep("a#1.1"), workflow.ForkID("g"))
		mustResult(l, g)
		wantSame(l, "steps", steps.taken(), []string{"g/a#1.1"})
		l.checkReplays(wf)
	})
}

// A fork is retried like any run, but does not lose what it has from its origin.
func TestRetryAFork(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		steps, broken := &stepLog{}, true
		wf := workflow.Define("wf", func(ctx workflow.Context, _ string) (string, error) {
			if _, err := steps.step(ctx, "a"); err != nil {
				return "", err
			}
			early := workflow.Do(ctx, "early", func(context.Context) error { return workflow.Fatal(errors.New("no")) })
			if err := workflow.Sleep(ctx, time.Hour); err != nil {
				return "", err
			}
			if broken {
				return "", early
			}
			_, err := steps.step(ctx, "b")
			return "", err
		})
		l.run(opts, wf)
		o := mustStart(l, wf, "", workflow.RunID("o"))
		l.advance(2 * time.Hour)
		_ = mustFail(l, o)
		f := mustFork(l, o, workflow.AtPosition(3), workflow.ForkID("f"))
		_ = mustFail(l, f)
		if refused, ok := errors.AsType[*workflow.RetryRefusedError](f.Retry(t.Context())); !ok || !strings.Contains(refused.Reason, "early#1") {
			t.Errorf("error is %v, want one that says that the step failed before the run was forked", refused)
		}
		broken, steps.ids = false, nil
		g := mustFork(l, o, workflow.AtPosition(3), workflow.ForkID("g"))
		mustResult(l, g)
		wantSame(l, "steps", steps.taken(), []string{"g/b#1"})
		l.checkReplaysOf("g", wf)
	})
}

// The callers of requests that came before the fork wait for the origin. The fork answers its own.
func TestForkAnswersItsOwnCallers(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		steps := &stepLog{}
		wf := workflow.Define("wf", func(ctx workflow.Context, inStep bool) (string, error) {
			hook, err := workflow.NewWebhook(ctx, workflow.RespondManually())
			if err != nil {
				return "", err
			}
			for {
				req, err := hook.Wait(ctx)
				if err != nil {
					return "", err
				}
				if _, err := steps.step(ctx, "a"); err != nil {
					return "", err
				}
				if inStep {
					err = workflow.Do(ctx, "respond", func(ctx context.Context) error {
						return req.Respond(ctx, workflow.Text(http.StatusOK, "answer to "+string(req.Body)))
					})
				} else {
					err = req.Respond(ctx, workflow.Text(http.StatusOK, "answer to "+string(req.Body)))
				}
				if err != nil || string(req.Body) == "end" {
					return workflow.InfoOf(ctx).RunID, err
				}
			}
		})
		opts.PublicURL = "https://app.test"
		l.run(opts, wf)
		for _, inStep := range []bool{true, false} {
			id := fmt.Sprint("o", inStep)
			o := mustStart(l, wf, inStep, workflow.RunID(id))
			ask := func(run, body string) string {
				t.Helper()
				hooks, err := l.eng.Hooks(t.Context(), inspect.HookFilter{RunID: run})
				if err != nil || len(hooks) != 1 {
					t.Fatalf("run %s has %d hooks, %v", run, len(hooks), err)
				}
				return l.post(hooks[0].Token, body)
			}
			if got := ask(id, "1"); got != "answer to 1" {
				t.Errorf("the origin answers %q", got)
			}
			f := mustFork(l, o, workflow.AtStep("a#1"), workflow.ForkID("f"+id))
			if got := ask(f.ID(), "2"); got != "answer to 2" {
				t.Errorf("the fork answers %q", got)
			}
			// What its origin did not answer, because the caller was not its own, is not answered here either.
			g := mustFork(l, f, workflow.AtStep("a#2"), workflow.ForkID("g"+id))
			for _, r := range []*workflow.Run[string]{o, f, g} {
				if got := ask(r.ID(), "end"); got != "answer to end" {
					t.Errorf("run %s answers %q", r.ID(), got)
				}
				if got := mustResult(l, r); got != r.ID() {
					t.Errorf("run %s returns %q", r.ID(), got)
				}
			}
		}
		l.checkReplays(wf)
	})
}

// Places that a run can't be forked at.
func TestForkRefused(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		steps := &stepLog{}
		wf := workflow.Define("wf", func(ctx workflow.Context, _ string) (string, error) { return steps.step(ctx, "a") })
		l.run(engine.Options{}, wf)
		o := mustStart(l, wf, "", workflow.RunID("o"))
		mustResult(l, o)
		for name, tt := range map[string]struct {
			opts []workflow.ForkOption
			want string
		}{
			"no place":          {nil, "say where"},
			"two places":        {[]workflow.ForkOption{workflow.AtStep("a#1"), workflow.AtPosition(1)}, "say where"},
			"no such step":      {[]workflow.ForkOption{workflow.AtStep("b#1")}, `no step "b#1"; it has a#1`},
			"the end":           {[]workflow.ForkOption{workflow.AtPosition(3)}, "ended after event 2"},
			"after the end":     {[]workflow.ForkOption{workflow.AtPosition(9)}, "ended after event 2"},
			"no such position":  {[]workflow.ForkOption{workflow.AtPosition(-1)}, "count from 1"},
			"no such version":   {[]workflow.ForkOption{workflow.AtPosition(1), workflow.ForkVersion(0)}, "count from 1"},
			"not an ID":         {[]workflow.ForkOption{workflow.AtPosition(1), workflow.ForkID("")}, "empty"},
			"an ID that is had": {[]workflow.ForkOption{workflow.AtPosition(1), workflow.ForkID("o")}, "exists"},
			"no step at all":    {[]workflow.ForkOption{workflow.AtStep("")}, "empty"},
		} {
			if _, err := o.Fork(t.Context(), tt.opts...); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: the error is %v, want one that has %q", name, err, tt.want)
			}
			if _, err := o.PlanFork(t.Context(), tt.opts...); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: the error of the plan is %v, want one that has %q", name, err, tt.want)
			}
		}
		_, err := wf.Get(l.eng, "none").Fork(t.Context(), workflow.AtPosition(1))
		wantIs(l, err, workflow.ErrRunNotFound)
		runs, err := l.eng.Runs(t.Context(), inspect.RunFilter{})
		if err != nil || len(runs) != 1 {
			t.Errorf("there are %d runs, %v", len(runs), err)
		}
	})
}

// A fork may go on with another version, if that does what the journal has.
func TestForkVersion(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		version := func(n int) workflow.Definition {
			return workflow.Define("wf", func(ctx workflow.Context, _ string) (string, error) {
				if err := workflow.Do(ctx, "a", func(context.Context) error { return nil }); err != nil {
					return "", err
				}
				return fmt.Sprint("version ", n), nil
			}, workflow.Version(n))
		}
		l.run(engine.Options{}, version(1))
		o := mustStart(l, workflow.Declare[string, string]("wf"), "", workflow.RunID("o"))
		mustResult(l, o)
		l.run(engine.Options{}, version(1), version(2))
		o = workflow.Get[string](l.eng, "o")
		if got := mustResult(l, mustFork(l, o, workflow.AtStep("a#1"))); got != "version 1" {
			t.Errorf("the fork: %s", got)
		}
		if got := mustResult(l, mustFork(l, o, workflow.AtStep("a#1"), workflow.ForkVersion(2))); got != "version 2" {
			t.Errorf("the fork: %s", got)
		}
	})
}

// An engine without the code forks runs as well, and so does a transaction of the application.
func TestForkFromElsewhere(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		steps := &stepLog{}
		wf := workflow.Define("wf", func(ctx workflow.Context, _ string) (string, error) { return steps.step(ctx, "a") })
		l.run(engine.Options{}, wf)
		mustResult(l, mustStart(l, wf, "", workflow.RunID("o")))
		f := mustFork(l, wf.Get(l.client(), "o"), workflow.AtStep("a#1"), workflow.ForkID("f"))
		if got := mustResult(l, workflow.Get[string](l.eng, f.ID())); got != "f/a#1" {
			t.Errorf("the fork: %s", got)
		}
	})
}

// post sends a request to a webhook, and returns what its caller gets.
func (l *lab) post(token, body string) string {
	l.Helper()
	hook, err := l.eng.Webhook(l.Context(), token)
	if err != nil {
		l.Fatal(err)
	}
	resp, err := hook.Deliver(l.Context(), &workflow.Request{Method: "POST", URL: mustURL("/hook"), Header: http.Header{}, Body: []byte(body)})
	if err != nil {
		l.Fatal(err)
	}
	return string(resp.Body)
}

// A run can be forked after each of its events, whatever it is in the middle of: the fork goes on, and
// replays.
func TestForkAnywhere(t *testing.T) {
	t.Parallel()
	for _, c := range constructs {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inBank(t, func(t *testing.T, b *bank) {
				w := b.stage(t)
				defs := c.define(w)
				b.run(goldenOptions(c.before(w)))
				w.eng = b.eng
				c.begin(w)
				w.mended = true
				b.run(goldenOptions(defs))
				w.eng = b.eng
				c.finish(w)
				w.rest()
				for _, id := range c.all() {
					b.forkAnywhere(id, defs)
				}
			})
		})
	}
}

// forkAnywhere forks a run after each event, of generations that are over too.
func (b *bank) forkAnywhere(id string, defs []workflow.Definition) {
	b.Helper()
	events, err := b.store.Journal(b.Context(), id, 0, 10_000)
	if err != nil {
		b.Fatal(err)
	}
	var generation []store.Event // up to the place
	number := 0
	for _, e := range events[:len(events)-1] {
		if e.Kind == store.Restarted {
			generation, number = nil, number+1
			continue
		}
		e.OrStart = nil
		generation = append(generation, e)
		at := e.Position
		f, err := workflow.Get[any](b.eng, id).Fork(b.Context(), workflow.AtPosition(at), workflow.ForkID(fmt.Sprint(id, " from ", at)))
		if refused, ok := errors.AsType[*workflow.ForkRefusedError](err); ok && strings.Contains(refused.Reason, "author has chosen") {
			continue
		}
		if err != nil {
			b.Fatalf("fork %s after event %d: %v", id, at, err)
		}
		b.advance(time.Minute)
		fork, err := b.store.Load(b.Context(), f.ID(), 0)
		if err != nil {
			b.Fatal(err)
		}
		if fork.Run.Status == store.Blocked {
			b.Errorf("the fork of %s after event %d is blocked: %s", id, at, fork.Run.BlockedReason)
		}
		if n := len(generation); int(fork.Run.Generation) == number {
			wantSame(b.lab, fmt.Sprintf("events of the fork of %s after event %d", id, at), fork.Events[:n], generation)
			if kind := fork.Events[n].Kind; kind != store.Forked {
				b.Errorf("the first event of the fork of %s after event %d is %s", id, at, kind)
			}
		}
		b.checkReplaysOf(f.ID(), defs...)
		if !fork.Run.Status.Ended() {
			b.resumeAll(f.ID(), defs)
			if err := f.Terminate(b.Context(), "enough"); err != nil && !errors.Is(err, workflow.ErrRunEnded) {
				b.Error(err)
			}
		}
	}
}

// resumeAll sends something to each open hook of a run.
func (b *bank) resumeAll(id string, defs []workflow.Definition) {
	b.Helper()
	hooks, err := b.eng.Hooks(b.Context(), inspect.HookFilter{RunID: id})
	if err != nil {
		b.Fatal(err)
	}
	for _, h := range hooks {
		if h.Webhook {
			continue
		}
		if _, err := workflow.Resume(b.Context(), b.eng, h.Token, nil); err != nil && !errors.Is(err, workflow.ErrHookNotFound) {
			if _, ok := errors.AsType[*workflow.PayloadError](err); !ok {
				b.Errorf("resume hook %s: %v", h.ID, err)
			}
		}
	}
	b.advance(time.Minute)
	b.checkReplaysOf(id, defs...)
}

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"zombiezen.com/go/sqlite"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	sqlitestore "github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// errOverdue is what order fails with.
var errOverdue = workflow.DefineError("order is late")

// awaitedOrder is a workflow that others await: it ends with what its hook, whose token is its ID, gets.
var awaitedOrder = workflow.Define("order", func(ctx workflow.Context, _ string) (int, error) {
	h, err := workflow.NewHook[int](ctx, workflow.Token(workflow.InfoOf(ctx).RunID))
	if err != nil {
		return 0, err
	}
	n, err := h.Wait(ctx)
	if n < 0 {
		err = fmt.Errorf("%d days: %w", n, errOverdue)
	}
	return n, err
})

// waiter is a workflow that awaits the run whose ID it gets.
var waiter = workflow.Define("waiter", func(ctx workflow.Context, id string) (int, error) {
	return workflow.Await[int](ctx, id).Wait(ctx)
})

func startOrder(l *lab, id string) *workflow.Run[int] {
	l.Helper()
	return mustStart(l, awaitedOrder, "", workflow.RunID(id))
}

// subscriptions are those of a run, as the store has them.
func subscriptions(l *lab, runID string) []string {
	l.Helper()
	a, err := l.store.Export(l.Context(), runID)
	if err != nil {
		l.Fatal(err)
	}
	all := []string{}
	for _, s := range a.Subscriptions {
		all = append(all, s.Ref+" "+s.Target)
	}
	return all
}

// A run that awaits another one is parked, and gets its result, whether it began before or after
// the end.
func TestAwait(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		l.run(opts, awaitedOrder, waiter)
		target := startOrder(l, "o")
		var waiters []*workflow.Run[int]
		for range 3 {
			w := mustStart(l, waiter, "o")
			if info := wantStatus(l, w, workflow.StatusWaiting); info.Worker != "" {
				t.Errorf("a worker owns the run that awaits another one: %+v", info)
			}
			waiters = append(waiters, w)
		}
		l.resume("o", 7)
		if got := mustResult(l, target); got != 7 {
			t.Errorf("the order came to %d", got)
		}
		waiters = append(waiters, mustStart(l, waiter, "o"))
		for _, w := range waiters {
			if got := mustResult(l, w); got != 7 {
				t.Errorf("who awaited it got %d", got)
			}
			want := []string{"started", "awaited_completed 1 of order run o", "completed"}
			if diff := cmp.Diff(want, l.journal(w.ID())); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// The error of an awaited run is that of Result.
func TestAwaitFailure(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("asks", func(ctx workflow.Context, id string) (string, error) {
			n, err := workflow.Await[int](ctx, id).Wait(ctx)
			failed, ok := errors.AsType[*workflow.RunError](err)
			if !ok {
				return "", fmt.Errorf("%d, %w", n, err)
			}
			return fmt.Sprint(failed.RunID, " ", failed.Workflow, ": ", failed.Err, "; late ", errors.Is(err, errOverdue),
				", canceled ", errors.Is(err, workflow.ErrCanceled), ", terminated ", errors.Is(err, workflow.ErrTerminated)), nil
		})
		l.run(engine.Options{CacheSize: noCache}, awaitedOrder, wf)
		ctx := t.Context()
		for _, tt := range []struct {
			id, want string
			end      func(*workflow.Run[int]) error
		}{
			{"failed", "failed order: -3 days: order is late; late true, canceled false, terminated false", func(*workflow.Run[int]) error {
				_, err := workflow.Resume(ctx, l.eng, "failed", -3)
				return err
			}},
			{"canceled", "canceled order: context canceled; late false, canceled true, terminated false", func(r *workflow.Run[int]) error { return r.Cancel(ctx) }},
			{"terminated", "terminated order: terminated: enough; late false, canceled true, terminated true", func(r *workflow.Run[int]) error { return r.Terminate(ctx, "enough") }},
		} {
			target := startOrder(l, tt.id)
			before := mustStart(l, wf, tt.id)
			if err := tt.end(target); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			after := mustStart(l, wf, tt.id)
			for _, r := range []*workflow.Run[string]{before, after} {
				if got := mustResult(l, r); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
			}
		}
	})
}

// What can't be awaited says why, and where the cycle goes.
func TestAwaitRefused(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		l.run(opts, awaitedOrder, waiter, define("text"))
		mustStart(l, waiter, "o", workflow.RunID("early"))
		for in, want := range map[string]error{"none": workflow.ErrRunNotFound, "": workflow.ErrInvalidName, "a\nb": workflow.ErrInvalidName} {
			err := mustFail(l, mustStart(l, waiter, in))
			wantIs(l, err, want)
			wantContains(l, err.Error(), "await run "+in)
		}
		err := mustFail(l, mustStart(l, waiter, "self", workflow.RunID("self")))
		wantIs(l, err, workflow.ErrAwaitCycle)
		wantContains(l, err.Error(), "await run self: runs await each other: self awaits self")

		mustResult(l, mustStart(l, define("text"), "a word", workflow.RunID("text")))
		err = mustFail(l, mustStart(l, waiter, "text"))
		wantContains(l, err.Error(), "result of run text: decode", "string", "int")
		wantIs(l, mustFail(l, workflow.Get[int](l.eng, "early")), workflow.ErrRunNotFound)
	})
}

func TestAwaitCycle(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		ring := workflow.Define("ring", func(ctx workflow.Context, next string) (string, error) {
			h, err := workflow.NewHook[string](ctx, workflow.Token(workflow.InfoOf(ctx).RunID))
			if err != nil {
				return "", err
			}
			if _, err := h.Wait(ctx); err != nil {
				return "", err
			}
			return workflow.Await[string](ctx, next).Wait(ctx)
		})
		l.run(opts, ring)
		var runs []*workflow.Run[string]
		for i := range 4 {
			runs = append(runs, mustStart(l, ring, fmt.Sprint("r", (i+1)%4), workflow.RunID(fmt.Sprint("r", i))))
		}
		for i := range 4 {
			l.resume(fmt.Sprint("r", i), "")
		}
		err := mustFail(l, runs[3])
		wantIs(l, err, workflow.ErrAwaitCycle)
		wantContains(l, err.Error(), "await run r0: runs await each other: r0 awaits r1, r1 awaits r2, r2 awaits r3, r3 awaits r0")
		for _, r := range runs[:3] { // the others learn of its failure
			wantIs(l, mustFail(l, r), workflow.ErrAwaitCycle)
		}
	})
}

// A future of another run is a future like others: it can be selected, with a timeout or without,
// and waited for more than once.
func TestAwaitSelect(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		wf := workflow.Define("selects", func(ctx workflow.Context, _ string) ([]string, error) {
			var got []string
			a, b := workflow.Await[int](ctx, "a"), workflow.Await[int](ctx, "b")
			for range 4 {
				took := func(name string) func(int, error) error {
					return func(n int, err error) error { got = append(got, fmt.Sprint(name, n, err)); return nil }
				}
				err := workflow.Select(ctx, workflow.OnDone(b, took("b")), workflow.OnDone(a, took("a")),
					workflow.OnTimer(time.Hour, func() error { got = append(got, "timer"); return nil }))
				if err != nil {
					return nil, err
				}
				if err := workflow.Sleep(ctx, time.Hour); err != nil {
					return nil, err
				}
			}
			i, n, err := workflow.First(ctx, a.Wait, b.Wait)
			got = append(got, fmt.Sprint(i, n, err))
			return got, nil
		})
		l.run(opts, awaitedOrder, wf)
		startOrder(l, "a")
		startOrder(l, "b")
		r := mustStart(l, wf, "")
		l.advance(90 * time.Minute)
		l.resume("a", 1)
		l.advance(4 * time.Hour)
		l.resume("b", 2)
		want := []string{"timer", "a1 <nil>", "a1 <nil>", "a1 <nil>", "0 1 <nil>"}
		if diff := cmp.Diff(want, mustResult(l, r)); diff != "" {
			t.Error(diff)
		}
	})
}

// When its context ends a run is awaited no more: the store forgets it.
func TestAwaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		wf := workflow.Define("impatient", func(ctx workflow.Context, _ string) (string, error) {
			short, cancel := workflow.WithTimeout(ctx, time.Hour)
			defer cancel()
			future := workflow.Await[int](short, "o")
			_, err := future.Wait(short)
			_, again := future.Wait(ctx)
			late := workflow.Await[int](short, "o")
			_, third := late.Wait(ctx)
			quick, done := workflow.WithCancel(ctx)
			_ = workflow.Await[int](quick, "o")
			done()
			kept := workflow.Await[int](workflow.WithoutCancel(ctx), "o")
			n, last := kept.Wait(ctx)
			if last != nil { // it was asked to cancel
				n, last = kept.Wait(workflow.WithoutCancel(ctx))
			}
			return fmt.Sprint(err, "|", again, "|", third, "|", n, " ", last), nil
		})
		l.run(opts, awaitedOrder, wf)
		target := startOrder(l, "o")
		r := mustStart(l, wf, "", workflow.RunID("r"))
		if diff := cmp.Diff([]string{"1 o"}, subscriptions(l, "r")); diff != "" {
			t.Error(diff)
		}
		l.advance(2 * time.Hour)
		if diff := cmp.Diff([]string{"3 o"}, subscriptions(l, "r")); diff != "" {
			t.Error(diff)
		}
		if err := r.Cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.advance(time.Hour)
		l.resume("o", 5)
		mustResult(l, target)
		want := "context deadline exceeded|await run o: context deadline exceeded|await run o: context deadline exceeded|5 <nil>"
		if got := mustResult(l, r); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if got := slices.DeleteFunc(l.journal("r"), func(e string) bool { return !strings.HasPrefix(e, "await") }); len(got) != 1 {
			t.Errorf("it was told %v", got)
		}
	})
}

// A run that ends leaves no subscription behind.
func TestAwaitEndsWithItsRun(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("hasty", func(ctx workflow.Context, s string) (string, error) {
			_ = workflow.Await[int](ctx, "o")
			if s == "restart" {
				return workflow.Restart[string](ctx, "")
			}
			return s, workflow.Sleep(ctx, time.Hour)
		})
		l.run(engine.Options{}, awaitedOrder, wf)
		startOrder(l, "o")
		mustResult(l, mustStart(l, wf, "done", workflow.RunID("done")))
		again := mustStart(l, wf, "restart", workflow.RunID("again"))
		if diff := cmp.Diff([]string{"1.1 o"}, subscriptions(l, "again")); diff != "" {
			t.Error(diff)
		}
		if err := again.Cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantIs(l, mustFail(l, again), workflow.ErrCanceled)
		if err := mustStart(l, wf, "gone", workflow.RunID("gone")).Terminate(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"done", "again", "gone"} {
			if got := subscriptions(l, id); len(got) > 0 {
				t.Errorf("run %s has ended and awaits %v", id, got)
			}
		}
	})
}

// A run that awaits another one goes on waiting when that restarts.
func TestAwaitRestartingRun(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		wf := workflow.Define("asks", func(ctx workflow.Context, _ string) (string, error) {
			return workflow.Await[string](ctx, "r").Wait(ctx)
		})
		l.run(opts, wf, restarting(
			func(ctx workflow.Context, restart func() (string, error)) (string, error) {
				_ = workflow.Sleep(ctx, time.Hour)
				return restart()
			},
			func(ctx workflow.Context, _ func() (string, error)) (string, error) {
				return "in the end", workflow.Sleep(ctx, time.Hour)
			},
		))
		startRestarting(l)
		r := mustStart(l, wf, "")
		l.advance(90 * time.Minute)
		wantStatus(l, r, workflow.StatusWaiting)
		if got := mustResult(l, r); got != "in the end" {
			t.Errorf("result is %q", got)
		}
	})
}

// What a generation has been told too late is recorded, and does not reach the next, which gets what
// it has asked for itself.
func TestAwaitOfAnEarlierGeneration(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		l.run(opts, awaitedOrder, restarting(
			func(ctx workflow.Context, restart func() (string, error)) (string, error) {
				_ = workflow.Await[int](ctx, "a")
				_ = workflow.Do(ctx, "slow", func(ctx context.Context) error { // the end of a comes meanwhile
					_, err := workflow.Resume(ctx, workflow.ClientFrom(ctx), "a", 1)
					if err == nil {
						_, err = workflow.Get[int](workflow.ClientFrom(ctx), "a").Result(ctx)
					}
					return err
				})
				return restart()
			},
			func(ctx workflow.Context, _ func() (string, error)) (string, error) {
				n, err := workflow.Await[int](ctx, "b").Wait(ctx)
				return fmt.Sprint(n), err
			},
		))
		startOrder(l, "a")
		startOrder(l, "b")
		r := startRestarting(l)
		l.advance(time.Hour)
		wantStatus(l, r, workflow.StatusWaiting)
		l.resume("b", 2)
		if got := mustResult(l, r); got != "2" {
			t.Errorf("result is %q", got)
		}
	})
}

// A failed run has told its failure. When it is retried, who awaited it may be retried too, and
// awaits it again.
func TestAwaitAndRetry(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		broken := true
		target := workflow.Define("target", func(ctx workflow.Context, _ string) (int, error) {
			if err := workflow.Sleep(ctx, time.Hour); err != nil {
				return 0, err
			}
			if broken {
				return 0, errOverdue
			}
			return 9, workflow.Sleep(ctx, 10*time.Hour)
		})
		l.run(opts, target, waiter)
		first := mustStart(l, target, "", workflow.RunID("t"))
		told, missing := mustStart(l, waiter, "t"), mustStart(l, waiter, "u")
		l.advance(2 * time.Hour)
		for _, r := range []*workflow.Run[int]{first, told} {
			wantIs(l, mustFail(l, r), errOverdue)
		}
		wantIs(l, mustFail(l, missing), workflow.ErrRunNotFound)
		if err := told.Retry(t.Context()); err != nil { // that is too early
			t.Fatal(err)
		}
		synctest.Wait()
		wantIs(l, mustFail(l, told), errOverdue)
		broken = false
		mustStart(l, target, "", workflow.RunID("u"))
		for _, r := range []*workflow.Run[int]{first, told, missing} {
			if err := r.Retry(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		wantStatus(l, told, workflow.StatusWaiting)
		for _, r := range []*workflow.Run[int]{first, told, missing, mustStart(l, waiter, "t")} {
			if got := mustResult(l, r); got != 9 {
				t.Errorf("run %s came to %d", r.ID(), got)
			}
		}
	})
}

// A run is told though its worker dies before the end, and though the one that ends the other run
// dies with it.
func TestAwaitSurvivesCrashes(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		opts := engine.Options{}
		l.run(opts, awaitedOrder, waiter)
		startOrder(l, "o")
		r := mustStart(l, waiter, "o")
		l.kill()
		if _, err := workflow.Resume(t.Context(), l.client(), "o", 3); err != nil {
			t.Fatal(err)
		}
		l.run(opts, awaitedOrder) // it does not have the workflow of the run that awaits
		l.advance(time.Minute)
		l.kill()
		l.run(opts, awaitedOrder, waiter)
		if got := mustResult(l, workflow.Get[int](l.eng, r.ID())); got != 3 {
			t.Errorf("result is %d", got)
		}
	})
}

// More than one commit tells are told afterwards, though the process dies in between.
func TestAwaitedByMany(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		const n = store.TellAtOnce + 200
		opts := engine.Options{CacheSize: noCache}
		l.run(opts, awaitedOrder, waiter)
		startOrder(l, "o")
		var runs []*workflow.Run[int]
		for range n {
			r, err := waiter.Start(t.Context(), l.eng, "o")
			if err != nil {
				t.Fatal(err)
			}
			runs = append(runs, r)
		}
		l.gate.set(func(g *gate) { g.refuseTelling = true })
		l.resume("o", 5)
		left := 0
		for _, r := range runs {
			left += len(subscriptions(l, r.ID()))
		}
		if left != n-store.TellAtOnce {
			t.Errorf("%d of %d are still to be told, the commit should have told all but %d", left, n, n-store.TellAtOnce)
		}
		l.kill()
		l.run(opts, awaitedOrder, waiter)
		for _, r := range runs {
			if got := mustResult(l, workflow.Get[int](l.eng, r.ID())); got != 5 {
				t.Errorf("result is %d", got)
			}
		}
	})
}

// Those that await a run which a transaction of the application ends are told soon, too.
func TestAwaitedByManyEndedWithin(t *testing.T) {
	t.Parallel()
	inBank(t, func(t *testing.T, b *bank) {
		const n = store.TellAtOnce + 10
		b.run(engine.Options{CacheSize: noCache}, awaitedOrder, waiter)
		startOrder(b.lab, "o")
		var runs []*workflow.Run[int]
		for range n {
			r, err := waiter.Start(t.Context(), b.eng, "o")
			if err != nil {
				t.Fatal(err)
			}
			runs = append(runs, r)
		}
		b.advance(time.Second)
		err := b.tx(func(c *sqlite.Conn) error {
			return awaitedOrder.Get(b.eng.WithTx(sqlitestore.Tx(c)), "o").Terminate(t.Context(), "")
		})
		if err != nil {
			t.Fatal(err)
		}
		b.advance(5 * time.Second)
		for _, r := range runs {
			if info, err := b.eng.RunInfo(t.Context(), r.ID()); err != nil || !info.Status.Ended() {
				t.Fatalf("5 s after the end of the run that it awaits, run %s is %s, %v", r.ID(), info.Status, err)
			}
		}
	})
}

// A run that is not there any more can't be awaited.
func TestAwaitPrunedRun(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{KeepEnded: time.Hour, DedupeFor: time.Hour}, awaitedOrder, waiter)
		target := startOrder(l, "o")
		l.resume("o", 1)
		mustResult(l, target)
		l.advance(2 * time.Hour)
		wantIs(l, mustFail(l, mustStart(l, waiter, "o")), workflow.ErrRunNotFound)
	})
}

// A fork awaits what its origin has awaited, and was not told in the events that it has.
func TestAwaitOfAFork(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		wf := workflow.Define("both", func(ctx workflow.Context, _ string) ([]int, error) {
			a, b := workflow.Await[int](ctx, "a"), workflow.Await[int](ctx, "b")
			return workflow.All(ctx, a.Wait, b.Wait)
		})
		l.run(opts, awaitedOrder, wf)
		startOrder(l, "a")
		startOrder(l, "b")
		origin := mustStart(l, wf, "", workflow.RunID("origin"))
		l.resume("a", 1)
		fork, err := origin.Fork(t.Context(), workflow.AtPosition(2))
		if err != nil {
			t.Fatal(err)
		}
		early, err := origin.Fork(t.Context(), workflow.AtPosition(1))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, r := range []*workflow.Run[[]int]{origin, fork, early} { // the last was told about a at once
			if diff := cmp.Diff([]string{"2 b"}, subscriptions(l, r.ID())); diff != "" {
				t.Errorf("run %s: %s", r.ID(), diff)
			}
		}
		l.resume("b", 2)
		for _, r := range []*workflow.Run[[]int]{origin, fork, early} {
			if diff := cmp.Diff([]int{1, 2}, mustResult(l, r)); diff != "" {
				t.Errorf("run %s: %s", r.ID(), diff)
			}
		}
	})
}

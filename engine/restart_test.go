package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// diary is the input of a bot: what its generations have taken, and the IDs of their steps.
type diary struct {
	Taken []string
	Steps []string
	Per   int // messages for each generation
}

// newBot returns a bot that takes messages for a token, restarts after each few, and ends at "end".
func newBot(token string) workflow.Definition {
	bot := workflow.Declare[diary, diary]("bot")
	return bot.Implement(func(ctx workflow.Context, d diary) (diary, error) {
		inbox, err := workflow.NewHook[string](ctx, workflow.Token(token))
		if err != nil {
			return d, err
		}
		defer inbox.Close()
		for range d.Per {
			msg, err := inbox.Wait(ctx)
			if err != nil {
				return d, err
			}
			id, err := workflow.Step(ctx, "handle", func(ctx context.Context) (string, error) { return workflow.InfoOf(ctx).StepID, nil })
			if err != nil {
				return d, err
			}
			d.Taken, d.Steps = append(d.Taken, msg), append(d.Steps, id)
			if msg == "end" {
				return d, nil
			}
		}
		return bot.Restart(ctx, d)
	})
}

// A bot takes every message, once and in order, in as many generations as it likes.
func TestRestart(t *testing.T) {
	t.Parallel()
	for _, cache := range []int{0, noCache} {
		for _, upFront := range []bool{true, false} {
			t.Run(fmt.Sprintf("CacheSize %d, all up front %t", cache, upFront), func(t *testing.T) {
				t.Parallel()
				inLab(t, func(t *testing.T, l *lab) {
					l.run(engine.Options{CacheSize: cache}, newBot("inbox"))
					run := mustStart(l, workflow.Declare[diary, diary]("bot"), diary{Per: 3}, workflow.RunID("bot"))
					l.advance(time.Second)
					var want []string
					for i := range 20 {
						want = append(want, fmt.Sprint("message ", i))
						l.resume("inbox", want[i])
						if !upFront {
							l.advance(time.Second)
						}
					}
					want = append(want, "end")
					l.resume("inbox", "end")
					got, err := run.Result(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(want, got.Taken); diff != "" {
						t.Errorf("messages (-want +got):\n%s", diff)
					}
					seen := map[string]bool{}
					for _, id := range got.Steps {
						if seen[id] {
							t.Errorf("two steps have the ID %q: the second would not be executed by a system that goes by it", id)
						}
						seen[id] = true
					}
					if first, last := got.Steps[0], got.Steps[len(got.Steps)-1]; first != "bot/handle#1" || last != "bot/handle#6.3" {
						t.Errorf("the first step is %s, the last %s", first, last)
					}
				})
			})
		}
	}
}

// generation is the input of workflows that do something else in each generation.
type generation struct{ N int }

// restarting defines a workflow by what each of its generations does; the last one's result is the
// run's.
func restarting(generations ...func(ctx workflow.Context, restart func() (string, error)) (string, error)) workflow.Definition {
	w := workflow.Declare[generation, string]("restarting")
	return w.Implement(func(ctx workflow.Context, g generation) (string, error) {
		return generations[g.N](ctx, func() (string, error) { return w.Restart(ctx, generation{g.N + 1}) })
	})
}

func startRestarting(l *lab) *workflow.Run[string] {
	l.Helper()
	return mustStart(l, workflow.Declare[generation, string]("restarting"), generation{}, workflow.RunID("r"))
}

// eachCache calls f in a lab with runs that are cached, and with runs that are replayed.
func eachCache(t *testing.T, f func(t *testing.T, l *lab, opts engine.Options)) {
	t.Helper()
	for _, cache := range []int{0, noCache} {
		t.Run(fmt.Sprintf("CacheSize %d", cache), func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) { f(t, l, engine.Options{CacheSize: cache}) })
		})
	}
}

type restartFunc = func() (string, error)

func openHook(ctx workflow.Context, opts ...workflow.HookOption) (*workflow.Hook[string], error) {
	return workflow.NewHook[string](ctx, opts...)
}

// Between two generations a token is not free, and what is sent to it then comes to the next, as
// well as what the generation before had not taken.
func TestRestartKeepsTokens(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		take := func(ctx workflow.Context, n int, token workflow.HookOption) (string, error) {
			h, err := openHook(ctx, token)
			if err != nil {
				return "", err
			}
			var all []string
			for range n {
				s, err := h.Wait(ctx)
				if err != nil {
					return "", err
				}
				all = append(all, s)
			}
			return strings.Join(all, " "), nil
		}
		l.run(opts, restarting(
			func(ctx workflow.Context, restart restartFunc) (string, error) {
				if _, err := take(ctx, 1, workflow.Token("a")); err != nil {
					return "", err
				}
				return restart()
			},
			func(ctx workflow.Context, restart restartFunc) (string, error) { // it opens the hook late, and takes nothing
				if err := workflow.Sleep(ctx, time.Hour); err != nil {
					return "", err
				}
				if _, err := openHook(ctx, workflow.Token("a")); err != nil {
					return "", err
				}
				return restart()
			},
			func(ctx workflow.Context, _ restartFunc) (string, error) { return take(ctx, 5, workflow.Token("a")) },
		), workflow.Define("thief", func(ctx workflow.Context, _ string) (string, error) {
			_, err := openHook(ctx, workflow.Token("a"))
			return "", err
		}))
		r := startRestarting(l)
		hook, err := l.eng.HookByToken(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			l.resume("a", fmt.Sprint(i))
		}
		l.advance(time.Minute)
		carried, err := l.eng.HookByToken(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if carried.ID != hook.ID || !carried.CreatedAt.Equal(hook.CreatedAt) || !carried.Carried || hook.Carried {
			t.Errorf("the hook was %+v, and carried over it is %+v", hook, carried)
		}
		var conflict *workflow.HookConflictError
		thief := mustStart(l, workflow.Declare[string, string]("thief"), "")
		if err := mustFail(l, thief); !errors.As(err, &conflict) || conflict.RunID != "r" {
			t.Errorf("a run that asks for a carried token: %v", err)
		}
		l.resume("a", "4")
		l.advance(time.Hour)
		l.resume("a", "5")
		if got := mustResult(l, r); got != "1 2 3 4 5" {
			t.Errorf("the last generation took %q", got)
		}
		if _, err := l.eng.HookByToken(t.Context(), "a"); !errors.Is(err, workflow.ErrHookNotFound) {
			t.Errorf("the hook of a run that has ended: %v", err)
		}
	})
}

// The token of a named hook is generated, and the same in each generation.
func TestNamedHook(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		tokens := make(chan string, 20)
		open := func(ctx workflow.Context, name string) (*workflow.Hook[string], error) {
			h, err := openHook(ctx, workflow.Named(name))
			if err == nil {
				err = workflow.Do(ctx, "tell", func(context.Context) error { tokens <- h.Token(); return nil })
			}
			return h, err
		}
		l.run(opts, restarting(
			func(ctx workflow.Context, restart restartFunc) (string, error) {
				_, errA := open(ctx, "ada")
				_, errB := open(ctx, "bob")
				if err := errors.Join(errA, errB); err != nil {
					return "", err
				}
				return restart()
			},
			func(ctx workflow.Context, _ restartFunc) (string, error) { // in another order
				b, errB := open(ctx, "bob")
				a, errA := open(ctx, "ada")
				if err := errors.Join(errA, errB); err != nil {
					return "", err
				}
				toB, errB := b.Wait(ctx)
				toA, errA := a.Wait(ctx)
				return toA + toB, errors.Join(errA, errB)
			},
		))
		r := startRestarting(l)
		l.advance(time.Second)
		ada, bob := <-tokens, <-tokens
		if ada == bob || len(ada) != 32 {
			t.Fatalf("the tokens are %q and %q", ada, bob)
		}
		l.resume(bob, "b")
		l.resume(ada, "a")
		if got := mustResult(l, r); got != "ab" {
			t.Errorf("the hooks got %q", got)
		}
		if b, a := <-tokens, <-tokens; a != ada || b != bob {
			t.Errorf("the tokens were %q and %q, and are %q and %q", ada, bob, a, b)
		}
	})
}

// What was closed before the restart stays closed; what the next generation does not open is closed
// when that one restarts or ends, and what came for it is unread.
func TestRestartClosesWhatNobodyOpens(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		wait := func(ctx workflow.Context, restart restartFunc) (string, error) {
			h, err := openHook(ctx, workflow.Token("turn"))
			if err == nil {
				_, err = h.Wait(ctx)
			}
			if err != nil {
				return "", err
			}
			return restart()
		}
		l.run(opts, restarting(
			func(ctx workflow.Context, restart restartFunc) (string, error) {
				closed, errC := openHook(ctx, workflow.Token("closed"))
				kept, errK := openHook(ctx, workflow.Token("kept"))
				if err := errors.Join(errC, errK); err != nil {
					return "", err
				}
				out, err := wait(ctx, func() (string, error) { closed.Close(); return "", nil })
				if err != nil {
					return out, err
				}
				defer kept.Close() // does nothing
				return restart()
			},
			wait, wait, func(ctx workflow.Context, _ restartFunc) (string, error) { return "over", nil },
		))
		r := startRestarting(l)
		l.resume("closed", "never read")
		l.resume("kept", "not yet read")
		open := func() (tokens []string) {
			hooks, err := l.eng.Hooks(t.Context(), inspect.HookFilter{RunID: "r"})
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range hooks {
				tokens = append(tokens, h.Token)
			}
			return tokens
		}
		for _, want := range [][]string{{"closed", "kept", "turn"}, {"kept", "turn"}, {"turn"}, nil} {
			if diff := cmp.Diff(want, open()); diff != "" {
				t.Errorf("open hooks (-want +got):\n%s", diff)
			}
			if want != nil {
				l.resume("turn", "")
				l.advance(time.Second)
			}
		}
		if got := mustResult(l, r); got != "over" {
			t.Error(got)
		}
		mail, err := l.eng.Mailbox(t.Context(), "r")
		if err != nil {
			t.Fatal(err)
		}
		var unread []string
		for _, m := range mail {
			unread = append(unread, string(m.Data))
		}
		if diff := cmp.Diff([]string{`"never read"`, `"not yet read"`}, unread); diff != "" {
			t.Errorf("unread (-want +got):\n%s", diff)
		}
	})
}

// A step that is executing is canceled, and has returned before the next generation begins.
func TestRestartWaitsForSteps(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		opts.StepGrace = time.Minute
		var events []string
		var mu sync.Mutex
		say := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, what)
		}
		l.run(opts, restarting(
			func(ctx workflow.Context, restart restartFunc) (string, error) {
				workflow.Go(ctx, func(ctx workflow.Context) (string, error) {
					return "", workflow.Do(ctx, "long", func(ctx context.Context) error {
						<-ctx.Done()
						<-time.After(10 * time.Second)
						say("returned")
						return nil
					})
				})
				if err := workflow.Sleep(ctx, time.Second); err != nil {
					return "", err
				}
				say("restart")
				return restart()
			},
			func(ctx workflow.Context, restart restartFunc) (string, error) {
				say("next")
				workflow.Go(ctx, func(ctx workflow.Context) (string, error) {
					return "", workflow.Do(ctx, "longer", func(context.Context) error {
						<-time.After(time.Hour)
						return nil
					})
				})
				if err := workflow.Sleep(ctx, time.Second); err != nil {
					return "", err
				}
				return restart()
			},
			func(workflow.Context, restartFunc) (string, error) { return "over", nil },
		))
		r := startRestarting(l)
		began := time.Now()
		if got := mustResult(l, r); got != "over" {
			t.Error(got)
		}
		if took := time.Since(began); took != 72*time.Second {
			t.Errorf("it took %v: one step returns after 10 s, and one does not within a minute", took)
		}
		l.advance(2 * time.Hour) // until it does
		mu.Lock()
		defer mu.Unlock()
		if diff := cmp.Diff([]string{"restart", "returned", "next"}, slices.Compact(events)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// Results of children that an earlier generation has started are recorded and reach nobody.
func TestRestartLeavesChildren(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		child := workflow.Define("child", func(ctx workflow.Context, d time.Duration) (string, error) {
			return d.String(), workflow.Sleep(ctx, d)
		})
		l.run(opts, child, restarting(
			func(ctx workflow.Context, restart restartFunc) (string, error) {
				child.Go(ctx, time.Minute)
				return restart()
			},
			func(ctx workflow.Context, _ restartFunc) (string, error) { return child.Call(ctx, time.Hour) },
		))
		if got := mustResult(l, startRestarting(l)); got != "1h0m0s" {
			t.Errorf("the second generation got %q", got)
		}
		if n := kinds(l.journal("r"), "child_completed"); n != 2 {
			t.Errorf("%d results of children in the journal, want 2", n)
		}
	})
}

// Cancel asks only the children of the present generation to cancel, Terminate those of all.
func TestChildrenOfEarlierGenerationsAndCancel(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  func(r *workflow.Run[string], ctx context.Context) error
		want map[string]workflow.Status
	}{
		{"Cancel", (*workflow.Run[string]).Cancel, map[string]workflow.Status{
			"r.child.1": workflow.StatusCompleted, "child of 0": workflow.StatusCompleted,
			"r.child.1.1": workflow.StatusCanceled, "child of 1": workflow.StatusCanceled,
		}},
		{"Terminate", func(r *workflow.Run[string], ctx context.Context) error { return r.Terminate(ctx, "over") }, map[string]workflow.Status{
			"r.child.1": workflow.StatusCanceled, "child of 0": workflow.StatusCanceled,
			"r.child.1.1": workflow.StatusCanceled, "child of 1": workflow.StatusCanceled,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
				child := workflow.Define("child", func(ctx workflow.Context, _ string) (string, error) {
					return "grown up", workflow.Sleep(ctx, time.Hour)
				})
				begin := func(ctx workflow.Context) error {
					child.Go(ctx, "")
					child.Go(ctx, "", workflow.RunID(fmt.Sprint("child of ", workflow.InfoOf(ctx).Generation)))
					return workflow.Sleep(ctx, time.Minute)
				}
				l.run(opts, child, restarting(
					func(ctx workflow.Context, restart restartFunc) (string, error) {
						if err := begin(ctx); err != nil {
							return "", err
						}
						return restart()
					},
					func(ctx workflow.Context, _ restartFunc) (string, error) {
						if err := begin(ctx); err != nil {
							return "", err
						}
						return "", workflow.Sleep(ctx, 24*time.Hour)
					},
				))
				r := startRestarting(l)
				l.advance(2 * time.Minute)
				if info := wantStatus(l, r, workflow.StatusWaiting); info.Generation != 1 {
					t.Fatalf("it is in generation %d", info.Generation)
				}
				if err := tt.end(r, t.Context()); err != nil {
					t.Fatal(err)
				}
				wantStatus(l, r, workflow.StatusCanceled)
				l.advance(2 * time.Hour) // children that nobody has canceled grow up
				children, err := l.eng.Runs(t.Context(), inspect.RunFilter{ParentID: "r"})
				if err != nil {
					t.Fatal(err)
				}
				got := map[string]workflow.Status{}
				for _, c := range children {
					got[c.ID] = c.Status
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("children (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A run that is asked to cancel can't restart, except without cancel: then the order is handed on.
func TestRestartAndCancel(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		var outer error
		w := workflow.Declare[generation, string]("restarting")
		l.run(opts, w.Implement(func(ctx workflow.Context, g generation) (string, error) {
			err := workflow.Sleep(ctx, time.Hour)
			if g.N == 1 {
				return "cleaned up", err
			}
			_, outer = w.Restart(ctx, g)
			return w.Restart(workflow.WithoutCancel(ctx), generation{1})
		}))
		r := startRestarting(l)
		if err := r.Cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := mustFail(l, r)
		wantIs(l, err, workflow.ErrCanceled)
		wantIs(l, outer, context.Canceled)
		if info := wantStatus(l, r, workflow.StatusCanceled); info.Generation != 1 {
			t.Errorf("it was canceled in generation %d", info.Generation)
		}
	})
}

// A token under which the run carries another form of hook is not given to the new one.
func TestRestartWithAnotherHook(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		opts.PublicURL = "https://app.test"
		orders, mails := workflow.DefineHook[string]("order"), workflow.DefineHook[string]("mail")
		l.run(opts, restarting(
			func(ctx workflow.Context, restart restartFunc) (string, error) {
				_, errO := orders.New(ctx, workflow.Token("typed"))
				_, errP := openHook(ctx, workflow.Token("plain"))
				if err := errors.Join(errO, errP); err != nil {
					return "", err
				}
				return restart()
			},
			func(ctx workflow.Context, _ restartFunc) (string, error) {
				_, err := mails.New(ctx, workflow.Token("typed"))
				if _, ok := errors.AsType[*workflow.HookTypeError](err); !ok {
					return "", fmt.Errorf("another type: %w", err)
				}
				said := err.Error()
				_, err = workflow.NewWebhook(ctx, workflow.Token("plain"))
				if _, ok := errors.AsType[*workflow.HookTypeError](err); !ok {
					return "", fmt.Errorf("a webhook: %w", err)
				}
				said += "\n" + err.Error()
				h, err := orders.New(ctx, workflow.Token("typed"))
				if err != nil {
					return "", err
				}
				order, err := h.Wait(ctx)
				return said + "\n" + order, err
			},
		))
		r := startRestarting(l)
		l.resume("typed", "tea")
		wantContains(l, mustResult(l, r), `token "typed" is that of a hook of type "order"`, `not of a hook of type "mail"`, "close it before Restart",
			`token "plain" is that of a hook, which`, "not of a webhook", "\ntea")
	})
}

// A workflow that calls Restart and returns something else is blocked, with the line, and goes on
// with a build that returns it.
func TestRestartNotReturned(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		last := func(workflow.Context, restartFunc) (string, error) { return "over", nil }
		for _, tt := range []struct {
			first func(ctx workflow.Context, restart restartFunc) (string, error)
			want  string
		}{
			{func(_ workflow.Context, restart restartFunc) (string, error) { _, _ = restart(); return "", nil }, "then returned a result"},
			{func(_ workflow.Context, restart restartFunc) (string, error) {
				_, _ = restart()
				return "", errors.New("oh")
			}, `then returned the error "oh"`},
			{func(_ workflow.Context, restart restartFunc) (string, error) { _, _ = restart(); panic("oh") }, "panic: oh"},
		} {
			l.run(engine.Options{Build: "wrong " + tt.want}, restarting(tt.first, last))
			r := startRestarting(l)
			l.advance(time.Second)
			info := wantStatus(l, r, workflow.StatusBlocked)
			wantContains(l, info.Reason, "its code has called Restart, at ", "restart_test.go:", tt.want)
			if info.ReasonCode != workflow.ReasonRestartMisused {
				t.Errorf("the reason is %s", info.ReasonCode)
			}
			l.run(engine.Options{Build: "right " + tt.want}, restarting(func(_ workflow.Context, restart restartFunc) (string, error) { return restart() }, last))
			if got := mustResult(l, workflow.Get[string](l.eng, "r")); got != "over" {
				t.Error(got)
			}
			if err := l.stop(); err != nil {
				t.Fatal(err)
			}
			if _, _, err := l.store.Prune(t.Context(), time.Now().Add(time.Hour), 1000); err != nil {
				t.Fatal(err)
			}
			l.stop = func() error { return nil }
		}
	})
}

// The next generation begins on the newest version, unless that can't decode the input: then the run
// is blocked, and nothing has changed.
func TestRestartOnTheNewestVersion(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		old := workflow.Declare[string, string]("bot")
		v1 := old.Implement(func(ctx workflow.Context, in string) (string, error) {
			h, err := openHook(ctx, workflow.Token("turn"))
			if err == nil {
				_, err = h.Wait(ctx)
			}
			if err != nil {
				return "", err
			}
			return old.Restart(ctx, in+" of 1")
		})
		v2 := workflow.Define("bot", func(ctx workflow.Context, in string) (string, error) {
			return fmt.Sprintf("%s, version %d, generation %d", in, workflow.InfoOf(ctx).Version, workflow.InfoOf(ctx).Generation), nil
		}, workflow.Version(2))
		v3 := workflow.Define("bot", func(workflow.Context, int) (string, error) { return "", nil }, workflow.Version(3))
		l.run(engine.Options{Build: "1"}, v1)
		r := mustStart(l, old, "in", workflow.RunID("r"))
		l.run(engine.Options{Build: "2"}, v1, v3)
		l.resume("turn", "")
		l.advance(time.Minute)
		info := wantStatus(l, workflow.Get[string](l.eng, "r"), workflow.StatusBlocked)
		wantContains(l, info.Reason, `does not fit the workflow "bot", version 3`, "int")
		if info.Version != 1 || info.Generation != 0 || info.ReasonCode != workflow.ReasonInputUnfit {
			t.Errorf("the run is blocked as %+v", info)
		}
		l.run(engine.Options{Build: "3"}, v1, v2)
		r = workflow.Get[string](l.eng, r.ID())
		if got := mustResult(l, r); got != "in of 1, version 2, generation 1" {
			t.Error(got)
		}
		if info := wantStatus(l, r, workflow.StatusCompleted); info.Version != 2 {
			t.Errorf("it completed as version %d", info.Version)
		}
	})
}

// RestartDue counts the events of the generation, by the limit that it began with.
func TestRestartDue(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		opts.RestartAfter = 20
		w := workflow.Declare[int, int]("counter")
		def := w.Implement(func(ctx workflow.Context, n int) (int, error) {
			for !workflow.RestartDue(ctx) {
				if workflow.InfoOf(ctx).Events > 20 {
					return 0, errors.New("it is overdue")
				}
				if err := workflow.Do(ctx, "count", func(context.Context) error { return nil }); err != nil {
					return 0, err
				}
				if n++; n == 100 {
					return workflow.InfoOf(ctx).Generation, nil
				}
			}
			return w.Restart(ctx, n)
		})
		l.run(opts, def)
		r := mustStart(l, w, 0)
		if got := mustResult(l, r); got != 5 { // 19 steps each, and the last 5
			t.Errorf("it came to generation %d", got)
		}
		if _, err := l.eng.RunInfo(t.Context(), r.ID()); err != nil {
			t.Fatal(err)
		}
	})
}

// A retry of a run goes back to what its generation did, and not further.
func TestRetryOfALaterGeneration(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		var broken atomic.Bool
		broken.Store(true)
		l.run(opts, restarting(
			func(ctx workflow.Context, restart restartFunc) (string, error) {
				if _, err := openHook(ctx, workflow.Token("t")); err != nil {
					return "", err
				}
				return restart()
			},
			func(ctx workflow.Context, _ restartFunc) (string, error) {
				if broken.Load() {
					return "", errors.New("at once")
				}
				h, err := openHook(ctx, workflow.Token("t"))
				if err != nil {
					return "", err
				}
				return h.Wait(ctx)
			},
		))
		r := startRestarting(l)
		l.advance(time.Second)
		wantStatus(l, r, workflow.StatusFailed)
		broken.Store(false)
		if err := r.Retry(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.advance(time.Second)
		l.resume("t", "again")
		if got := mustResult(l, r); got != "again" {
			t.Error(got)
		}
	})
}

// Restarts of a run to which nothing comes are spaced, after a few.
func TestIdleRestartsAreSpaced(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		w := workflow.Declare[int, int]("spinning")
		var n atomic.Int64
		l.run(engine.Options{}, w.Implement(func(ctx workflow.Context, _ int) (int, error) {
			n.Add(1)
			return w.Restart(ctx, 0)
		}))
		r := mustStart(l, w, 0)
		l.advance(time.Hour)
		if n := n.Load(); n < 40 || n > 100 {
			t.Errorf("%d generations within an hour", n)
		}
		wantContains(l, l.logs.String(), "its restarts are spaced")
		if err := r.Terminate(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		wantStatus(l, r, workflow.StatusCanceled)
	})
}

// Old generations are deleted in time, and what still counts is not.
func TestKeepGenerationsFor(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		opts.KeepGenerationsFor = time.Hour
		l.run(opts, newBot("inbox"))
		r := mustStart(l, workflow.Declare[diary, diary]("bot"), diary{Per: 2}, workflow.RunID("bot"))
		for i := range 7 {
			l.resume("inbox", fmt.Sprint(i))
			l.advance(20 * time.Minute)
		}
		over, err := l.eng.Generations(t.Context(), "bot")
		if err != nil {
			t.Fatal(err)
		}
		var numbers []int
		for _, g := range over {
			numbers = append(numbers, g.Number)
		}
		// They ended after 20, 60 and 100 minutes, and it is 140.
		if diff := cmp.Diff([]int{2}, numbers); diff != "" {
			t.Errorf("generations (-want +got):\n%s", diff)
		}
		events, err := l.eng.Journal(t.Context(), "bot", 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if events[0].Position != over[0].Base+1 {
			t.Errorf("the journal begins at %d, want %d", events[0].Position, over[0].Base+1)
		}
		l.advance(24 * time.Hour)
		l.resume("inbox", "end")
		if got := mustResult(l, r); len(got.Taken) != 8 {
			t.Errorf("it took %v", got.Taken)
		}
	})
}

// A request that was taken and not answered stays held over a restart, and the next generation can
// answer it; one that was not taken comes to the next generation.
func TestRestartKeepsRequests(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		opts.PublicURL = "https://app.test"
		type held struct{ Request *workflow.Request }
		w := workflow.Declare[held, string]("held")
		l.run(opts, w.Implement(func(ctx workflow.Context, in held) (string, error) {
			page, err := workflow.NewWebhook(ctx, workflow.Token("page"), workflow.RespondManually())
			if err != nil {
				return "", err
			}
			if in.Request == nil {
				r, err := page.Wait(ctx)
				if err != nil {
					return "", err
				}
				if err := workflow.Sleep(ctx, time.Second); err != nil { // the second request comes
					return "", err
				}
				return w.Restart(ctx, held{r})
			}
			second, err := page.Wait(ctx)
			if err != nil {
				return "", err
			}
			return "", errors.Join(second.Respond(ctx, workflow.Text(200, "to the second")), in.Request.Respond(ctx, workflow.Text(200, "to the first")))
		}))
		r := mustStart(l, w, held{}, workflow.RunID("r"))
		answers := make(chan string, 2)
		for _, body := range []string{"first", "second"} {
			hook, err := l.eng.Webhook(t.Context(), "page")
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				resp, err := hook.Deliver(t.Context(), &workflow.Request{Method: "POST", URL: mustURL("/"), Host: "app.test", Body: []byte(body)})
				answers <- fmt.Sprint(body, ": ", string(resp.Body), " ", err)
			}()
			synctest.Wait()
		}
		mustResult(l, r)
		got := []string{<-answers, <-answers}
		slices.Sort(got)
		if diff := cmp.Diff([]string{"first: to the first <nil>", "second: to the second <nil>"}, got); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
	})
}

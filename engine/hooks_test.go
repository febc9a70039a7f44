package engine_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// order is a payload that checks itself.
type order struct{ Amount int }

var errAmount = errors.New("the amount is not positive")

func (o order) Validate() error {
	if o.Amount <= 0 {
		return errAmount
	}
	return nil
}

var orders = workflow.DefineHook[order]("orders")

var orderTaker = workflow.Define("order-taker", func(ctx workflow.Context, token string) ([]string, error) {
	hook, err := orders.New(ctx, workflow.Token(token), workflow.Metadata(map[string]string{"for": token}))
	if err != nil {
		return nil, err
	}
	var log []string
	for o, err := range hook.All(ctx) {
		switch _, bad := errors.AsType[*workflow.PayloadError](err); {
		case bad:
			log = append(log, "bad")
			continue
		case err != nil:
			return log, err
		case o.Amount == 99:
			hook.Close()
		}
		log = append(log, "good")
	}
	return log, nil
})

// With the typed handle, or with the type in Options.Hooks, a payload that does not
// validate is refused at the door.
func TestPayloadRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		hooks []workflow.HookDefinition
		send  func(l *lab, payload any) error
	}{
		"typed": {nil, func(l *lab, payload any) error {
			_, err := orders.Resume(l.Context(), l.eng, "o", payload.(order)) //nolint:forcetypeassert // it is one
			return err
		}},
		"untyped": {[]workflow.HookDefinition{orders}, func(l *lab, payload any) error {
			_, err := workflow.Resume(l.Context(), l.eng, "o", payload)
			return err
		}},
		"untyped with a key": {[]workflow.HookDefinition{orders}, func(l *lab, payload any) error {
			_, err := workflow.Resume(l.Context(), l.eng, "o", payload, workflow.IdempotencyKey("k"))
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				l.run(engine.Options{Hooks: tt.hooks}, orderTaker)
				r := mustStart(l, orderTaker, "o")
				before := len(l.journal(r.ID()))
				err := tt.send(l, order{})
				refused, ok := errors.AsType[*workflow.PayloadError](err)
				if !ok || refused.Token != "o" {
					t.Errorf("error is %v, want a *PayloadError of o", err)
				}
				wantIs(l, err, errAmount)
				if name != "typed" {
					for _, payload := range []any{"no order", []int{1}, map[string]any{"Amount": "many"}} {
						if _, ok := errors.AsType[*workflow.PayloadError](tt.send(l, payload)); !ok {
							t.Errorf("%v is accepted", payload)
						}
					}
				}
				l.advance(time.Second)
				if after := len(l.journal(r.ID())); after != before {
					t.Errorf("the journal has grown from %d to %d", before, after)
				}
				// A refused payload uses up no key.
				if err := tt.send(l, order{99}); err != nil {
					t.Error(err)
				}
				if got := mustResult(l, r); !cmp.Equal(got, []string{"good"}) {
					t.Errorf("result is %q", got)
				}
			})
		})
	}
}

// Where the type is not known the workflow gets the error, and goes on with the next.
func TestPayloadErrorInWorkflow(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{CacheSize: noCache}, orderTaker)
		r := mustStart(l, orderTaker, "o")
		for _, payload := range []any{order{1}, "no order", order{-1}, order{2}, nil, order{99}} {
			l.resume("o", payload)
		}
		want := []string{"good", "bad", "bad", "good", "bad", "good"} // null is an order of nothing
		if diff := cmp.Diff(want, mustResult(l, r)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestHookOfAnotherType(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		refunds := workflow.DefineHook[order]("refunds")
		l.run(engine.Options{}, orderTaker, tokenWaiter)
		r := mustStart(l, orderTaker, "o")
		plain := mustStart(l, tokenWaiter, "plain")
		for token, got := range map[string]string{"o": "orders", "plain": ""} {
			for _, opts := range [][]workflow.ResumeOption{nil, {workflow.IdempotencyKey("k")}} {
				_, err := refunds.Resume(t.Context(), l.eng, token, order{1}, opts...)
				wrong, ok := errors.AsType[*workflow.HookTypeError](err)
				if !ok || *wrong != (workflow.HookTypeError{Token: token, Want: "refunds", Got: got}) {
					t.Errorf("error is %v, want a *HookTypeError", err)
				}
			}
		}
		info, err := orders.Resume(t.Context(), l.eng, "o", order{99})
		if err != nil || info.Type != "orders" || string(info.Metadata) != `{"for":"o"}` || info.CreatedAt.IsZero() {
			t.Errorf("info %+v, error %v", info, err)
		}
		l.resume("plain", "x")
		if got := mustResult(l, r); !cmp.Equal(got, []string{"good"}) {
			t.Errorf("result is %q", got)
		}
		mustResult(l, plain)
	})
}

// What was accepted before Close is still delivered, then ErrHookClosed; the token is
// free at once.
func TestCloseDrains(t *testing.T) {
	t.Parallel()
	for name, cache := range map[string]int{"cached": 0, "replayed": noCache} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				wf := workflow.Define("drain", func(ctx workflow.Context, _ string) ([]string, error) {
					hook, err := workflow.NewHook[string](ctx, workflow.Token("drain"))
					if err != nil {
						return nil, err
					}
					if err := workflow.Sleep(ctx, time.Minute); err != nil {
						return nil, err
					}
					hook.Close()
					hook.Close()
					if err := workflow.Sleep(ctx, time.Minute); err != nil {
						return nil, err
					}
					var got []string
					for s, err := range hook.All(ctx) {
						if err != nil {
							return got, err
						}
						got = append(got, s)
					}
					for range 2 {
						if _, err := hook.Wait(ctx); !errors.Is(err, workflow.ErrHookClosed) {
							return got, err
						}
					}
					return got, workflow.Sleep(ctx, time.Minute)
				})
				l.run(engine.Options{CacheSize: cache}, wf, tokenWaiter)
				r := mustStart(l, wf, "")
				want := []string{"a", "b", "c"}
				for _, s := range want {
					l.resume("drain", s)
				}
				l.advance(90 * time.Second)
				_, err := workflow.Resume(t.Context(), l.eng, "drain", "late")
				wantIs(l, err, workflow.ErrHookNotFound)
				next := mustStart(l, tokenWaiter, "drain")
				l.resume("drain", "for the next")
				if got := mustResult(l, next); got != "for the next" {
					t.Errorf("the next run got %q", got)
				}
				if diff := cmp.Diff(want, mustResult(l, r)); diff != "" {
					t.Error(diff)
				}
				if i := slices.Index(l.journal(r.ID()), "hook_drained 1"); i < 0 {
					t.Errorf("journal %q has no drain", l.journal(r.ID()))
				}
			})
		})
	}
}

// Close in one branch ends the Wait of another.
func TestCloseEndsWait(t *testing.T) {
	t.Parallel()
	for name, cache := range map[string]int{"cached": 0, "replayed": noCache} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				wf := workflow.Define("closing", func(ctx workflow.Context, _ string) (string, error) {
					hook, err := workflow.NewHook[string](ctx)
					if err != nil {
						return "", err
					}
					waiter := workflow.Go(ctx, hook.Wait)
					ranger := workflow.Go(ctx, func(ctx workflow.Context) (int, error) {
						n := 0
						for _, err := range hook.All(ctx) {
							if err != nil {
								return n, err
							}
							n++
						}
						return n, nil
					})
					if err := workflow.Sleep(ctx, time.Minute); err != nil {
						return "", err
					}
					hook.Close()
					_, err = waiter.Wait(ctx)
					if n, ranged := ranger.Wait(ctx); n != 0 || ranged != nil {
						return "", ranged
					}
					return "ended", err
				})
				l.run(engine.Options{CacheSize: cache}, wf)
				wantIs(l, mustFail(l, mustStart(l, wf, "")), workflow.ErrHookClosed)
			})
		})
	}
}

// A Wait that timed out or was canceled takes nothing; the hook stays open.
func TestWaitLeavesNoTrace(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("patient", func(ctx workflow.Context, _ string) ([]string, error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token("patient"))
			if err != nil {
				return nil, err
			}
			var got []string
			for len(got) < 3 {
				inner, cancel := workflow.WithTimeout(ctx, time.Minute)
				s, err := hook.Wait(inner)
				cancel()
				switch {
				case errors.Is(err, workflow.ErrHookClosed):
					return got, err
				case err == nil:
					got = append(got, s)
				}
			}
			return got, nil
		})
		l.run(engine.Options{CacheSize: noCache}, wf)
		r := mustStart(l, wf, "")
		want := []string{"a", "b", "c"}
		for _, s := range want {
			l.advance(150 * time.Second)
			l.resume("patient", s)
		}
		if diff := cmp.Diff(want, mustResult(l, r)); diff != "" {
			t.Error(diff)
		}
	})
}

// All ends with ctx.Err() once, and takes nothing ahead.
func TestAllPayloads(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("all", func(ctx workflow.Context, _ string) ([]string, error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token("all"))
			if err != nil {
				return nil, err
			}
			var got []string
			for s, err := range hook.All(ctx) {
				if err != nil {
					return nil, err
				}
				got = append(got, s)
				break // it takes one, and leaves the others
			}
			s, err := hook.Wait(ctx)
			if err != nil {
				return nil, err
			}
			got = append(got, "wait "+s)
			inner, cancel := workflow.WithTimeout(ctx, time.Minute)
			defer cancel()
			for s, err := range hook.All(inner) {
				if err != nil {
					got = append(got, err.Error())
					continue // it has ended all the same
				}
				got = append(got, s)
			}
			return got, nil
		})
		l.run(engine.Options{CacheSize: noCache}, wf)
		r := mustStart(l, wf, "")
		for _, s := range []string{"a", "b", "c"} {
			l.resume("all", s)
		}
		if diff := cmp.Diff([]string{"a", "wait b", "c", "context deadline exceeded"}, mustResult(l, r)); diff != "" {
			t.Error(diff)
		}
	})
}

// A taken token is an error that names its owner, also within a run.
func TestHookConflict(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		twice := workflow.Define("twice", func(ctx workflow.Context, token string) (string, error) {
			if _, err := workflow.NewHook[string](ctx, workflow.Token(token)); err != nil {
				return "", err
			}
			_, err := workflow.NewHook[string](ctx, workflow.Token(token))
			return "", err
		})
		l.run(engine.Options{CacheSize: noCache}, tokenWaiter, twice)
		owner := mustStart(l, tokenWaiter, "t")
		for name, tt := range map[string]struct {
			err   error
			owner string
		}{
			"another run": {mustFail(l, mustStart(l, tokenWaiter, "t")), owner.ID()},
			"itself":      {mustFail(l, mustStart(l, twice, "u", workflow.RunID("twice-1"))), "twice-1"},
		} {
			if conflict, ok := errors.AsType[*workflow.HookConflictError](tt.err); !ok || conflict.RunID != tt.owner {
				t.Errorf("%s: error is %v, want a *HookConflictError of %s", name, tt.err, tt.owner)
			}
		}
		l.resume("t", "x")
		mustResult(l, owner)
		again := mustStart(l, tokenWaiter, "t")
		l.resume("t", "y")
		if got := mustResult(l, again); got != "y" {
			t.Errorf("result is %q", got)
		}
	})
}

// What an ended run never took is on record.
func TestUnread(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("hasty", func(ctx workflow.Context, _ string) (string, error) {
			if _, err := workflow.NewHook[string](ctx, workflow.Token("hasty")); err != nil {
				return "", err
			}
			return "", workflow.Sleep(ctx, time.Minute)
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		l.resume("hasty", "a")
		l.resume("hasty", "b")
		mustResult(l, r)
		unread, err := l.eng.Mailbox(t.Context(), r.ID())
		if err != nil || len(unread) != 2 || string(unread[0].Data) != `"a"` || string(unread[1].Data) != `"b"` {
			t.Errorf("unread %v, error %v", unread, err)
		}
	})
}

// The hook of a run that has ended is not found, whatever is sent to it: nothing of
// it is left behind in the worker.
func TestTheHookOfAnEndedRunIsNotFound(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		tokens := make(chan string, 1)
		for name, opts := range map[string][]workflow.HookOption{
			"own token":       {workflow.Token("t")},
			"generated token": nil,
		} {
			wf := workflow.Define("asks", func(ctx workflow.Context, _ string) (order, error) {
				hook, err := orders.New(ctx, opts...)
				if err != nil {
					return order{}, err
				}
				defer hook.Close()
				tokens <- hook.Token()
				return hook.Wait(ctx)
			})
			l.run(engine.Options{}, wf)
			r := mustStart(l, wf, "")
			token := <-tokens
			l.resume(token, order{Amount: 1})
			mustResult(l, r)
			_, err := workflow.DefineHook[string]("others").Resume(t.Context(), l.eng, token, "")
			if !errors.Is(err, workflow.ErrHookNotFound) {
				t.Errorf("%s: error is %v, want ErrHookNotFound", name, err)
			}
		}
	})
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{DedupeFor: time.Hour}, tokenWaiter)
		r := mustStart(l, tokenWaiter, "t")
		first := l.resume("t", "once", workflow.IdempotencyKey("k"))
		if got := mustResult(l, r); got != "once" || first.Duplicate {
			t.Errorf("result is %q, first is %+v", got, first)
		}
		next := mustStart(l, tokenWaiter, "t")
		again := l.resume("t", "once", workflow.IdempotencyKey("k"))
		if !again.Duplicate || again.RunID != r.ID() || again.ID != first.ID {
			t.Errorf("second is %+v, want the receipt of the first, %+v", again, first)
		}
		wantStatus(l, next, workflow.StatusWaiting)
		l.advance(2 * time.Hour)
		if late := l.resume("t", "later", workflow.IdempotencyKey("k")); late.Duplicate || late.RunID != next.ID() {
			t.Errorf("past DedupeFor: %+v", late)
		}
		mustResult(l, next)
	})
}

// A key comes from outside, a header for one, and can be any text.
func TestAKeyCanBeAnyText(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{}, tokenWaiter)
		for _, key := range []string{"\x00", "\ufffd", " ", strings.Repeat("k", 5000), strings.Repeat("k", 5001)} {
			r := mustStart(l, tokenWaiter, "t")
			for _, duplicate := range []bool{false, true} {
				if info := l.resume("t", "once", workflow.IdempotencyKey(key)); info.Duplicate != duplicate {
					t.Errorf("key %.10q: %+v, want Duplicate %t", key, info, duplicate)
				}
			}
			mustResult(l, r)
		}
	})
}

// The repeat of a payload gets its receipt also when the token is by then another
// run's, whose hook would not take it.
func TestARepeatIsNotHeldToTheTypeOfTheNextOwner(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		numbers, texts := workflow.DefineHook[int]("numbers"), workflow.DefineHook[string]("texts")
		number := workflow.Define("number", func(ctx workflow.Context, _ string) (int, error) {
			hook, err := numbers.New(ctx, workflow.Token("t"))
			if err != nil {
				return 0, err
			}
			return hook.Wait(ctx)
		})
		text := workflow.Define("text", func(ctx workflow.Context, _ string) (string, error) {
			hook, err := texts.New(ctx, workflow.Token("t"))
			if err != nil {
				return "", err
			}
			return hook.Wait(ctx)
		})
		l.run(engine.Options{Hooks: []workflow.HookDefinition{numbers, texts}}, number, text)
		r := mustStart(l, number, "")
		l.resume("t", 1, workflow.IdempotencyKey("k"))
		mustResult(l, r)
		mustStart(l, text, "")
		if again := l.resume("t", 1, workflow.IdempotencyKey("k")); !again.Duplicate || again.RunID != r.ID() {
			t.Errorf("the repeat got %+v, want the receipt of %s", again, r.ID())
		}
		_, err := workflow.Resume(t.Context(), l.eng, "t", 1, workflow.IdempotencyKey("new"))
		if _, refused := errors.AsType[*workflow.PayloadError](err); !refused {
			t.Errorf("a new payload of the wrong type: error is %v, want a *PayloadError", err)
		}
	})
}

// A hook that a send has reserved has the time of the reservation, also for a caller that resumes
// it once its run is live.
func TestReservedHookKeepsItsTime(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("late", func(ctx workflow.Context, _ string) (string, error) {
			if err := workflow.Sleep(ctx, time.Minute); err != nil {
				return "", err
			}
			h, err := workflow.NewHook[string](ctx, workflow.Token("t"))
			if err != nil {
				return "", err
			}
			for {
				if _, err := h.Wait(ctx); err != nil {
					return "", err
				}
			}
		})
		l.run(engine.Options{}, wf)
		first := l.resume("t", "first", workflow.OrStart(wf, ""))
		l.advance(time.Hour)
		for _, opts := range [][]workflow.ResumeOption{nil, {workflow.IdempotencyKey("through the store")}} {
			if info := l.resume("t", "next", opts...); !info.CreatedAt.Equal(first.CreatedAt) {
				t.Errorf("created at %v, and for the first who sent at %v", info.CreatedAt, first.CreatedAt)
			}
		}
	})
}

// A hook that OrStart has reserved is listed as that until its run has opened it.
func TestReservedHooksAreListed(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{}, collector)
		if err := l.eng.PauseWorkflow(t.Context(), "collector", workflow.PauseRequest{}); err != nil {
			t.Fatal(err)
		}
		info, err := workflow.Resume(t.Context(), l.eng, "t", "a", workflow.OrStart(collector, "t"))
		if err != nil || !info.Started {
			t.Fatalf("started %+v, %v", info, err)
		}
		want := func(reserved bool) {
			t.Helper()
			hooks, err := l.eng.Hooks(t.Context(), inspect.HookFilter{})
			if err != nil || len(hooks) != 1 || hooks[0].Reserved != reserved {
				t.Errorf("hooks are %+v, %v; want one, reserved: %t", hooks, err, reserved)
			}
		}
		want(true)
		if err := l.eng.ResumeWorkflow(t.Context(), "collector"); err != nil {
			t.Fatal(err)
		}
		l.advance(time.Second)
		want(false)
	})
}

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// wanted is a request that checks itself.
type wanted struct {
	Amount int
	How    string // step, child, restart, late, twice, not, or empty: straight from the workflow
}

func (w wanted) Validate() error {
	if w.Amount < 0 {
		return errAmount
	}
	return nil
}

type price struct{ Total int }

var (
	quotes      = workflow.DefineCall[wanted, price]("quote")
	errTooLarge = workflow.DefineError("engine_test: the order is too large")
)

// seller answers requests until one has the amount 99. It returns how many it took.
var seller = workflow.Define("seller", func(ctx workflow.Context, token string) (int, error) {
	calls, err := quotes.Open(ctx, workflow.Token(token))
	if err != nil {
		return 0, err
	}
	n := 0
	for call, err := range calls.All(ctx) {
		if _, bad := errors.AsType[*workflow.PayloadError](err); bad {
			continue
		}
		if err != nil {
			return n, err
		}
		n++
		if err := sell(ctx, call); err != nil || call.Input.Amount == 99 {
			return n, err
		}
	}
	return n, nil
})

func sell(ctx workflow.Context, call *workflow.Call[wanted, price]) error {
	out := price{3 * call.Input.Amount}
	switch call.Input.How {
	case "step":
		return workflow.Do(ctx, "answer", func(ctx context.Context) error { return call.Return(ctx, out) })
	case "late":
		if err := workflow.Sleep(ctx, time.Hour); err != nil {
			return err
		}
	case "not":
		return nil
	case "twice":
		if err := call.Return(ctx, out); err != nil {
			return err
		}
		if err := call.Return(ctx, price{-1}); !errors.Is(err, workflow.ErrAlreadyResponded) {
			return fmt.Errorf("the second answer: %w", err)
		}
		return nil
	}
	if call.Input.Amount > 1000 {
		return call.Refuse(ctx, fmt.Errorf("%d pieces: %w", call.Input.Amount, errTooLarge))
	}
	return call.Return(ctx, out)
}

// askShop calls the seller, and waits for the answer a day at most.
func askShop(l *lab, c workflow.Client, in wanted, opts ...workflow.CallOption) (int, error) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), 24*time.Hour)
	defer cancel()
	out, err := quotes.Call(ctx, c, "shop", in, opts...)
	return out.Total, err
}

func mustAsk(l *lab, c workflow.Client, in wanted, opts ...workflow.CallOption) int {
	l.Helper()
	got, err := askShop(l, c, in, opts...)
	if err != nil {
		l.Fatal(err)
	}
	return got
}

// A caller gets what the run returns, from the workflow's code or a step, whether caller and run are
// in one process or not, and whatever is replayed.
func TestCall(t *testing.T) {
	t.Parallel()
	for name, cache := range map[string]int{"live": 0, "replayed": noCache} {
		for _, elsewhere := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " elsewhere ", elsewhere), func(t *testing.T) {
				t.Parallel()
				inLab(t, func(t *testing.T, l *lab) {
					l.run(engine.Options{CacheSize: cache}, seller)
					r := mustStart(l, seller, "shop")
					var c workflow.Client = l.eng
					if elsewhere {
						c = l.client()
					}
					for i, how := range []string{"", "step", "twice", "late", "step", ""} {
						if got := mustAsk(l, c, wanted{i, how}); got != 3*i {
							t.Errorf("%q: the answer is %d, want %d", how, got, 3*i)
						}
					}
					_, err := askShop(l, c, wanted{2000, ""})
					refused, ok := errors.AsType[*workflow.RefusedError](err)
					if !ok || refused.RunID != r.ID() || refused.Token != "shop" {
						t.Errorf("the refusal is %v", err)
					}
					wantIs(l, err, errTooLarge)
					wantContains(l, err.Error(), "2000 pieces")
					mustAsk(l, c, wanted{Amount: 99})
					if n := mustResult(l, r); n != 8 {
						t.Errorf("the run took %d requests", n)
					}
					_, err = askShop(l, c, wanted{})
					wantIs(l, err, workflow.ErrHookNotFound)
				})
			})
		}
	}
}

// An idempotency key gets the same answer again, also after the run has ended and another one has the
// token; without a key each is a request of its own.
func TestCallAgain(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{DedupeFor: 48 * time.Hour}, seller)
		r := mustStart(l, seller, "shop")
		key := workflow.IdempotencyKey("k")
		if got := mustAsk(l, l.eng, wanted{Amount: 1}, key); got != 3 {
			t.Errorf("the answer is %d", got)
		}
		again := func(why string) {
			t.Helper()
			if got := mustAsk(l, l.client(), wanted{Amount: 2}, key); got != 3 {
				t.Errorf("%s: the answer is %d", why, got)
			}
			if got, err := quotes.Answer(t.Context(), l.client(), "shop", "k"); err != nil || got.Total != 3 {
				t.Errorf("%s: the answer by key is %d, %v", why, got.Total, err)
			}
		}
		again("open")
		if _, err := askShop(l, l.eng, wanted{Amount: 5000}, workflow.IdempotencyKey("large")); !errors.Is(err, errTooLarge) {
			t.Errorf("the refusal is %v", err)
		}
		_, err := quotes.Answer(t.Context(), l.eng, "shop", "large")
		wantIs(l, err, errTooLarge)
		mustAsk(l, l.eng, wanted{Amount: 99})
		if n := mustResult(l, r); n != 3 {
			t.Errorf("the run took %d requests", n)
		}
		again("ended")
		next := mustStart(l, seller, "shop")
		again("another run")
		mustAsk(l, l.eng, wanted{Amount: 99})
		if n := mustResult(l, next); n != 1 {
			t.Errorf("the next run took %d requests", n)
		}
		plain := workflow.Define("plain", func(ctx workflow.Context, _ string) (string, error) {
			h, err := workflow.NewHook[string](ctx, workflow.Token("shop"))
			if err != nil {
				return "", err
			}
			return h.Wait(ctx)
		})
		l.run(engine.Options{DedupeFor: 48 * time.Hour}, seller, plain)
		mustStart(l, plain, "")
		again("a plain hook")

		_, err = quotes.Answer(t.Context(), l.eng, "shop", "unknown")
		wantIs(l, err, workflow.ErrHookNotFound)
		l.advance(72 * time.Hour)
		_, err = quotes.Answer(t.Context(), l.eng, "shop", "k")
		wantIs(l, err, workflow.ErrHookNotFound)
	})
}

// What becomes of a request whose answer does not come, and how its caller gets it later.
func TestUnansweredCall(t *testing.T) {
	t.Parallel()
	key := workflow.IdempotencyKey
	unanswered := func(l *lab, err, why error) {
		l.Helper()
		u, ok := errors.AsType[*workflow.UnansweredError](err)
		if !ok || u.Token != "shop" || u.Request == "" || u.RunID == "" {
			l.Errorf("the error is %v", err)
		}
		wantIs(l, err, why)
	}
	t.Run("the caller does not wait", func(t *testing.T) {
		t.Parallel()
		inLab(t, func(t *testing.T, l *lab) {
			l.run(engine.Options{}, seller)
			mustStart(l, seller, "shop")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := quotes.Call(ctx, l.eng, "shop", wanted{7, "late"}, workflow.IdempotencyKey("k"))
			unanswered(l, err, context.DeadlineExceeded)
			began := time.Now()
			if got := mustAsk(l, l.eng, wanted{7, "late"}, workflow.IdempotencyKey("k")); got != 21 {
				t.Errorf("the answer is %d", got)
			}
			if took := time.Since(began); took != 59*time.Minute {
				t.Errorf("the answer took %v", took)
			}
		})
	})
	t.Run("the run ends", func(t *testing.T) {
		t.Parallel()
		inLab(t, func(t *testing.T, l *lab) {
			l.run(engine.Options{}, seller)
			mustStart(l, seller, "shop")
			_, err := askShop(l, l.eng, wanted{99, "not"}, workflow.IdempotencyKey("k"))
			unanswered(l, err, workflow.ErrRunEnded)
			_, err = quotes.Answer(t.Context(), l.client(), "shop", "k")
			unanswered(l, err, workflow.ErrRunEnded)
			if _, _, err := l.store.Prune(t.Context(), time.Now().Add(time.Hour), 1000); err != nil {
				t.Fatal(err)
			}
			_, err = quotes.Answer(t.Context(), l.client(), "shop", "k")
			unanswered(l, err, workflow.ErrRunEnded)
		})
	})
	t.Run("the run is paused", func(t *testing.T) {
		t.Parallel()
		inLab(t, func(t *testing.T, l *lab) {
			l.run(engine.Options{}, seller)
			r := mustStart(l, seller, "shop")
			mustPause(l, r)
			began := time.Now()
			_, err := askShop(l, l.eng, wanted{Amount: 4}, workflow.IdempotencyKey("k"))
			unanswered(l, err, workflow.ErrRunPaused)
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("the caller waited %v", took)
			}
			mustGoOn(l, r)
			if out, err := quotes.Answer(t.Context(), l.eng, "shop", "k"); err != nil || out.Total != 12 {
				t.Errorf("the answer is %v, %v", out, err)
			}
		})
	})
	t.Run("the engine stops", func(t *testing.T) {
		t.Parallel()
		inLab(t, func(t *testing.T, l *lab) {
			l.run(engine.Options{}, seller)
			mustStart(l, seller, "shop")
			failed := make(chan error, 1)
			go func() {
				_, err := askShop(l, l.eng, wanted{5, "late"}, workflow.IdempotencyKey("k"))
				failed <- err
			}()
			synctest.Wait()
			l.run(engine.Options{}, seller)
			unanswered(l, <-failed, workflow.ErrEngineClosed)
			if out, err := quotes.Answer(t.Context(), l.eng, "shop", "k"); err != nil || out.Total != 15 {
				t.Errorf("the answer is %v, %v", out, err)
			}
		})
	})
	t.Run("the engine is killed", func(t *testing.T) {
		t.Parallel()
		inLab(t, func(t *testing.T, l *lab) {
			l.run(engine.Options{}, seller)
			mustStart(l, seller, "shop")
			c := l.client()
			got := make(chan int, 1)
			go func() { got <- mustAsk(l, c, wanted{5, "late"}, key("k")) }()
			synctest.Wait()
			l.kill()
			l.run(engine.Options{}, seller)
			if total := <-got; total != 15 {
				t.Errorf("the answer is %d", total)
			}
		})
	})
}

// A request that does not fit is refused, where its type is known before it is sent, else as
// the run takes it; the caller does not wait in vain.
func TestCallsThatDoNotFit(t *testing.T) {
	t.Parallel()
	for _, known := range []bool{true, false} {
		t.Run(fmt.Sprint("known ", known), func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				opts := engine.Options{MaxPayload: 10_000}
				if known {
					opts.Hooks = []workflow.HookDefinition{quotes}
				}
				l.run(opts, seller)
				r := mustStart(l, seller, "shop")
				before := len(l.journal(r.ID()))
				for _, input := range []string{`"text"`, `{"Amount":"many"}`, `{"Amount":-1}`} {
					a, err := l.eng.CallHook(t.Context(), workflow.CallRequest{Token: "shop", Input: []byte(input)})
					_, misfit := errors.AsType[*workflow.PayloadError](err)
					if known != misfit || !known && !strings.Contains(string(a.Error), "payload") {
						t.Errorf("%s: got %s, %v", input, a.Error, err)
					}
				}
				if after := len(l.journal(r.ID())); known && after != before {
					t.Errorf("the journal has grown from %d to %d", before, after)
				}
				_, err := askShop(l, l.eng, wanted{Amount: -1})
				wantIs(l, err, errAmount)
				_, err = askShop(l, l.eng, wanted{How: strings.Repeat("x", 11_000)})
				wantIs(l, err, workflow.ErrPayloadTooLarge)
				mustAsk(l, l.eng, wanted{Amount: 99})
				if n := mustResult(l, r); n != 1 {
					t.Errorf("the run took %d requests", n)
				}
			})
		})
	}
}

// Hooks, webhooks and calls are not taken for each other.
func TestCallsAndHooks(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		other := workflow.DefineCall[string, string]("other")
		plain := workflow.DefineHook[string]("quote") // its namesake
		wf := workflow.Define("all", func(ctx workflow.Context, _ struct{}) (struct{}, error) {
			if _, err := quotes.Open(ctx, workflow.Token("call")); err != nil {
				return struct{}{}, err
			}
			if _, err := plain.New(ctx, workflow.Token("plain")); err != nil {
				return struct{}{}, err
			}
			if _, err := workflow.NewWebhook(ctx, workflow.Token("web")); err != nil {
				return struct{}{}, err
			}
			return struct{}{}, workflow.Sleep(ctx, time.Hour)
		})
		l.run(engine.Options{PublicURL: "https://example.com"}, wf)
		r := mustStart(l, wf, struct{}{})
		before := l.journal(r.ID())
		for _, c := range []workflow.Client{l.eng, l.client()} {
			_, err := workflow.Resume(t.Context(), c, "call", "x")
			wantMisfit(l, err)
			_, err = plain.Resume(t.Context(), c, "call", "x")
			wantMisfit(l, err)
			for _, token := range []string{"plain", "web"} {
				_, err = c.CallHook(t.Context(), workflow.CallRequest{Token: token, Input: []byte(`1`)})
				wantMisfit(l, err)
			}
			_, err = quotes.Call(t.Context(), c, "plain", wanted{})
			wantMisfit(l, err)
			_, err = other.Call(t.Context(), c, "call", "x")
			if e, ok := errors.AsType[*workflow.HookTypeError](err); !ok || e.Want != "other" || e.Got != "quote" {
				t.Errorf("a request of another call: %v", err)
			}
			_, err = quotes.Call(t.Context(), c, "none", wanted{})
			wantIs(l, err, workflow.ErrHookNotFound)
			_, err = quotes.Call(t.Context(), c, "", wanted{})
			wantIs(l, err, workflow.ErrInvalidToken)
			_, err = quotes.Call(t.Context(), c, "call", wanted{}, workflow.IdempotencyKey(""))
			wantIs(l, err, workflow.ErrInvalidName)
		}
		for _, e := range []*engine.Engine{l.eng, l.client()} {
			_, err := e.Webhook(t.Context(), "call")
			wantIs(l, err, workflow.ErrHookNotFound)
		}
		if diff := cmp.Diff(before, l.journal(r.ID())); diff != "" {
			t.Error(diff)
		}
		info, err := l.eng.HookByToken(t.Context(), "call")
		if err != nil || !info.Call || info.Webhook || info.Type != "quote" {
			t.Errorf("the hook is %+v, %v", info, err)
		}
	})
}

func wantMisfit(l *lab, err error) {
	l.Helper()
	if _, ok := errors.AsType[*workflow.PayloadError](err); !ok {
		l.Errorf("error is %v, want a *PayloadError", err)
	}
}

// A restart in place carries what was not taken, and the callers of what was.
func TestCallsOverARestart(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		type state struct {
			Open *workflow.Call[wanted, price]
			Sum  int
		}
		shop := workflow.Declare[state, int]("shop")
		def := shop.Implement(func(ctx workflow.Context, s state) (int, error) {
			calls, err := quotes.Open(ctx, workflow.Token("shop"))
			if err != nil {
				return 0, err
			}
			if s.Open != nil { // of the generation before
				if err := s.Open.Return(ctx, price{s.Open.Input.Amount}); err != nil {
					return 0, err
				}
			}
			if err := workflow.Sleep(ctx, time.Minute); err != nil {
				return 0, err
			}
			call, err := calls.Wait(ctx)
			if err != nil {
				return 0, err
			}
			s = state{call, s.Sum + call.Input.Amount}
			if call.Input.Amount == 99 {
				return s.Sum, call.Return(ctx, price{99})
			}
			return shop.Restart(ctx, s)
		})
		l.run(engine.Options{}, def)
		r := mustStart(l, shop, state{})
		got := make(chan int, 10)
		for _, amount := range []int{1, 2, 3, 99} {
			go func() { got <- mustAsk(l, l.eng, wanted{Amount: amount}) }()
			synctest.Wait()
		}
		for _, want := range []int{1, 2, 3, 99} {
			if total := <-got; total != want {
				t.Errorf("the answer is %d, want %d", total, want)
			}
		}
		if sum := mustResult(l, r); sum != 105 {
			t.Errorf("the sum is %d", sum)
		}
	})
}

// A select takes a request as it takes a payload.
func TestOnCall(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("selects", func(ctx workflow.Context, _ struct{}) (string, error) {
			calls, err := quotes.Open(ctx, workflow.Token("shop"))
			if err != nil {
				return "", err
			}
			calls2, err := quotes.Open(ctx)
			if err != nil {
				return "", err
			}
			log := ""
			for log = ""; len(log) < 3; {
				err := workflow.Select(ctx,
					workflow.OnCall(calls2, func(*workflow.Call[wanted, price]) error { return errors.New("nobody knows its token") }),
					workflow.OnCall(calls, func(c *workflow.Call[wanted, price]) error {
						log += "c"
						return c.Return(ctx, price{1})
					}),
					workflow.OnTimer(time.Minute, func() error { log += "t"; return nil }),
				)
				if _, bad := errors.AsType[*workflow.PayloadError](err); bad {
					log += "b"
				} else if err != nil {
					return "", err
				}
			}
			return log, nil
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, struct{}{})
		l.advance(90 * time.Second)
		mustAsk(l, l.eng, wanted{})
		a, err := l.eng.CallHook(t.Context(), workflow.CallRequest{Token: "shop", Input: []byte(`{"Amount":-1}`)})
		if err != nil || a.Error == nil {
			t.Errorf("got %+v, %v", a, err)
		}
		if log := mustResult(l, r); log != "tcb" {
			t.Errorf("the run did %q", log)
		}
	})
}

// A fork answers no caller of its origin, and callers of its own.
func TestCallsOfAFork(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{}, seller)
		r := mustStart(l, seller, "shop", workflow.RunID("origin"))
		failed := make(chan error, 1)
		go func() {
			_, err := askShop(l, l.eng, wanted{5, "late"}, workflow.IdempotencyKey("k"))
			failed <- err
		}()
		synctest.Wait()
		taken := int64(len(l.journal(r.ID())))
		if err := r.Terminate(t.Context(), "the fork goes on"); err != nil {
			t.Fatal(err)
		}
		wantIs(l, <-failed, workflow.ErrRunEnded)
		if _, err := l.eng.ForkRun(t.Context(), workflow.ForkRequest{RunID: r.ID(), Position: taken, ForkID: "fork"}); err != nil {
			t.Fatal(err)
		}
		l.advance(2 * time.Hour)
		_, err := quotes.Answer(t.Context(), l.eng, "shop", "k")
		wantIs(l, err, workflow.ErrRunEnded)
		if got := mustAsk(l, l.eng, wanted{Amount: 99}); got != 297 {
			t.Errorf("the answer is %d", got)
		}
		if n := mustResult(l, seller.Get(l.eng, "fork")); n != 2 {
			t.Errorf("the fork took %d requests", n)
		}
	})
}

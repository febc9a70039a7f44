package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/tenter-dev/tenter/engine"
	sqlitestore "github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

var errNoFunds = errors.New("no funds")

// payer is a workflow that pays in a transactional step, and then waits a minute.
func (b *bank) payer(f func(ctx context.Context, c *sqlite.Conn) error, opts ...workflow.StepOption) *workflow.Workflow[string, string] {
	return workflow.Define("payer", func(ctx workflow.Context, what string) (string, error) {
		receipt, err := workflow.TxStep(ctx, "pay", b, func(ctx context.Context, c *sqlite.Conn) (string, error) {
			if err := pay(c, what); err != nil {
				return "", err
			}
			if f == nil {
				return "receipt for " + what, nil
			}
			return "receipt for " + what, f(ctx, c)
		}, opts...)
		if err != nil {
			return "", err
		}
		return receipt, workflow.Sleep(ctx, time.Minute)
	})
}

func (b *bank) wantPaid(want ...string) {
	b.Helper()
	if d := cmp.Diff(append([]string{}, want...), b.paid()); d != "" {
		b.Errorf("paid (-want +got):\n%s", d)
	}
}

func (b *bank) wantReceipt(r *workflow.Run[string]) {
	b.Helper()
	if got := mustResult(b.lab, r); got != "receipt for rent" {
		b.Errorf("result is %q", got)
	}
}

// What a transactional step writes is committed with its result, and a replay does
// not execute it again.
func TestTxStep(t *testing.T) {
	t.Parallel()
	inBank(t, func(t *testing.T, b *bank) {
		wf := b.payer(nil)
		b.run(engine.Options{CacheSize: noCache}, wf)
		r := mustStart(b.lab, wf, "rent")
		b.wantPaid("rent")
		b.wantReceipt(r)
		b.wantPaid("rent")
		want := []string{"started", "step_completed pay#1", "timer_fired 1", "completed"}
		got := b.journal(r.ID())
		if len(got) != len(want) || got[1] != want[1] {
			t.Errorf("journal is %q", got)
		}
	})
}

func TestTxDo(t *testing.T) {
	t.Parallel()
	inBank(t, func(t *testing.T, b *bank) {
		wf := workflow.Define("payer", func(ctx workflow.Context, n int) (int, error) {
			for range n {
				if err := workflow.TxDo(ctx, "pay", b, func(_ context.Context, c *sqlite.Conn) error { return pay(c, "rent") }); err != nil {
					return 0, err
				}
			}
			return n, nil
		})
		b.run(engine.Options{}, wf)
		if n := mustResult(b.lab, mustStart(b.lab, wf, 3)); n != 3 {
			t.Errorf("result is %d", n)
		}
		b.wantPaid("rent", "rent", "rent")
	})
}

// An attempt that fails leaves nothing, and the next one begins from the same state.
func TestTxStepRollsBack(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"error":  func() error { return errNoFunds },
		"panic":  func() error { panic("boom") },
		"Goexit": func() error { failNow(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBank(t, func(t *testing.T, b *bank) {
				attempts := 0
				wf := b.payer(func(ctx context.Context, _ *sqlite.Conn) error {
					if attempts = workflow.InfoOf(ctx).Attempt; attempts < 3 {
						return fail()
					}
					return nil
				})
				b.run(engine.Options{}, wf)
				b.wantReceipt(mustStart(b.lab, wf, "rent"))
				b.wantPaid("rent")
				if attempts != 3 {
					t.Errorf("%d attempts", attempts)
				}
			})
		})
	}
}

// It fails for good as any step does, and a retry of the run executes it again.
func TestTxStepFails(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		f        func(ctx context.Context) error
		opts     []workflow.StepOption
		attempts int
		want     error
	}{
		"after its attempts": {func(context.Context) error { return errNoFunds }, []workflow.StepOption{workflow.MaxAttempts(2)}, 2, nil},
		"by Fatal":           {func(context.Context) error { return workflow.Fatal(errNoFunds) }, nil, 1, nil},
		"by Timeout": {
			func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			[]workflow.StepOption{workflow.MaxAttempts(2), workflow.Timeout(time.Second)},
			2, context.DeadlineExceeded,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBank(t, func(t *testing.T, b *bank) {
				broken := true
				wf := b.payer(func(ctx context.Context, _ *sqlite.Conn) error {
					if broken {
						return tt.f(ctx)
					}
					return nil
				}, tt.opts...)
				b.run(engine.Options{}, wf)
				r := mustStart(b.lab, wf, "rent")
				err := mustFail(b.lab, r)
				step, ok := errors.AsType[*workflow.StepError](err)
				if !ok || step.Attempts != tt.attempts {
					t.Fatalf("error is %v, want a *StepError after %d attempts", err, tt.attempts)
				}
				if tt.want != nil {
					wantIs(b.lab, err, tt.want)
				}
				b.wantPaid()
				broken = false
				if err := r.Retry(t.Context()); err != nil {
					t.Fatal(err)
				}
				b.wantReceipt(r)
				b.wantPaid("rent")
			})
		})
	}
}

// A run that failed after the step is retried without the step.
func TestTxStepSurvivesRetry(t *testing.T) {
	t.Parallel()
	inBank(t, func(t *testing.T, b *bank) {
		broken := true
		wf := workflow.Define("order", func(ctx workflow.Context, what string) (string, error) {
			paying := workflow.Go(ctx, func(ctx workflow.Context) (string, error) {
				return workflow.TxStep(ctx, "pay", b, func(_ context.Context, c *sqlite.Conn) (string, error) {
					return "receipt for " + what, pay(c, what)
				})
			})
			err := workflow.Do(ctx, "ship", func(context.Context) error {
				if broken {
					return workflow.Fatal(errors.New("no carrier"))
				}
				return nil
			})
			if err != nil {
				return "", err
			}
			return paying.Wait(ctx)
		})
		b.run(engine.Options{}, wf)
		r := mustStart(b.lab, wf, "rent")
		_ = mustFail(b.lab, r)
		broken = false
		if err := r.Retry(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.wantReceipt(r)
		b.wantPaid("rent")
	})
}

// The answer to the commit gets lost: the money has moved once, or not at all and is
// moved by the next attempt.
func TestTxStepDoubtfulCommit(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection reset")
	for name, tt := range map[string]struct {
		before, after error
		attempts      int
	}{
		"it was committed":     {nil, lost, 1},
		"it was not committed": {lost, nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBank(t, func(t *testing.T, b *bank) {
				attempts := 0
				wf := b.payer(func(context.Context, *sqlite.Conn) error { attempts++; return nil })
				b.run(engine.Options{}, wf)
				fails := func(err error) func() error { return func() error { return err } }
				b.at(fails(tt.before), fails(tt.after))
				b.wantReceipt(mustStart(b.lab, wf, "rent"))
				b.wantPaid("rent")
				if attempts != tt.attempts {
					t.Errorf("the function was called %d times, want %d", attempts, tt.attempts)
				}
			})
		})
	}
	t.Run("at the last attempt", func(t *testing.T) {
		t.Parallel()
		inBank(t, func(t *testing.T, b *bank) {
			wf := b.payer(nil, workflow.MaxAttempts(1))
			b.run(engine.Options{}, wf)
			b.at(nil, func() error { return lost })
			b.wantReceipt(mustStart(b.lab, wf, "rent"))
			b.wantPaid("rent")
		})
	})
}

// The worker dies around the commit, and another one goes on.
func TestTxStepTakeOver(t *testing.T) {
	t.Parallel()
	for name, when := range map[string]func(b *bank, die func() error){
		"before the commit": func(b *bank, die func() error) { b.at(die, nil) },
		"after the commit":  func(b *bank, die func() error) { b.at(nil, die) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBank(t, func(t *testing.T, b *bank) {
				wf := b.payer(nil)
				b.run(engine.Options{}, wf)
				dead := make(chan struct{})
				when(b, func() error {
					b.gate.set(func(g *gate) { g.dead = true })
					close(dead)
					return errKilled
				})
				r, err := wf.Start(t.Context(), b.eng, "rent")
				if err != nil {
					t.Fatal(err)
				}
				<-dead
				b.kill()
				b.run(engine.Options{}, wf)
				b.wantReceipt(wf.Get(b.eng, r.ID()))
				b.wantPaid("rent")
			})
		})
	}
}

// A worker is cut off from its store, loses the run, and goes on with its attempt.
func TestTxStepLeaseLost(t *testing.T) {
	t.Parallel()
	for name, when := range map[string]func(b *bank, hang func() error){
		"before the transaction": func(b *bank, hang func() error) { b.atBegin(func(context.Context) error { return hang() }) },
		"after the commit":       func(b *bank, hang func() error) { b.at(nil, hang) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBank(t, func(t *testing.T, b *bank) {
				wf := b.payer(nil)
				b.run(engine.Options{}, wf)
				hangs, goOn := make(chan struct{}), make(chan struct{})
				when(b, func() error {
					b.gate.set(func(g *gate) { g.dead = true })
					close(hangs)
					<-goOn
					return nil
				})
				r, err := wf.Start(t.Context(), b.eng, "rent")
				if err != nil {
					t.Fatal(err)
				}
				<-hangs
				other, stop := b.runOn(b.store, engine.Options{}, wf)
				defer func() { _ = stop() }()
				b.advance(30 * time.Second)
				b.wantPaid("rent")
				b.gate.set(func(g *gate) { g.dead = false })
				close(goOn)
				b.advance(10 * time.Second)
				b.wantReceipt(wf.Get(other, r.ID()))
				b.wantPaid("rent")
			})
		})
	}
}

// Canceled before the commit nothing has happened, and that is known.
func TestTxStepCanceled(t *testing.T) {
	t.Parallel()
	inBank(t, func(t *testing.T, b *bank) {
		wf := workflow.Define("payer", func(ctx workflow.Context, what string) (string, error) {
			patient, cancel := workflow.WithTimeout(ctx, time.Minute)
			defer cancel()
			return "", workflow.TxDo(patient, "pay", b, func(_ context.Context, c *sqlite.Conn) error { return pay(c, what) })
		})
		b.run(engine.Options{}, wf)
		b.atBegin(func(ctx context.Context) error { <-ctx.Done(); return nil })
		err := mustFail(b.lab, mustStart(b.lab, wf, "rent"))
		wantIs(b.lab, err, context.DeadlineExceeded)
		if errors.Is(err, workflow.ErrOutcomeUnknown) {
			t.Errorf("the outcome is known: %v", err)
		}
		b.wantPaid()
	})
}

// Once it is committed the step is done, even if its attempt never returns.
func TestTxStepHangsAfterCommit(t *testing.T) {
	t.Parallel()
	inBank(t, func(t *testing.T, b *bank) {
		wf := b.payer(nil)
		b.run(engine.Options{}, wf)
		b.at(nil, func() error { <-time.After(30 * time.Second); return nil })
		began := time.Now()
		r := mustStart(b.lab, wf, "rent")
		b.advance(time.Second)
		if info := wantStatus(b.lab, r, workflow.StatusWaiting); info.WakeAt.Sub(began) > time.Minute+time.Second {
			t.Errorf("the workflow went on at %v", info.WakeAt)
		}
		b.wantReceipt(r)
		b.wantPaid("rent")
	})
}

// A worker that takes over a canceled run knows the outcome of its transaction.
func TestTxStepCanceledTakeOver(t *testing.T) {
	t.Parallel()
	for name, committed := range map[string]bool{"committed": true, "rolled back": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBank(t, func(t *testing.T, b *bank) {
				wf := b.payer(nil)
				b.run(engine.Options{}, wf)
				dead := make(chan struct{})
				die := func() error {
					b.gate.set(func(g *gate) { g.dead = true })
					close(dead)
					return errKilled
				}
				if committed {
					b.at(nil, die)
				} else {
					b.at(die, nil)
				}
				r, err := wf.Start(t.Context(), b.eng, "rent")
				if err != nil {
					t.Fatal(err)
				}
				<-dead
				if err := wf.Get(b.client(), r.ID()).Cancel(t.Context()); err != nil {
					t.Fatal(err)
				}
				b.kill()
				b.run(engine.Options{}, wf)
				err = mustFail(b.lab, wf.Get(b.eng, r.ID()))
				wantIs(b.lab, err, context.Canceled)
				if errors.Is(err, workflow.ErrOutcomeUnknown) {
					t.Errorf("the outcome is known: %v", err)
				}
				journal := strings.Join(b.journal(r.ID()), "\n")
				if committed {
					b.wantPaid("rent")
					wantContains(b.lab, journal, "step_completed pay#1")
				} else {
					b.wantPaid()
					wantContains(b.lab, journal, "step_failed pay#1")
				}
			})
		})
	}
}

// In a transactional step the client is that of its transaction.
func TestTxStepClient(t *testing.T) {
	t.Parallel()
	inBank(t, func(t *testing.T, b *bank) {
		child := define("child")
		listener := workflow.Define("listener", func(ctx workflow.Context, _ string) (string, error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token("news"))
			if err != nil {
				return "", err
			}
			return hook.Wait(ctx)
		})
		attempts := 0
		wf := b.payer(func(ctx context.Context, _ *sqlite.Conn) error {
			attempts++
			client := workflow.ClientFrom(ctx)
			if _, err := child.Start(ctx, client, "", workflow.RunID("child")); err != nil {
				return err
			}
			if _, err := workflow.Resume(ctx, client, "news", "paid"); err != nil {
				return err
			}
			if _, err := client.RunInfo(ctx, "child"); err != nil {
				return err
			}
			if attempts == 1 {
				return errNoFunds
			}
			return nil
		})
		b.run(engine.Options{}, wf, child, listener)
		heard := mustStart(b.lab, listener, "")
		r := mustStart(b.lab, wf, "rent")
		if _, err := b.eng.RunInfo(t.Context(), "child"); !errors.Is(err, workflow.ErrRunNotFound) {
			t.Errorf("a run was started by an attempt that was rolled back: %v", err)
		}
		b.wantReceipt(r)
		mustResult(b.lab, child.Get(b.eng, "child"))
		if got := mustResult(b.lab, heard); got != "paid" {
			t.Errorf("heard %q", got)
		}
	})
}

// What fn must not do.
func TestTxStepMisuse(t *testing.T) {
	t.Parallel()
	end := func(sql string) func(context.Context, *sqlite.Conn) error {
		return func(_ context.Context, c *sqlite.Conn) error { return exec(c, sql) }
	}
	for name, tt := range map[string]struct {
		f    func(ctx context.Context, c *sqlite.Conn) error
		opts engine.Options
		want string
		paid []string
	}{
		"commits": {f: end("COMMIT"), want: "committed its transaction by itself", paid: []string{"rent"}},
		"rolls back": {
			f: end("ROLLBACK"), want: "no transaction is open",
		},
		"returns too much": {opts: engine.Options{MaxPayload: 10}, want: "payload is too large"},
		"leaves a statement open": {
			f: func(_ context.Context, c *sqlite.Conn) error {
				_, err := c.Prep("SELECT 1 FROM payments").Step()
				return err
			},
			want: "statement",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBank(t, func(t *testing.T, b *bank) {
				wf := b.payer(tt.f, workflow.MaxAttempts(2), workflow.Backoff(time.Second, time.Second))
				b.run(tt.opts, wf)
				wantContains(b.lab, mustFail(b.lab, mustStart(b.lab, wf, "rent")).Error(), "pay#1", tt.want)
				if paid := b.paid(); !slices.Equal(paid, tt.paid) {
					t.Errorf("paid %q, want %q", paid, tt.paid)
				}
			})
		})
	}
}

// A database of its own, or one that others may not open, can't be used.
func TestTxStepElsewhere(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		pool, err := sqlitex.NewPool(l.store.Path(), sqlitex.PoolOptions{PoolSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = pool.Close() }()
		wf := workflow.Define("payer", func(ctx workflow.Context, _ string) (string, error) {
			return "", workflow.TxDo(ctx, "pay", sqlitestore.Pool(pool), func(context.Context, *sqlite.Conn) error { return nil })
		})
		l.run(engine.Options{}, wf)
		err = mustFail(l, mustStart(l, wf, ""))
		wantContains(l, err.Error(), "pay#1 failed after 1 attempt", "Options.Private")
	})
	inBank(t, func(t *testing.T, b *bank) {
		wf := workflow.Define("payer", func(ctx workflow.Context, _ string) (string, error) {
			return "", workflow.TxDo[*sqlite.Conn](ctx, "pay", nil, func(context.Context, *sqlite.Conn) error { return nil }, workflow.MaxAttempts(1))
		})
		b.run(engine.Options{}, wf)
		wantContains(b.lab, mustFail(b.lab, mustStart(b.lab, wf, "")).Error(), `step "pay": its Transactor is nil`)
	})
}

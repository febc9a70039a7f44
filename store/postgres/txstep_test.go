package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/postgres"
	"github.com/tenter-dev/tenter/workflow"
)

// bank is an application with a table of its own in the database of the store.
type bank struct {
	*testing.T
	url  string
	pool *pgxpool.Pool
}

func newBank(t *testing.T) *bank {
	t.Helper()
	url := pgtest.Database(t)
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if _, err := pool.Exec(t.Context(), "CREATE TABLE payments (what text NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	return &bank{t, url, pool}
}

// run executes workflows on a store, or on one of its own, until the test ends.
func (b *bank) run(st store.Store, defs ...workflow.Definition) *engine.Engine {
	b.Helper()
	if st == nil {
		st = b.open()
	}
	eng, err := engine.New(st, engine.Options{Workflows: defs, Lease: 500 * time.Millisecond, DrainTimeout: time.Second, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = eng.Run(ctx)
	}()
	b.Cleanup(func() {
		cancel()
		<-done
		_ = eng.Close()
	})
	return eng
}

func (b *bank) open() *postgres.Store {
	b.Helper()
	st, err := postgres.OpenWith(b.Context(), b.url, postgres.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = st.Close() })
	return st
}

func pay(ctx context.Context, tx pgx.Tx, what string) error {
	_, err := tx.Exec(ctx, "INSERT INTO payments VALUES ($1)", what)
	return err
}

// wantPaid checks how often something was paid.
func (b *bank) wantPaid(what string, want int) {
	b.Helper()
	var n int
	if err := b.pool.QueryRow(b.Context(), "SELECT count(*) FROM payments WHERE what = $1", what).Scan(&n); err != nil {
		b.Fatal(err)
	}
	if n != want {
		b.Errorf("%s was paid %d times, want %d", what, n, want)
	}
}

func result[Out any](b *bank, r *workflow.Run[Out]) Out {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	out, err := r.Result(ctx)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// await waits until a run has opened a hook.
func (b *bank) await(eng *engine.Engine, token string) {
	b.Helper()
	for b.Context().Err() == nil {
		if _, err := eng.HookByToken(b.Context(), token); err == nil {
			return
		}
	}
	b.Fatalf("no hook for %q", token)
}

// An order and its run are created in one transaction, a payment and its payload in
// another, with pgx and with database/sql.
func TestWithTx(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	order := workflow.Define("order", func(ctx workflow.Context, id string) (string, error) {
		hook, err := workflow.NewHook[string](ctx, workflow.Token("paid:"+id))
		if err != nil {
			return "", err
		}
		return hook.Wait(ctx)
	})
	eng := b.run(nil, order)
	db, err := sql.Open("pgx", b.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	changed := errors.New("changed our mind")
	ctx := t.Context()
	for name, within := range map[string]func(f func(store.Tx, func(sql string) error) error) error{
		"pgx": func(f func(store.Tx, func(string) error) error) error {
			return pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
				return f(postgres.Tx(tx), func(s string) error { _, err := tx.Exec(ctx, s); return err })
			})
		},
		"sql": func(f func(store.Tx, func(string) error) error) error {
			return postgres.DB(db).Transact(ctx, func(tx *sql.Tx, _ any) error {
				return f(postgres.SQLTx(tx), func(s string) error { _, err := tx.ExecContext(ctx, s); return err })
			})
		},
	} {
		place := func(then error) error {
			return within(func(tx store.Tx, exec func(string) error) error {
				if err := exec("INSERT INTO payments VALUES ('ordered " + name + "')"); err != nil {
					return err
				}
				_, err := order.Start(ctx, eng.WithTx(tx), name, workflow.RunID("order-"+name))
				return errors.Join(err, then)
			})
		}
		settle := func(then error) error {
			return within(func(tx store.Tx, exec func(string) error) error {
				if err := exec("INSERT INTO payments VALUES ('paid " + name + "')"); err != nil {
					return err
				}
				_, err := workflow.Resume(ctx, eng.WithTx(tx), "paid:"+name, "cash", workflow.OrStart(order, name))
				return errors.Join(err, then)
			})
		}
		if err := place(changed); !errors.Is(err, changed) {
			t.Fatal(err)
		}
		if _, err := eng.RunInfo(ctx, "order-"+name); !errors.Is(err, workflow.ErrRunNotFound) {
			t.Errorf("%s: %v", name, err)
		}
		if err := place(nil); err != nil {
			t.Fatal(err)
		}
		if err := place(nil); !errors.Is(err, workflow.ErrRunExists) {
			t.Errorf("%s: %v", name, err)
		}
		b.await(eng, "paid:"+name)
		if err := settle(changed); !errors.Is(err, changed) {
			t.Fatal(err)
		}
		if err := settle(nil); err != nil {
			t.Fatal(err)
		}
		if got := result(b, order.Get(eng, "order-"+name)); got != "cash" {
			t.Errorf("%s: result is %q", name, got)
		}
		b.wantPaid("ordered "+name, 1)
		b.wantPaid("paid "+name, 1)
	}
}

// A transaction of the application that has resumed a run holds up that run, and
// nothing else.
func TestWithTxHoldsUpItsRunOnly(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	wf := workflow.Define("count", func(ctx workflow.Context, token string) (int, error) {
		hook, err := workflow.NewHook[int](ctx, workflow.Token(token))
		if err != nil {
			return 0, err
		}
		sum := 0
		for range 2 {
			n, err := hook.Wait(ctx)
			if err != nil {
				return 0, err
			}
			sum += n
		}
		return sum, nil
	})
	eng := b.run(nil, wf)
	ctx := t.Context()
	start := func(token string) *workflow.Run[int] {
		r, err := wf.Start(ctx, eng, token)
		if err != nil {
			t.Fatal(err)
		}
		b.await(eng, token)
		return r
	}
	resume := func(c workflow.Client, token string) error {
		_, err := workflow.Resume(ctx, c, token, 1)
		return err
	}
	held := start("held")
	late := make(chan error, 1)
	err := pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
		if err := resume(eng.WithTx(postgres.Tx(tx)), "held"); err != nil {
			return err
		}
		go func() { late <- resume(eng, "held") }()
		for i := range 20 {
			token := fmt.Sprintf("free %d", i)
			r := start(token)
			if err := errors.Join(resume(eng, token), resume(eng, token)); err != nil {
				return err
			}
			if n := result(b, r); n != 2 {
				t.Errorf("sum is %d", n)
			}
		}
		select {
		case err := <-late:
			t.Errorf("a payload for the run that is held up: %v", err)
		default:
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-late; err != nil {
		t.Fatal(err)
	}
	if n := result(b, held); n != 2 {
		t.Errorf("sum is %d", n)
	}
}

// faulty is a pool whose transactions fail at any point, and whose answers get lost.
type faulty struct {
	postgres.TxPool
	faults *atomic.Int64
}

var errInjected = errors.New("injected")

func (f faulty) Transact(ctx context.Context, fn func(tx pgx.Tx, joined any) error) error {
	fault := rand.IntN(8)
	if fault < 5 {
		f.faults.Add(1)
	}
	if fault == 0 {
		return errInjected
	}
	err := f.TxPool.Transact(ctx, func(tx pgx.Tx, joined any) error {
		kill := func() {
			var pid int
			if err := tx.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err == nil {
				_, _ = tx.Exec(ctx, "SELECT pg_terminate_backend($1)", pid)
			}
		}
		if fault == 1 {
			kill()
		}
		err := fn(tx, joined)
		if err == nil && fault == 2 {
			kill()
		}
		if err == nil && fault == 3 {
			return errInjected
		}
		return err
	})
	if err == nil && fault == 4 {
		return errInjected // it was committed
	}
	return err
}

// Whatever fails, money moves once, and the run that moved it knows.
func TestTxStepFaults(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	db := faulty{postgres.Pool(b.pool), new(atomic.Int64)}
	child := workflow.Define("child", func(workflow.Context, string) (string, error) { return "", nil })
	payer := workflow.Define("payer", func(ctx workflow.Context, what string) (int, error) {
		for i := range 3 {
			_, err := workflow.TxStep(ctx, "pay", db, func(ctx context.Context, tx pgx.Tx) (string, error) {
				if _, err := child.Start(ctx, workflow.ClientFrom(ctx), "", workflow.RunID(fmt.Sprintf("%s.%d", what, i))); err != nil {
					return "", err
				}
				return what, pay(ctx, tx, fmt.Sprintf("%s.%d", what, i))
			}, workflow.MaxAttempts(0), workflow.Backoff(time.Millisecond, 10*time.Millisecond))
			if err != nil {
				return i, err
			}
		}
		return 3, nil
	})
	eng := b.run(nil, payer, child)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			what := fmt.Sprintf("rent %d", i)
			r, err := payer.Start(t.Context(), eng, what)
			if err != nil {
				t.Error(err)
				return
			}
			if n, err := r.Result(t.Context()); n != 3 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			for j := range 3 {
				if _, err := child.Get(eng, fmt.Sprintf("%s.%d", what, j)).Result(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i := range 40 {
		for j := range 3 {
			b.wantPaid(fmt.Sprintf("rent %d.%d", i, j), 1)
		}
	}
	t.Logf("%d faults", db.faults.Load())
}

// Canceled in the middle of its transaction, a step has done nothing.
func TestTxStepCanceled(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	began := make(chan struct{})
	payer := workflow.Define("payer", func(ctx workflow.Context, what string) (string, error) {
		return "", workflow.TxDo(ctx, "pay", postgres.Pool(b.pool), func(ctx context.Context, tx pgx.Tx) error {
			if err := pay(ctx, tx, what); err != nil {
				return err
			}
			close(began)
			<-ctx.Done()
			return nil // though it can't commit any more
		})
	})
	eng := b.run(nil, payer)
	r, err := payer.Start(t.Context(), eng, "rent")
	if err != nil {
		t.Fatal(err)
	}
	<-began
	if err := r.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = r.Result(t.Context())
	if !errors.Is(err, workflow.ErrCanceled) || errors.Is(err, workflow.ErrOutcomeUnknown) {
		t.Errorf("error is %v", err)
	}
	b.wantPaid("rent", 0)
}

// cutOff is a store that a worker can't reach any more.
type cutOff struct {
	*postgres.Store
	cut atomic.Bool
}

func (c *cutOff) Renew(ctx context.Context, l store.Lease) error {
	if c.cut.Load() {
		return errInjected
	}
	return c.Store.Renew(ctx, l)
}

func (c *cutOff) Claim(ctx context.Context, cl store.Claim) (store.Claimed, error) {
	if c.cut.Load() {
		return store.Claimed{}, errInjected
	}
	return c.Store.Claim(ctx, cl)
}

func (c *cutOff) Load(ctx context.Context, runID string, after int64) (store.Loaded, error) {
	if c.cut.Load() {
		return store.Loaded{}, errInjected
	}
	return c.Store.Load(ctx, runID, after)
}

// A worker loses the run in the middle of the transaction. The next one waits until
// that has ended, and it can't commit any more.
func TestTxStepOfTwoWorkers(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	var attempts atomic.Int64
	inside, goOn := make(chan struct{}), make(chan struct{})
	payer := workflow.Define("payer", func(ctx workflow.Context, what string) (string, error) {
		return "", workflow.TxDo(ctx, "pay", postgres.Pool(b.pool), func(ctx context.Context, tx pgx.Tx) error {
			if attempts.Add(1) == 1 {
				close(inside)
				<-goOn
			}
			return pay(context.WithoutCancel(ctx), tx, what)
		})
	})
	lost := &cutOff{Store: b.open()}
	first := b.run(lost, payer)
	r, err := payer.Start(t.Context(), first, "rent")
	if err != nil {
		t.Fatal(err)
	}
	<-inside
	lost.cut.Store(true)
	second := b.run(nil, payer)
	waits := func() (n int) {
		err := b.pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%claim_step%' AND datname = current_database()").Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for waits() == 0 && t.Context().Err() == nil { // for the claim of the second
	}
	if n := attempts.Load(); n != 1 {
		t.Errorf("%d attempts at once", n)
	}
	close(goOn)
	result(b, payer.Get(second, r.ID()))
	b.wantPaid("rent", 1)
	if n := attempts.Load(); n != 2 {
		t.Errorf("%d attempts, want 2: the first has lost the run", n)
	}
}

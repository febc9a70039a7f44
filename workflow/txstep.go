package workflow

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/internal/run"
)

// Transactor begins transactions on the database that the engine's store is in, for
// [TxStep]. The package of the store makes it from the application's pool of
// connections: postgres.Pool, postgres.DB, sqlite.Pool.
type Transactor[Tx any] interface {
	// Transact begins a transaction and calls fn with it, once as the driver's own type
	// and once as what engine.Engine.WithTx takes. It commits if fn returns nil;
	// otherwise, or if fn panics, it rolls back and returns fn's error.
	Transact(ctx context.Context, fn func(tx Tx, joined any) error) error
}

// TxStep is a [Step] in a transaction of the application's own: what fn writes with tx
// and the step's recorded result are committed together. So fn's writes happen
// exactly once, whatever crashes, where those of a Step happen at least once:
//
//	receipt, err := workflow.TxStep(ctx, "pay", postgres.Pool(pool), func(ctx context.Context, tx pgx.Tx) (Receipt, error) {
//		if _, err := tx.Exec(ctx, `UPDATE accounts SET balance = balance - $1 WHERE id = $2`, amount, id); err != nil {
//			return Receipt{}, err
//		}
//		…
//	})
//
// Fn may be called again, after an attempt that was rolled back: because fn failed or
// panicked, ctx ended, a worker died, or the transaction could not be begun or
// committed. Attempts count, and are spaced and bounded, as those of Step. What fn
// does outside of tx happens at least once, as in any step. If the run is canceled
// or ctx's deadline passes before the commit begins, the transaction is rolled back.
//
// Inside fn, [ClientFrom] is the client of the transaction: runs that it starts and
// hooks that it resumes are part of it. (A client of the engine itself is not, and on
// SQLite it would wait for the transaction to end, which waits for fn.)
//
// The transaction is TxStep's. Fn must neither commit nor roll it back (savepoints are
// fine), nor keep tx after it has returned, nor share it between goroutines, and must
// return the error if a statement has failed in a way that leaves the transaction
// unusable. A transaction that fn has committed by itself fails the step for good. It
// is open for as long as fn executes, with its locks, so what is slow belongs in a
// step before it. See docs/guide.md.
func TxStep[Tx, T any](ctx Context, name string, db Transactor[Tx], fn func(ctx context.Context, tx Tx) (T, error), opts ...StepOption) (T, error) {
	if fn == nil || db == nil {
		var zero T
		return zero, nilTx(name, db == nil)
	}
	return typedStep[T](ctx, txStep(name, db, func(ctx context.Context, tx Tx) ([]byte, error) {
		v, err := fn(ctx, tx)
		if err != nil {
			return nil, err
		}
		return encodeResult(v)
	}, opts))
}

// TxDo is [TxStep] for functions without a result.
func TxDo[Tx any](ctx Context, name string, db Transactor[Tx], fn func(ctx context.Context, tx Tx) error, opts ...StepOption) error {
	if fn == nil || db == nil {
		return nilTx(name, db == nil)
	}
	_, err := execStep(ctx, txStep(name, db, func(ctx context.Context, tx Tx) ([]byte, error) { return nil, fn(ctx, tx) }, opts))
	return err
}

func nilTx(name string, db bool) error {
	if db {
		return misused(fmt.Errorf("step %q: its Transactor is nil", name))
	}
	return nilFunc(name)
}

func txStep[Tx any](name string, db Transactor[Tx], fn func(context.Context, Tx) ([]byte, error), opts []StepOption) run.Step {
	s := newStep(name, opts)
	s.Transact = func(ctx context.Context, do func(joined any, f run.StepFunc) error) error {
		return db.Transact(ctx, func(tx Tx, joined any) error {
			return do(joined, func(ctx context.Context) ([]byte, *run.StepError) {
				return attempt(ctx, func(ctx context.Context) ([]byte, error) { return fn(ctx, tx) })
			})
		})
	}
	return s
}

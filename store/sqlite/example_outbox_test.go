package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // stands for any driver

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// shop has the application's data in a database of its own, with whatever driver.
type shop struct{ db *sql.DB }

// order writes an order, and what is to be started for it, in one transaction.
func (s shop) order(ctx context.Context, id int) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // unless it was committed
	for _, stmt := range []string{"INSERT INTO orders (id) VALUES (?)", "INSERT INTO outbox (order_id) VALUES (?)"} {
		if _, err := tx.ExecContext(ctx, stmt, id); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// relay starts what is in the outbox. It may be repeated, whatever becomes of it: a run ID is
// taken once.
func (s shop) relay(ctx context.Context, eng *engine.Engine, orders *workflow.Workflow[int, int]) error {
	for {
		var id int
		err := s.db.QueryRowContext(ctx, "SELECT order_id FROM outbox ORDER BY order_id LIMIT 1").Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = orders.Start(ctx, eng, id, workflow.RunID(fmt.Sprintf("order-%d", id)))
		if err != nil && !errors.Is(err, workflow.ErrRunExists) {
			return err
		}
		if _, err := s.db.ExecContext(ctx, "DELETE FROM outbox WHERE order_id = ?", id); err != nil {
			return err
		}
	}
}

// pay is a step. It notes its ID in the transaction that moves the money, so that it moves
// once, however often the step is executed.
func (s shop) pay(ctx context.Context) (left int, err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }() // unless it was committed
	done, err := tx.ExecContext(ctx, "INSERT INTO steps (id) VALUES (?) ON CONFLICT DO NOTHING", workflow.InfoOf(ctx).StepID)
	if err != nil {
		return 0, err
	}
	if n, err := done.RowsAffected(); err != nil {
		return 0, err
	} else if n > 0 {
		if _, err := tx.ExecContext(ctx, "UPDATE balance SET amount = amount - 30"); err != nil {
			return 0, err
		}
	}
	if err := tx.QueryRowContext(ctx, "SELECT amount FROM balance").Scan(&left); err != nil {
		return 0, err
	}
	return left, tx.Commit()
}

// An application whose driver is another than zombiezen's has its data in a database of its
// own. What it writes there and what it starts here come about together all the same.
func Example_outbox() {
	dir, err := os.MkdirTemp("", "tenter")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := sql.Open("sqlite", filepath.Join(dir, "shop.db"))
	if err != nil {
		panic(err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // SQLite has one writer
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, err = db.ExecContext(ctx, `
		CREATE TABLE orders (id INTEGER PRIMARY KEY);
		CREATE TABLE outbox (order_id INTEGER PRIMARY KEY);
		CREATE TABLE steps (id TEXT PRIMARY KEY);
		CREATE TABLE balance (amount INTEGER);
		INSERT INTO balance VALUES (100);`)
	if err != nil {
		panic(err)
	}
	s := shop{db}

	order := workflow.Define("order", func(ctx workflow.Context, _ int) (int, error) {
		return workflow.Step(ctx, "pay", func(ctx context.Context) (int, error) {
			if left, err := s.pay(ctx); err != nil {
				return left, err
			}
			return s.pay(ctx) // as after a crash, which repeats the step
		})
	})
	st, err := sqlite.Open(filepath.Join(dir, "runs.db"))
	if err != nil {
		panic(err)
	}
	defer func() { _ = st.Close() }()
	eng, err := engine.New(st, engine.Options{Workflows: []workflow.Definition{order}})
	if err != nil {
		panic(err)
	}
	defer func() { cancel(); _ = eng.Close() }()
	go func() { _ = eng.Run(ctx) }()

	if err := s.order(ctx, 7); err != nil {
		panic(err)
	}
	if err := s.relay(ctx, eng, order); err != nil {
		panic(err)
	}
	// A crash before the row was deleted: it is relayed again.
	if _, err := db.ExecContext(ctx, "INSERT INTO outbox (order_id) VALUES (7)"); err != nil {
		panic(err)
	}
	if err := s.relay(ctx, eng, order); err != nil {
		panic(err)
	}
	left, err := order.Get(eng, "order-7").Result(ctx)
	fmt.Println(left, err)
	// Output: 70 <nil>
}

package postgres_test

import (
	"context"
	"database/sql"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store/postgres"
	"github.com/tenter-dev/tenter/workflow"
)

var (
	pool *pgxpool.Pool
	db   *sql.DB
	eng  *engine.Engine
)

var processOrder = workflow.Define("process-order", func(ctx workflow.Context, id string) (int64, error) {
	return workflow.TxStep(ctx, "reserve", postgres.Pool(pool), func(ctx context.Context, tx pgx.Tx) (int64, error) {
		tag, err := tx.Exec(ctx, "UPDATE stock SET reserved_for = $1 WHERE id = (SELECT id FROM stock WHERE reserved_for IS NULL LIMIT 1)", id)
		return tag.RowsAffected(), err
	})
})

// An order is never there without its run, nor a run without its order.
func ExampleTx() { //nolint:testableexamples // it needs a server
	place := func(ctx context.Context, id string) error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "INSERT INTO orders (id) VALUES ($1)", id); err != nil {
				return err
			}
			_, err := processOrder.Start(ctx, eng.WithTx(postgres.Tx(tx)), id, workflow.RunID("order-"+id))
			return err
		})
	}
	_ = place
}

// The payment is recorded if and only if the run gets to know of it.
func ExampleSQLTx() { //nolint:testableexamples // it needs a server
	paid := func(ctx context.Context, id string) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.ExecContext(ctx, "INSERT INTO payments (order_id) VALUES ($1)", id); err != nil {
			return err
		}
		if _, err := workflow.Resume(ctx, eng.WithTx(postgres.SQLTx(tx)), "paid:"+id, "by card", workflow.IdempotencyKey(id)); err != nil {
			return err
		}
		return tx.Commit()
	}
	_ = paid
}

// A step moves money in the application's own tables, exactly once.
func ExamplePool() { //nolint:testableexamples // it needs a server
	_ = func(ctx workflow.Context, from, to string, amount int64) error {
		return workflow.TxDo(ctx, "transfer", postgres.Pool(pool), func(ctx context.Context, tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "UPDATE accounts SET balance = balance - $1 WHERE id = $2", amount, from); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "UPDATE accounts SET balance = balance + $1 WHERE id = $2", amount, to)
			return err
		})
	}
}

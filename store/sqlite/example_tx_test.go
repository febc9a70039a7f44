package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// An order is written, and the run that handles it started, in one transaction. The
// run moves money in the application's own table, once.
func ExampleTx() {
	dir, err := os.MkdirTemp("", "tenter")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "app.db")
	pool, err := sqlitex.NewPool(file, sqlitex.PoolOptions{PoolSize: 2})
	if err != nil {
		panic(err)
	}
	defer func() { _ = pool.Close() }()
	db := sqlite.Pool(pool)

	order := workflow.Define("order", func(ctx workflow.Context, id int) (int, error) {
		return workflow.TxStep(ctx, "pay", db, func(_ context.Context, c *zombiezen.Conn) (int, error) {
			if err := sqlitex.Execute(c, "UPDATE balance SET amount = amount - 30", nil); err != nil {
				return 0, err
			}
			return sqlitex.ResultInt(c.Prep("SELECT amount FROM balance"))
		})
	})

	st, err := sqlite.Open(file)
	if err != nil {
		panic(err)
	}
	defer func() { _ = st.Close() }()
	eng, err := engine.New(st, engine.Options{Workflows: []workflow.Definition{order}})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer func() { cancel(); _ = eng.Close() }()
	go func() { _ = eng.Run(ctx) }()

	err = db.Transact(ctx, func(c *zombiezen.Conn, _ any) error {
		err := sqlitex.ExecuteScript(c, `
			CREATE TABLE orders (id INTEGER PRIMARY KEY);
			CREATE TABLE balance (amount INTEGER);
			INSERT INTO balance VALUES (100);
			INSERT INTO orders VALUES (7);`, nil)
		if err != nil {
			return err
		}
		_, err = order.Start(ctx, eng.WithTx(sqlite.Tx(c)), 7, workflow.RunID("order-7"))
		return err
	})
	if err != nil {
		panic(err)
	}
	left, err := order.Get(eng, "order-7").Result(ctx)
	fmt.Println(left, err)
	// Output: 70 <nil>
}

package engine_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/tenter-dev/tenter/internal/memdir"
	"github.com/tenter-dev/tenter/store"
	sqlitestore "github.com/tenter-dev/tenter/store/sqlite"
)

// bank is a lab whose SQLite file has a table of the application's own, with what was
// paid.
type bank struct {
	*lab
	pool *sqlitex.Pool

	mu     sync.Mutex
	begin  func(context.Context) error // if not nil, before the next transaction of a step begins
	before func() error                // if not nil, of the next commit of a step; an error rolls back
	after  func() error                // if not nil, of the next commit of a step; an error is what it returns
}

// inBank calls f in a bubble with an empty database that the application shares.
func inBank(t *testing.T, f func(t *testing.T, b *bank)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(memdir.TempDir(t), "bank.db")
		st, err := sqlitestore.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = st.Close() }()
		pool, err := sqlitex.NewPool(path, sqlitex.PoolOptions{PoolSize: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = pool.Close() }()
		l := &lab{T: t, store: st, logs: &logbook{}, stop: func() error { return nil }}
		defer func() { _ = l.stop() }()
		b := &bank{lab: l, pool: pool}
		if err := b.tx(func(c *sqlite.Conn) error { return exec(c, "CREATE TABLE payments (what TEXT)") }); err != nil {
			t.Fatal(err)
		}
		f(t, b)
	})
}

func exec(c *sqlite.Conn, sql string, args ...any) error {
	return sqlitex.ExecuteTransient(c, sql, &sqlitex.ExecOptions{Args: args})
}

func pay(c *sqlite.Conn, what string) error { return exec(c, "INSERT INTO payments VALUES (?)", what) }

// tx is a transaction of the application.
func (b *bank) tx(f func(c *sqlite.Conn) error) error {
	return sqlitestore.Pool(b.pool).Transact(context.WithoutCancel(b.Context()), func(c *sqlite.Conn, _ any) error { return f(c) })
}

// paid is what was paid, in order.
func (b *bank) paid() []string {
	b.Helper()
	paid := []string{}
	err := b.tx(func(c *sqlite.Conn) error {
		return sqlitex.ExecuteTransient(c, "SELECT what FROM payments ORDER BY rowid", &sqlitex.ExecOptions{
			ResultFunc: func(s *sqlite.Stmt) error { paid = append(paid, s.ColumnText(0)); return nil },
		})
	})
	if err != nil {
		b.Fatal(err)
	}
	return paid
}

// at sets what happens at the next commit of a step.
func (b *bank) at(before, after func() error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before, b.after = before, after
}

// atBegin sets what happens before the next transaction of a step begins.
func (b *bank) atBegin(begin func(context.Context) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begin = begin
}

// Transact makes it the workflow.Transactor of its steps.
func (b *bank) Transact(ctx context.Context, f func(tx *sqlite.Conn, joined any) error) error {
	b.mu.Lock()
	begin, before, after := b.begin, b.before, b.after
	b.begin, b.before, b.after = nil, nil, nil
	b.mu.Unlock()
	if begin != nil {
		if err := begin(ctx); err != nil {
			return err
		}
	}
	err := sqlitestore.Pool(b.pool).Transact(ctx, func(c *sqlite.Conn, joined any) error {
		err := f(c, joined)
		if err == nil && before != nil {
			err = before()
		}
		return err
	})
	if err == nil && after != nil {
		err = after()
	}
	return err
}

// Within lets the application's transactions through.
func (g *gate) Within(tx store.Tx) (store.Joined, error) {
	if err := g.pass(); err != nil {
		return nil, err
	}
	return g.Store.(store.Joiner).Within(tx) //nolint:forcetypeassert // it is SQLite
}

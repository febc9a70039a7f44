package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/storetest"
)

// begin begins a transaction on a connection of the application's.
func begin(t *testing.T, path string) storetest.AppTx {
	t.Helper()
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Error(err)
		return storetest.AppTx{}
	}
	t.Cleanup(func() { _ = c.Close() })
	exec := func(sql string) error { return sqlitex.ExecuteTransient(c, sql, nil) }
	if err := exec("BEGIN IMMEDIATE"); err != nil {
		t.Error(err)
	}
	return storetest.AppTx{
		Tx:       Tx(c),
		Commit:   func() error { return exec("COMMIT") },
		Rollback: func() error { return exec("ROLLBACK") },
	}
}

func TestWithinChecksTheConnection(t *testing.T) {
	t.Parallel()
	shared, other, private := open(t, Options{}), open(t, Options{}), open(t, Options{Private: true})
	idle, err := sqlite.OpenConn(shared.Path(), sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = idle.Close() })
	for _, tt := range []struct {
		s    *Store
		tx   store.Tx
		want string
	}{
		{shared, Tx(nil), "the connection is nil"},
		{shared, Tx(idle), "no transaction is open"},
		{shared, begin(t, other.Path()).Tx, "another file"},
		{private, begin(t, private.Path()).Tx, "Options.Private"},
	} {
		if _, err := tt.s.Within(tt.tx); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error is %v, want %q", err, tt.want)
		}
	}
}

func TestPoolCommitsOrRollsBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.db")
	pool, err := sqlitex.NewPool(path, sqlitex.PoolOptions{PoolSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	count := 0
	write := func(ctx context.Context, then func(c *sqlite.Conn) error) error {
		return Pool(pool).Transact(ctx, func(c *sqlite.Conn, _ any) error {
			if err := sqlitex.ExecuteScript(c, "CREATE TABLE IF NOT EXISTS t (n); INSERT INTO t VALUES (1)", nil); err != nil {
				return err
			}
			return then(c)
		})
	}
	rows := func() int {
		t.Helper()
		err := Pool(pool).Transact(t.Context(), func(c *sqlite.Conn, _ any) error {
			n, err := sqlitex.ResultInt(c.Prep("SELECT count(*) FROM t"))
			count = n
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return count
	}
	if err := write(t.Context(), func(*sqlite.Conn) error { return nil }); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := write(t.Context(), func(*sqlite.Conn) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = write(t.Context(), func(*sqlite.Conn) error { panic("boom") })
	}()
	ctx, cancel := context.WithCancel(t.Context())
	if err := write(ctx, func(*sqlite.Conn) error { cancel(); return nil }); err == nil {
		t.Error("committed though the context had ended")
	}
	err = write(t.Context(), func(c *sqlite.Conn) error { return sqlitex.ExecuteTransient(c, "ROLLBACK", nil) })
	if err == nil {
		t.Error("no error for a transaction that the function ended")
	}
	if n := rows(); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

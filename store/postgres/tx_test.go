package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/storetest"
)

// begin begins a transaction on a connection of the application's.
func begin(t *testing.T, url string) storetest.AppTx {
	ctx := context.WithoutCancel(t.Context())
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Error(err)
		return storetest.AppTx{}
	}
	t.Cleanup(func() { _ = c.Close(ctx) })
	tx, err := c.Begin(ctx)
	if err != nil {
		t.Error(err)
		return storetest.AppTx{}
	}
	return storetest.AppTx{
		Tx:       Tx(tx),
		Commit:   func() error { return tx.Commit(ctx) },
		Rollback: func() error { return tx.Rollback(ctx) },
	}
}

// beginSQL is begin with database/sql.
func beginSQL(t *testing.T, db *sql.DB) storetest.AppTx {
	tx, err := db.BeginTx(context.WithoutCancel(t.Context()), nil)
	if err != nil {
		t.Error(err)
		return storetest.AppTx{}
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	return storetest.AppTx{Tx: SQLTx(tx), Commit: tx.Commit, Rollback: tx.Rollback}
}

func TestWithinSQLTx(t *testing.T) {
	url := pgtest.Database(t)
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	var schemas atomic.Int64
	storetest.RunWithin(t, func(t *testing.T) *storetest.Harness {
		s := open(t, url, Options{Schema: fmt.Sprintf("sql %d", schemas.Add(1))})
		return &storetest.Harness{
			Store:   s,
			Begin:   func(t *testing.T) storetest.AppTx { return beginSQL(t, db) },
			Advance: wait,
		}
	})
}

func TestWithinAnotherDatabase(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t), Options{})
	tx := begin(t, pgtest.Database(t))
	for _, tt := range []struct {
		tx   store.Tx
		want string
	}{
		{Tx(nil), "the transaction is nil"},
		{SQLTx(nil), "the transaction is nil"},
		{tx.Tx, "is the transaction on the database of the store"},
	} {
		in, err := s.Within(tt.tx)
		if err == nil {
			err = in.Start(t.Context(), store.NewRun{ID: "r", Workflow: "w"})
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error is %v, want %q", err, tt.want)
		}
	}
}

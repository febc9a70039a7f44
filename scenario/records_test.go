package scenario_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/tenter-dev/tenter/store"
)

// records are the tables of a store, looked at beside it.
type records interface {
	// audit has the database itself look at each event when it is written.
	audit(ctx context.Context) error
	// read hands out the database as of one moment.
	read(ctx context.Context, f func(snapshot) error) error
}

// A snapshot is a database as of one moment. Its SQL is that of PostgreSQL; tables are
// named as they are there, as in tenter.runs.
type snapshot interface {
	now() (time.Time, error)
	each(sql string, row func(scan scan) error) error
}

// scan reads the columns of a row.
type scan func(into ...any) error

type postgresRecords struct{ pool *pgxpool.Pool }

func (r postgresRecords) audit(ctx context.Context) error {
	_, err := r.pool.Exec(ctx, auditor)
	return err
}

func (r postgresRecords) read(ctx context.Context, f func(snapshot) error) error {
	return withinTx(ctx, r.pool, func(tx pgx.Tx) error { return f(postgresSnapshot{ctx, tx}) })
}

// withinTx hands out a transaction that is rolled back.
func withinTx(ctx context.Context, pool *pgxpool.Pool, f func(tx pgx.Tx) error) error {
	tx, err := pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	return f(tx)
}

type postgresSnapshot struct {
	ctx context.Context //nolint:containedctx // of the transaction
	tx  pgx.Tx
}

func (s postgresSnapshot) now() (t time.Time, err error) {
	err = s.tx.QueryRow(s.ctx, "SELECT clock_timestamp()").Scan(&t)
	return t, err
}

func (s postgresSnapshot) each(sql string, row func(scan scan) error) error {
	rows, err := s.tx.Query(s.ctx, sql)
	if err != nil {
		return err
	}
	_, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (struct{}, error) { return struct{}{}, row(r.Scan) })
	return err
}

type sqliteRecords struct{ path string }

func (r sqliteRecords) audit(context.Context) error {
	return r.open(sqlite.OpenReadWrite, func(c *sqlite.Conn) error { return sqlitex.ExecuteScript(c, sqliteAuditor, nil) })
}

// read opens the file again: the scene has it open no longer than it must, so that whoever opens it
// after all others have died has a log to recover.
func (r sqliteRecords) read(_ context.Context, f func(snapshot) error) error {
	return r.open(sqlite.OpenReadWrite, func(c *sqlite.Conn) (err error) {
		defer sqlitex.Transaction(c)(&err)
		return f(sqliteSnapshot{c})
	})
}

func (r sqliteRecords) open(flags sqlite.OpenFlags, f func(c *sqlite.Conn) error) error {
	c, err := sqlite.OpenConn(r.path, flags)
	if err != nil {
		return err
	}
	c.SetBusyTimeout(time.Minute)
	return errors.Join(f(c), c.Close())
}

type sqliteSnapshot struct{ c *sqlite.Conn }

func (sqliteSnapshot) now() (time.Time, error) { return time.Now(), nil }

func (s sqliteSnapshot) each(sql string, row func(scan scan) error) error {
	sql = strings.NewReplacer("tenter.", "tenter_", "audit.", "audit_").Replace(sql)
	return sqlitex.ExecuteTransient(s.c, sql, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
		return row(func(into ...any) error { return scanRow(stmt, into) })
	}})
}

// scanRow reads a row as the store has written it. NULL is zero.
func scanRow(stmt *sqlite.Stmt, into []any) (err error) {
	for i, to := range into {
		switch to := to.(type) {
		case *string:
			*to = stmt.ColumnText(i)
		case *store.Status:
			*to = store.Status(stmt.ColumnText(i))
		case *store.Kind:
			*to = store.Kind(stmt.ColumnText(i))
		case *[]byte:
			*to = make([]byte, stmt.ColumnLen(i))
			stmt.ColumnBytes(i, *to)
		case *int:
			*to = stmt.ColumnInt(i)
		case *int64:
			*to = stmt.ColumnInt64(i)
		case *bool:
			*to = stmt.ColumnInt64(i) != 0
		case *time.Time:
			*to, err = time.Parse(time.RFC3339, stmt.ColumnText(i))
		case **time.Time:
			if !stmt.ColumnIsNull(i) {
				*to = new(time.Time)
				**to, err = time.Parse(time.RFC3339, stmt.ColumnText(i))
			}
		default:
			err = fmt.Errorf("column %d is read into a %T", i, to)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/postgres"
	"github.com/tenter-dev/tenter/store/sqlite"
)

// database is a store that counts what it does.
type database interface {
	store.Store
	counts() counts
}

// counts are of one process.
type counts struct {
	Operations, Commits int64
	Statements          int64 // in the commits; 0 of SQLite
	Notified            int64 // notifications to other processes
}

func (c counts) since(before counts) counts {
	return counts{c.Operations - before.Operations, c.Commits - before.Commits, c.Statements - before.Statements, c.Notified - before.Notified}
}

// perRun are the metrics of what n runs took.
func (c counts) perRun(what string, n float64, commits budget) []metric {
	ms := []metric{{name: what + ": commits", value: float64(c.Commits) / n, unit: "/run", budget: commits}}
	if c.Statements > 0 {
		ms = append(ms, metric{name: what + ": statements in these", value: float64(c.Statements) / n, unit: "/run"})
	}
	return ms
}

// create makes an empty database and returns its URL, and what removes it.
func (e *env) create(ctx context.Context) (url string, drop func() error, err error) {
	if e.server != nil {
		return e.server.create(ctx)
	}
	dir, err := os.MkdirTemp(e.dir, "tenter-bench-")
	if err != nil {
		return "", nil, err
	}
	return sqliteScheme + filepath.Join(dir, "bench.db"), func() error { return os.RemoveAll(dir) }, nil
}

const sqliteScheme = "sqlite:"

func openDatabase(ctx context.Context, url string) (database, error) {
	if path, ok := strings.CutPrefix(url, sqliteScheme); ok {
		db, err := sqlite.Open(path)
		return sqliteDatabase{db}, err
	}
	db, err := postgres.Open(ctx, url)
	return postgresDatabase{db}, err
}

type sqliteDatabase struct{ *sqlite.Store }

func (db sqliteDatabase) counts() counts {
	s := db.Stats()
	return counts{Operations: s.Operations, Commits: s.Commits}
}

type postgresDatabase struct{ *postgres.Store }

func (db postgresDatabase) counts() counts {
	s := db.Stats()
	return counts{s.Operations, s.Commits, s.Statements, s.Notified}
}

// databaseMB is the size of a database's files: with SQLite the log too.
func databaseMB(ctx context.Context, e *env, db database) (float64, error) {
	var bytes int64
	if db, ok := db.(sqliteDatabase); ok {
		for _, path := range []string{db.Path(), db.Path() + "-wal"} {
			info, err := os.Stat(path)
			if err != nil {
				return 0, err
			}
			bytes += info.Size()
		}
		return float64(bytes) / (1 << 20), nil
	}
	err := e.server.conn.QueryRow(ctx, "SELECT sum(pg_database_size(oid)) FROM pg_database").Scan(&bytes)
	return float64(bytes) / (1 << 20), err
}

package floor

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// SQLite returns how many commits a second insert so many rows each, with
// synchronous=FULL.
func SQLite(dir string, rows int, d time.Duration) (n float64, err error) {
	dir, err = os.MkdirTemp(dir, "tenter-bench-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c, err := sqlite.OpenConn(filepath.Join(dir, "floor.db"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	for _, query := range []string{
		"PRAGMA journal_mode=WAL",
		"PRAGMA synchronous=FULL",
		"CREATE TABLE t (id INTEGER PRIMARY KEY, data TEXT)",
	} {
		if err := sqlitex.ExecuteTransient(c, query, nil); err != nil {
			return 0, err
		}
	}
	transaction := []string{"BEGIN IMMEDIATE"}
	for range rows {
		transaction = append(transaction, "INSERT INTO t (data) VALUES ('some 50 bytes of data, as much as a small event has')")
	}
	transaction = append(transaction, "COMMIT")
	if rows == 1 {
		transaction = transaction[1:2] // is one already
	}
	return perSecond(d, func(int64) error {
		for _, query := range transaction {
			statement, err := c.Prepare(query) // once each: c remembers them
			if err != nil {
				return err
			}
			if _, err := statement.Step(); err != nil {
				return err
			}
			if err := statement.Reset(); err != nil {
				return err
			}
		}
		return nil
	})
}

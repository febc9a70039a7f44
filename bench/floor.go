package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// measureFloor measures what the disk and SQLite can do without us.
func measureFloor(_ context.Context, e *env) ([]metric, error) {
	d := 2 * time.Second
	if e.quick {
		d /= 10
	}
	over, err := overwrites(e.dir, d)
	if err != nil {
		return nil, err
	}
	app, err := appends(e.dir, d)
	if err != nil {
		return nil, err
	}
	commits, err := sqliteCommits(e.dir, d)
	if err != nil {
		return nil, err
	}
	return []metric{
		{name: "floor: 4 KiB overwritten and synced", value: over, unit: "/s"},
		{name: "floor: 4 KiB appended and synced", value: app, unit: "/s"},
		{name: "floor: SQLite commits of one row, synchronous=FULL", value: commits, unit: "/s"},
	}, nil
}

func overwrites(dir string, d time.Duration) (perSecond float64, err error) {
	return synced(dir, d, func(f *os.File, block []byte, _ int64) error {
		_, err := f.WriteAt(block, 0)
		return err
	})
}

func appends(dir string, d time.Duration) (perSecond float64, err error) {
	return synced(dir, d, func(f *os.File, block []byte, i int64) error {
		_, err := f.WriteAt(block, i*int64(len(block)))
		return err
	})
}

func synced(dir string, d time.Duration, write func(f *os.File, block []byte, i int64) error) (float64, error) {
	f, err := os.CreateTemp(dir, "tenter-bench-")
	if err != nil {
		return 0, err
	}
	n, err := perSecond(d, func(i int64) error {
		if err := write(f, make([]byte, 4096), i); err != nil {
			return err
		}
		return syncData(f)
	})
	return n, errors.Join(err, f.Close(), os.Remove(f.Name()))
}

func sqliteCommits(dir string, d time.Duration) (n float64, err error) {
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
	insert, err := c.Prepare("INSERT INTO t (data) VALUES ('some 50 bytes of data, as much as a small event has')")
	if err != nil {
		return 0, err
	}
	return perSecond(d, func(int64) error {
		_, err := insert.Step()
		if err != nil {
			return err
		}
		return insert.Reset()
	})
}

// perSecond calls f with rising numbers for a while.
func perSecond(d time.Duration, f func(i int64) error) (float64, error) {
	began := time.Now()
	for i := int64(0); ; i++ {
		if passed := time.Since(began); passed >= d {
			return float64(i) / passed.Seconds(), nil
		}
		if err := f(i); err != nil {
			return 0, err
		}
	}
}

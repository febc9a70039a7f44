package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// measureServerFloor measures what the server can do without us.
func measureServerFloor(ctx context.Context, e *env) (ms []metric, err error) {
	url, drop, err := e.create(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	d := time.Second
	if e.quick {
		d /= 5
	}
	for _, f := range []struct{ rows, connections int }{{1, 1}, {1, 64}, {100, 1}, {100, 2}, {100, 4}} {
		n, err := inserts(ctx, url, f.rows, f.connections, d)
		if err != nil {
			return nil, err
		}
		what := fmt.Sprintf("floor: inserts of %d rows, each a commit, connections: %d", f.rows, f.connections)
		if f.rows == 1 {
			ms = append(ms, metric{name: what, value: n, unit: "commits/s"})
			continue
		}
		ms = append(ms, metric{name: what, value: n * float64(f.rows), unit: "rows/s"})
	}
	return ms, nil
}

// inserts returns how many statements and commits a second insert so many rows each.
func inserts(ctx context.Context, url string, rows, connections int, d time.Duration) (float64, error) {
	conns := make([]*pgx.Conn, connections)
	defer func() {
		for _, c := range conns {
			if c != nil {
				_ = c.Close(ctx) // it has done what it was for
			}
		}
	}()
	for i := range conns {
		var err error
		if conns[i], err = pgx.Connect(ctx, url); err != nil {
			return 0, err
		}
	}
	_, err := conns[0].Exec(ctx, `CREATE TABLE IF NOT EXISTS floor
		(run_id text COLLATE "C", position bigint, at timestamptz, data text, PRIMARY KEY (run_id, position))`)
	if err != nil {
		return 0, err
	}
	var next atomic.Int64
	began := time.Now()
	err = each(connections, connections, func(i int) error {
		ids, positions := make([]string, rows), make([]int64, rows)
		for time.Since(began) < d {
			n := next.Add(1)
			for j := range rows {
				ids[j], positions[j] = fmt.Sprintf("%020d%06d", time.Now().UnixMicro(), i), n*int64(rows)+int64(j)
			}
			_, err := conns[i].Exec(ctx, `INSERT INTO floor SELECT r, p, now(), 'some 50 bytes of data, as much as a small event has'
				FROM unnest($1::text[], $2::bigint[]) x (r, p)`, ids, positions)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return float64(next.Load()) / time.Since(began).Seconds(), err
}

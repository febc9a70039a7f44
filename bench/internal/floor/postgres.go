package floor

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// Postgres returns how many statements and commits a second insert so many rows each.
func Postgres(ctx context.Context, url string, rows, connections int, d time.Duration) (float64, error) {
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
	var all errgroup.Group
	insert := func(i int) error {
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
	}
	for i := range conns {
		all.Go(func() error { return insert(i) })
	}
	err = all.Wait()
	return float64(next.Load()) / time.Since(began).Seconds(), err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/bench/internal/floor"
)

// measureFloor measures what the disk and SQLite can do without us.
func measureFloor(_ context.Context, e *env) ([]metric, error) {
	d := 2 * time.Second
	if e.quick {
		d /= 10
	}
	over, err := floor.Overwrites(e.dir, d)
	if err != nil {
		return nil, err
	}
	app, err := floor.Appends(e.dir, d)
	if err != nil {
		return nil, err
	}
	commits, err := floor.SQLite(e.dir, 1, d)
	if err != nil {
		return nil, err
	}
	return []metric{
		{name: "floor: 4 KiB overwritten and synced", value: over, unit: "/s"},
		{name: "floor: 4 KiB appended and synced", value: app, unit: "/s"},
		{name: "floor: SQLite commits of one row, synchronous=FULL", value: commits, unit: "/s"},
	}, nil
}

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
		n, err := floor.Postgres(ctx, url, f.rows, f.connections, d)
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
	there, back, err := floor.Notifications(ctx, url, e.calls())
	if err != nil {
		return nil, err
	}
	return append(
		ms,
		metric{name: "floor: a commit, and another process is notified: p50", value: milliseconds(percentile(there, 50)), unit: "ms"},
		metric{name: "floor: a commit, another process is notified, and the same in return: p50", value: milliseconds(percentile(back, 50)), unit: "ms"},
	), nil
}

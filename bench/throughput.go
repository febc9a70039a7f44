package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/engine"
)

var throughput = []benchmark{
	stepRuns(1, budget{}, atMost(4.05)),
	stepRuns(8, budget{}, budget{}),
	stepRuns(64, atLeast(8000), budget{}),
	stepRuns(256, budget{}, budget{}),
}

// stepRuns executes runs of three steps, from start to result, so many at a time.
func stepRuns(atATime int, perSecond, commits budget) benchmark {
	name := fmt.Sprintf("steps/%d", atATime)
	return benchmark{name, func(ctx context.Context, e *env) (ms []metric, err error) {
		w, err := newWorld(ctx, e, engine.Options{})
		if err != nil {
			return nil, err
		}
		defer func() { err = joinClose(err, w) }()
		n := e.size(min(1500*atATime, 30_000))
		run := func(int) error { return w.steps(ctx, 3) }
		if err := each(n/5, atATime, run); err != nil {
			return nil, err
		}
		before, stats := usageNow(), w.db.Stats()
		if err := each(n, atATime, run); err != nil {
			return nil, err
		}
		took := time.Since(before.at)
		used, runs := usageNow().since(before), float64(n)
		what := fmt.Sprintf("3-step runs, %d at a time", atATime)
		return []metric{
			{what, runs / took.Seconds(), "runs/s", perSecond},
			{what + ": commits (each one fsync)", float64(w.db.Stats().Commits-stats.Commits) / runs, "/run", commits},
			{what + ": CPU", float64(used.cpu.Microseconds()) / runs, "µs/run", budget{}},
			{what + ": allocations", float64(used.allocs) / runs, "/run", budget{}},
			{what + ": allocated", float64(used.bytes) / runs / 1024, "KiB/run", budget{}},
		}, nil
	}}
}

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/engine"
)

// stepRuns executes runs of three steps, from start to result, so many at a time.
func stepRuns(atATime int, perSecond, commits budget) round {
	return func(ctx context.Context, e *env) (ms []metric, err error) {
		w, err := newWorld(ctx, e, engine.Options{})
		if err != nil {
			return nil, err
		}
		defer func() { err = joinClose(err, w) }()
		n := e.size(min(1500*atATime, 30_000))
		if e.server != nil {
			n = e.size(min(300*atATime, 15_000))
		}
		run := func(int) error { return w.steps(ctx, 3) }
		if err := each(n/5, atATime, run); err != nil {
			return nil, err
		}
		before, counted := usageNow(), w.db.counts()
		if err := each(n, atATime, run); err != nil {
			return nil, err
		}
		took := time.Since(before.at)
		used, runs := usageNow().since(before), float64(n)
		what := fmt.Sprintf("3-step runs, %d at a time", atATime)
		ms = []metric{{name: what, value: runs / took.Seconds(), unit: "runs/s", budget: perSecond}}
		ms = append(ms, w.db.counts().since(counted).perRun(what, runs, commits)...)
		return append(
			ms,
			metric{name: what + ": CPU", value: float64(used.cpu.Microseconds()) / runs, unit: "µs/run"},
			metric{name: what + ": allocations", value: float64(used.allocs) / runs, unit: "/run"},
			metric{name: what + ": allocated", value: float64(used.bytes) / runs / 1024, unit: "KiB/run"},
		), nil
	}
}

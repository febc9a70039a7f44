package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

const resumedRuns = 20_000

// resumeMany resumes many parked runs and waits until all have completed.
func resumeMany(what string, cacheSize int, perSecond budget) round {
	return func(ctx context.Context, e *env) (ms []metric, err error) {
		w, err := newWorld(ctx, e, engine.Options{CacheSize: cacheSize})
		if err != nil {
			return nil, err
		}
		defer func() { err = joinClose(err, w) }()
		runs, err := w.park(ctx, e.size(resumedRuns))
		if err != nil {
			return nil, err
		}
		all := w.countEnded(len(runs))
		before, counted := usageNow(), w.db.counts()
		err = each(len(runs), 32, func(i int) error {
			_, err := workflow.Resume(ctx, w.eng, tokenOf(runs[i].ID()), "!")
			return err
		})
		if err != nil {
			return nil, err
		}
		select {
		case <-all:
		case <-time.After(time.Minute):
			return nil, fmt.Errorf("not all runs have ended within a minute")
		}
		took := time.Since(before.at)
		used, n := usageNow().since(before), float64(len(runs))
		ms = []metric{{name: what, value: n / took.Seconds(), unit: "completed/s", budget: perSecond}}
		ms = append(ms, w.db.counts().since(counted).perRun(what, n, budget{})...)
		return append(
			ms,
			metric{name: what + ": CPU", value: float64(used.cpu.Microseconds()) / n, unit: "µs/run"},
			metric{name: what + ": allocations", value: float64(used.allocs) / n, unit: "/run"},
		), nil
	}
}

// countEnded returns a channel that is closed when n runs have ended from now on.
func (w *world) countEnded(n int) <-chan struct{} {
	done := make(chan struct{})
	left := atomic.Int64{}
	left.Store(int64(n))
	w.db.Watch(func(s store.Signal) {
		if k := int64(len(s.Ended)); k > 0 && left.Add(-k) == 0 {
			close(done)
		}
	})
	return done
}

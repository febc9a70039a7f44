package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
)

const resumedRuns = 20_000

var resumes = []benchmark{
	{"resumes/cached", resumeMany("parked runs resumed, 32 at a time", resumedRuns, atLeast(20_000))},
	{"resumes/evicted", resumeMany("parked runs resumed, 32 at a time, evicted", -1, budget{})},
}

// resumeMany resumes many parked runs and waits until all have completed.
func resumeMany(what string, cacheSize int, perSecond budget) func(context.Context, *env) ([]metric, error) {
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
		before, stats := usageNow(), w.db.Stats()
		err = each(len(runs), 32, func(i int) error {
			_, err := w.eng.Resume(ctx, tokenOf(runs[i].ID()), "!")
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
		return []metric{
			{what, n / took.Seconds(), "completed/s", perSecond},
			{what + ": commits", float64(w.db.Stats().Commits-stats.Commits) / n, "/run", budget{}},
			{what + ": CPU", float64(used.cpu.Microseconds()) / n, "µs/run", budget{}},
			{what + ": allocations", float64(used.allocs) / n, "/run", budget{}},
		}, nil
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

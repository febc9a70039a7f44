package main

import (
	"context"
	"errors"
	"time"

	"github.com/tenter-dev/tenter/engine"
)

var latency = []benchmark{
	{"latency/step", stepLatency},
	{"latency/resume", resumeLatency("resume → run completed", 0, atMost(0.5))},
	{"latency/evicted", resumeLatency("resume → run completed, evicted run", -1, budget{})},
}

// stepLatency executes runs of one step, one at a time.
func stepLatency(ctx context.Context, e *env) (ms []metric, err error) {
	w, err := newWorld(ctx, e, engine.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = joinClose(err, w) }()
	return oneAtATime("start → 1 step → result", e.size(3000), atMost(0.6), func(int) error { return w.steps(ctx, 1) })
}

// resumeLatency resumes parked runs, one at a time.
func resumeLatency(what string, cacheSize int, p50 budget) func(context.Context, *env) ([]metric, error) {
	return func(ctx context.Context, e *env) (ms []metric, err error) {
		w, err := newWorld(ctx, e, engine.Options{CacheSize: cacheSize})
		if err != nil {
			return nil, err
		}
		defer func() { err = joinClose(err, w) }()
		n := e.size(3000)
		runs, err := w.park(ctx, n+n/5)
		if err != nil {
			return nil, err
		}
		return oneAtATime(what, n, p50, func(i int) error {
			if _, err := w.eng.Resume(ctx, tokenOf(runs[i].ID()), "!"); err != nil {
				return err
			}
			_, err := runs[i].Result(ctx)
			return err
		})
	}
}

// oneAtATime times calls of f, after some that warm up.
func oneAtATime(what string, n int, p50 budget, f func(i int) error) ([]metric, error) {
	warm := n / 5
	var took []time.Duration
	for i := range warm + n {
		began := time.Now()
		if err := f(i); err != nil {
			return nil, err
		}
		if i >= warm {
			took = append(took, time.Since(began))
		}
	}
	return []metric{
		{what + ", one at a time: p50", milliseconds(percentile(took, 50)), "ms", p50},
		{what + ", one at a time: p99", milliseconds(percentile(took, 99)), "ms", budget{}},
	}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func joinClose(err error, w *world) error { return errors.Join(err, w.close()) }

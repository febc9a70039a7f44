package main

import (
	"context"
	"errors"
	"time"

	"github.com/tenter-dev/tenter/engine"
)

// stepLatency executes runs of one step, one at a time.
func stepLatency(p50 budget) round {
	return func(ctx context.Context, e *env) (ms []metric, err error) {
		w, err := newWorld(ctx, e, engine.Options{})
		if err != nil {
			return nil, err
		}
		defer func() { err = joinClose(err, w) }()
		return oneAtATime("start → 1 step → result", e.calls(), p50, func(int) error { return w.steps(ctx, 1) })
	}
}

// resumeLatency resumes parked runs, one at a time.
func resumeLatency(what string, cacheSize int, p50 budget) round {
	return func(ctx context.Context, e *env) (ms []metric, err error) {
		w, err := newWorld(ctx, e, engine.Options{CacheSize: cacheSize})
		if err != nil {
			return nil, err
		}
		defer func() { err = joinClose(err, w) }()
		n := e.calls()
		runs, err := w.park(ctx, n+n/5)
		if err != nil {
			return nil, err
		}
		return oneAtATime(what, n, p50, func(i int) error {
			id := runs[i].ID()
			_, err := w.resumed(ctx, ParkedRun{id, tokenOf(id)})
			return err
		})
	}
}

// calls is how many calls are timed, one at a time.
func (e *env) calls() int {
	if e.server != nil {
		return e.size(1500)
	}
	return e.size(3000)
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
		{name: what + ", one at a time: p50", value: milliseconds(percentile(took, 50)), unit: "ms", budget: p50},
		{name: what + ", one at a time: p99", value: milliseconds(percentile(took, 99)), unit: "ms"},
	}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func joinClose(err error, w *world) error { return errors.Join(err, w.close()) }

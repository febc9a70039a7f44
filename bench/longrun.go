package main

import (
	"context"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// stepTimes gets the time at which each step of a long run executes.
var stepTimes []time.Time

var timedWorkflow = workflow.Define("timed", func(ctx workflow.Context, n int) (int, error) {
	for range n {
		err := workflow.Do(ctx, "step", func(context.Context) error {
			stepTimes = append(stepTimes, time.Now()) // one step at a time
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return n, nil
})

// longSteps compares the last steps of a long run with its first.
func longSteps(ctx context.Context, e *env) (ms []metric, err error) {
	w, err := newWorld(ctx, e, engine.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = joinClose(err, w) }()
	n := e.size(10_000)
	stepTimes = nil
	run, err := timedWorkflow.Start(ctx, w.eng, n)
	if err != nil {
		return nil, err
	}
	if _, err := run.Result(ctx); err != nil {
		return nil, err
	}
	// Medians: one hiccup of the disk would count for hundreds of steps.
	first, last := gaps(stepTimes[:n/10]), gaps(stepTimes[n-n/10:])
	us := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
	return []metric{
		{name: "10,000-step run: a step of the first 1,000", value: us(percentile(first, 50)), unit: "µs"},
		{name: "10,000-step run: a step of the last 1,000", value: us(percentile(last, 50)), unit: "µs"},
		{name: "10,000-step run: last against first", value: us(percentile(last, 50)) / us(percentile(first, 50)), unit: "×", budget: atMost(1.2)},
	}, nil
}

func gaps(at []time.Time) []time.Duration {
	var ds []time.Duration
	for i := range at[1:] {
		ds = append(ds, at[i+1].Sub(at[i]))
	}
	return ds
}

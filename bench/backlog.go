package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// backlogRuns is how many payloads wait when the first run begins.
const backlogRuns = 10_000

// oneEach takes one payload of a line that all runs share.
var oneEach = workflow.Define("one-each", func(ctx workflow.Context, _ string) (int, error) {
	hook, err := workflow.NewHook[int](ctx, workflow.Token("line"))
	if err != nil {
		return 0, err
	}
	return hook.Wait(ctx)
})

// workOff measures payloads that came with OrStart to a workflow that takes one and
// returns: with twice as many waiting, each has to cost the same.
func workOff(ctx context.Context, e *env) ([]metric, error) {
	n := e.size(backlogRuns)
	half, _, err := workOffOf(ctx, e, n/2)
	if err != nil {
		return nil, err
	}
	whole, rows, err := workOffOf(ctx, e, n)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("%d payloads with OrStart to a workflow that takes one", n)
	return []metric{
		{name: what, value: float64(n) / whole.Seconds(), unit: "completed/s"},
		{name: what + ": events in journals", value: float64(rows) / float64(n), unit: "/payload", budget: atMost(4)},
		{name: what + ": time, of that for half as many", value: whole.Seconds() / half.Seconds(), unit: "times", budget: atMost(2.4)},
	}, nil
}

// workOffOf returns how long n such payloads take, and how many events there are then.
func workOffOf(ctx context.Context, e *env, n int) (took time.Duration, events int64, err error) {
	url, drop, err := e.create(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	sender, err := openClient(ctx, url)
	if err != nil {
		return 0, 0, err
	}
	err = each(n, 32, func(i int) error {
		_, err := workflow.Resume(ctx, sender.eng, "line", i, workflow.OrStart(oneEach, ""))
		return err
	})
	if err = errors.Join(err, sender.close()); err != nil {
		return 0, 0, err
	}
	w, err := openEngine(ctx, url, engine.Options{Workflows: []workflow.Definition{oneEach}}, same)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = joinClose(err, w) }()
	all := w.countEnded(n)
	began := time.Now()
	w.run(ctx)
	select {
	case <-all:
	case <-time.After(10 * time.Minute):
		return 0, 0, errors.New("not all payloads were taken within ten minutes")
	}
	took = time.Since(began)
	for f := (store.Filter{Limit: 1000}); ; {
		runs, err := w.db.Runs(ctx, f)
		if err != nil {
			return 0, 0, err
		}
		if len(runs) == 0 {
			return took, events, nil
		}
		for _, r := range runs {
			events += r.Events
		}
		f.Before = runs[len(runs)-1].Cursor()
	}
}

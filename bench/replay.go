package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// replayJournal resumes an evicted run that has a long journal.
func replayJournal(ctx context.Context, e *env) (ms []metric, err error) {
	var timer *loadTimer
	w, err := newWorldOver(ctx, e, engine.Options{CacheSize: -1}, func(s store.Store) store.Store {
		timer = &loadTimer{Store: s}
		return timer
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = joinClose(err, w) }()
	n := e.size(10_000)
	var all, load, code []float64
	for range 5 {
		run, err := stepsThenHookWorkflow.Start(ctx, w.eng, n)
		if err != nil {
			return nil, err
		}
		token, err := w.tokenWhenParked(ctx, run.ID())
		if err != nil {
			return nil, err
		}
		began := time.Now()
		if _, err := workflow.Resume(ctx, w.eng, token, "!"); err != nil {
			return nil, err
		}
		if _, err := run.Result(ctx); err != nil {
			return nil, err
		}
		all = append(all, float64(n)/time.Since(began).Seconds())
		load = append(load, float64(n)/time.Duration(timer.load.Load()).Seconds())
		code = append(code, float64(n)/time.Duration(timer.code.Load()).Seconds())
	}
	return []metric{
		{name: "replay: the code alone", value: percentile(code, 50), unit: "events/s", budget: atLeast(500_000)},
		{name: "replay: loading the journal", value: percentile(load, 50), unit: "events/s"},
		{name: "replay: resume → claim, load, replay → run completed", value: percentile(all, 50), unit: "events/s"},
	}, nil
}

// tokenWhenParked waits until a run waits on its hook.
func (w *world) tokenWhenParked(ctx context.Context, runID string) (string, error) {
	for {
		hooks, err := w.eng.Hooks(ctx, inspect.HookFilter{RunID: runID})
		if err != nil {
			return "", err
		}
		if len(hooks) > 0 {
			return hooks[0].Token, nil
		}
		run, err := w.eng.RunInfo(ctx, runID)
		if err == nil && run.Status == workflow.StatusBlocked {
			err = fmt.Errorf("run %s is blocked: %s", runID, run.Reason)
		}
		if err != nil {
			return "", err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// loadTimer is a store that times the last Load, and the code between it and the
// Apply that follows.
type loadTimer struct {
	store.Store

	loaded     atomic.Int64 // when Load returned, 0: Apply has followed
	load, code atomic.Int64 // nanoseconds
}

func (t *loadTimer) Load(ctx context.Context, runID string, after int64) (store.Loaded, error) {
	began := time.Now()
	l, err := t.Store.Load(ctx, runID, after)
	if len(l.Events) > 10 {
		t.load.Store(int64(time.Since(began)))
		t.loaded.Store(time.Now().UnixNano())
	}
	return l, err
}

func (t *loadTimer) Apply(ctx context.Context, tr *store.Transition) ([]store.Outcome, error) {
	if at := t.loaded.Swap(0); at != 0 {
		t.code.Store(time.Now().UnixNano() - at)
	}
	return t.Store.Apply(ctx, tr)
}

package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/engine/internal/outage"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

const (
	lookEvery  = time.Second // at what is not pushed, while there are watchers
	watchedTop = 100         // runs that are polled if all are watched
)

// Watch calls f soon after a run, or any run, has changed, see [inspect.Client].
func (e *Engine) Watch(ctx context.Context, runID string, f func(inspect.Change)) error {
	err := e.watchRuns(ctx, runID, f)
	switch {
	case err == nil || ctx.Err() != nil:
		return nil //nolint:nilerr // the end of ctx is not an error
	case runID == "":
		return fmt.Errorf("watch runs: %w", err)
	}
	return e.runError("watch", runID, err)
}

func (e *Engine) watchRuns(ctx context.Context, runID string, f func(inspect.Change)) error {
	if err := e.usable(ctx); err != nil {
		return err
	}
	if runID != "" {
		if err := execution.CheckName(runID); err != nil {
			return err
		}
	}
	seen, err := e.glimpse(ctx, runID)
	if err != nil {
		return err
	}
	w := &watcher{wake: make(chan struct{}, 1)}
	e.watch(ctx, runID, w, seen)
	defer e.watches.end(runID, w)
	if runID == "" {
		w.tell()
	} else {
		w.tell(runID)
	}
	for {
		select {
		case <-w.wake:
			if ctx.Err() != nil { // select chooses at random
				return nil
			}
			f(w.take())
		case <-ctx.Done():
			return nil
		case <-e.closed:
			return workflow.ErrEngineClosed
		}
		if runID == "" && !outage.Sleep(ctx, lookEvery) {
			return nil
		}
	}
}

// watch adds a watcher. The first watcher of a run makes the engine poll it.
func (e *Engine) watch(ctx context.Context, runID string, w *watcher, seen map[string]glimpse) {
	ws := &e.watches
	ws.mu.Lock()
	defer ws.mu.Unlock()
	v := ws.of[runID]
	if v == nil {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		done := e.store.Await()
		v = &watch{watchers: map[*watcher]struct{}{}, seen: seen, missed: make(chan struct{}, 1), stop: func() { cancel(); done() }}
		if ws.of == nil {
			ws.of = map[string]*watch{}
		}
		ws.of[runID] = v
		go e.lookAfter(ctx, runID, v)
	}
	v.watchers[w] = struct{}{}
	ws.any.Store(true)
}

// lookAfter polls for what is not pushed.
func (e *Engine) lookAfter(ctx context.Context, runID string, v *watch) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		missed := false
		select {
		case <-tick.C:
			if runID != "" && e.tellsOf(runID, v) {
				continue
			}
		case <-v.missed:
			missed = true
		case <-ctx.Done():
			return
		case <-e.closed:
			return
		}
		now, err := e.glimpse(ctx, runID)
		if err != nil {
			continue // the next tick looks again
		}
		if missed && runID != "" {
			s, err := e.store.Resync(ctx, store.Signal{Mail: []string{runID}})
			missed = err != nil || len(s.Mail) > 0
		}
		e.watches.looked(runID, v, now, missed)
	}
}

// tellsOf reports whether the run is executed here or has ended, so that all of its progress
// is pushed.
func (e *Engine) tellsOf(runID string, v *watch) bool {
	if w := e.running(); w != nil && w.Executes(runID) {
		return true
	}
	e.watches.mu.Lock()
	defer e.watches.mu.Unlock()
	return v.seen[runID].status.Ended()
}

// glimpse looks at a run, or at the newest ones.
func (e *Engine) glimpse(ctx context.Context, runID string) (map[string]glimpse, error) {
	e.refreshLease()
	var runs []store.Run
	var err error
	if runID == "" {
		runs, err = e.store.Runs(ctx, store.Filter{Limit: watchedTop})
	} else {
		runs = make([]store.Run, 1)
		runs[0], err = e.store.Run(ctx, runID)
	}
	if err != nil {
		return nil, err
	}
	seen := make(map[string]glimpse, len(runs))
	for _, r := range runs {
		seen[r.ID] = glimpse{r.Status, r.Events, r.Epoch, r.UpdatedAt}
	}
	return seen, nil
}

package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/engine/internal/outage"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

const (
	lookEvery  = time.Second // at what is not pushed, while somebody watches
	watchedTop = 100         // runs that are looked at, if all are watched
	maxChanged = 1000        // runs that a change names before it says All
)

// watches are what is being watched: single runs, by their IDs, and all, under the
// empty one.
type watches struct {
	any atomic.Bool // something is
	mu  sync.Mutex
	of  map[string]*watch
}

// watch is a run, or all runs, that somebody watches.
type watch struct {
	watchers map[*watcher]struct{}
	seen     map[string]glimpse // as they have been reported, by run ID
	missed   chan struct{}      // says: signals may have got lost
	stop     func()
}

// glimpse is what changes of a run with each of its transitions.
type glimpse struct {
	status store.Status
	events int64
	epoch  int64
	at     time.Time
}

// watcher is a call of Watch.
type watcher struct {
	mu      sync.Mutex
	changed map[string]struct{}
	all     bool
	wake    chan struct{}
}

// tell notes that runs have changed; none: any may have.
func (w *watcher) tell(runs ...string) {
	w.mu.Lock()
	if len(runs) == 0 || len(w.changed)+len(runs) > maxChanged {
		w.all, w.changed = true, nil
	}
	if !w.all {
		if w.changed == nil {
			w.changed = map[string]struct{}{}
		}
		for _, id := range runs {
			w.changed[id] = struct{}{}
		}
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take returns what has changed since it was called last.
func (w *watcher) take() inspect.Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := inspect.Change{Runs: slices.Sorted(maps.Keys(w.changed)), All: w.all}
	w.changed, w.all = nil, false
	return c
}

// applied tells watchers that a transition has been applied.
func (ws *watches) applied(t *store.Transition) {
	if ws.any.Load() {
		ws.mu.Lock()
		defer ws.mu.Unlock()
		ws.changed(t.RunID, glimpse{t.Status, t.After + int64(len(t.Events)), t.Epoch, t.At})
	}
}

// changed tells watchers how a run is now, if that is new to them.
func (ws *watches) changed(runID string, now glimpse) {
	for _, key := range [2]string{runID, ""} {
		if v := ws.of[key]; v != nil && v.seen[runID] != now {
			v.seen[runID] = now
			for w := range v.watchers {
				w.tell(runID)
			}
		}
	}
}

// signal passes on what the store has seen.
func (ws *watches) signal(s store.Signal) {
	if !ws.any.Load() {
		return
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, ids := range [2][]string{s.Mail, s.Ended} {
		for _, id := range ids {
			for _, key := range [2]string{id, ""} {
				if v := ws.of[key]; v != nil {
					for w := range v.watchers {
						w.tell(id)
					}
				}
			}
		}
	}
	if s.All {
		for _, v := range ws.of {
			select {
			case v.missed <- struct{}{}:
			default:
			}
		}
	}
}

// Watch calls f soon after a run, or any, has changed, see [inspect.Client].
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

// watch adds a watcher. The first one of a run has the engine look at it.
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

// end takes a watcher away.
func (ws *watches) end(runID string, w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	v := ws.of[runID]
	delete(v.watchers, w)
	if len(v.watchers) == 0 {
		v.stop()
		delete(ws.of, runID)
		ws.any.Store(len(ws.of) > 0)
	}
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
			continue // it is looked at again
		}
		if missed && runID != "" {
			s, err := e.store.Resync(ctx, store.Signal{Mail: []string{runID}})
			missed = err != nil || len(s.Mail) > 0
		}
		e.watches.looked(runID, v, now, missed)
	}
}

// looked reports what a look has found.
func (ws *watches) looked(runID string, v *watch, now map[string]glimpse, missed bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var changed []string
	for id, g := range now {
		if v.seen[id] != g {
			changed = append(changed, id)
		}
	}
	v.seen = now
	for w := range v.watchers {
		switch {
		case missed && runID == "":
			w.tell()
		case missed:
			w.tell(runID)
		case len(changed) > 0:
			w.tell(changed...)
		}
	}
}

// tellsOf reports whether the run is executed here, or has ended, so that all of its
// progress is pushed.
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

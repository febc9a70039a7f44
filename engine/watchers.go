package engine

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store"
)

const maxChanged = 1000 // runs that a change names before it says All

// watches holds what is being watched: single runs, by their IDs, and all runs, under the
// empty ID.
type watches struct {
	any atomic.Bool // whether anything is watched
	mu  sync.Mutex
	of  map[string]*watch
}

// watch is a watched run, or all runs.
type watch struct {
	watchers map[*watcher]struct{}
	seen     map[string]glimpse // as last reported, by run ID
	missed   chan struct{}      // signals that signals may have been lost
	stop     func()
}

// glimpse is the part of a run that changes with each of its transitions.
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

// tell notes that runs have changed; without arguments, any may have.
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

// take returns what has changed since it was last called.
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

// changed tells watchers the state of a run, if it is new to them.
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

// signal passes on a signal of the store.
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

// end removes a watcher.
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

// looked reports what a poll has found.
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

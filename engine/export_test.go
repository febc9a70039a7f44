package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
)

// Replayed is what a run's code has come to at the end of its journal.
type Replayed struct {
	Finished  bool
	Result    []byte
	Failure   *run.Failure
	Open      []store.Hook    // hooks that take payloads
	Untaken   []store.Message // payloads in the journal that the code has not taken
	Steps     []string        // that have no outcome
	Timers    []string        // that have not fired
	Children  []string        // run IDs of children that have not ended
	Unsettled int             // asks that the store has to decide
	Awaited   []string        // IDs of hooks that have nothing and that branches wait for
}

// Replay feeds a journal to a fresh execution, twice: as a worker does that takes
// the run over, and as if it all happened now, which must ask for exactly the same.
func (e *Engine) Replay(l store.Loaded) (*Replayed, error) {
	def := e.definition(l.Run.Workflow, l.Run.Version)
	if def == nil {
		return nil, fmt.Errorf("no workflow %s of version %d", l.Run.Workflow, l.Run.Version)
	}
	live := newExecution(&l.Run, def, e.env, e.log)
	defer live.close()
	for i, had := range l.Events {
		again := had
		live.backlogs = pulledBy(&l, i)
		if live.feed(&again); again.Asked != had.Asked {
			return nil, fmt.Errorf("event %d (%s) asked for %q, and for %q when fed again", had.Position, eventName(&had), had.Asked, again.Asked)
		}
	}
	x := newExecution(&l.Run, def, e.env, e.log)
	defer x.close()
	for i := range l.Events {
		if d := x.replay(&l.Events[i]); d != nil {
			return nil, fmt.Errorf("replay: %s", d)
		}
	}
	r := &Replayed{
		Finished: x.finished, Result: x.result, Failure: x.failure,
		Unsettled: len(x.unsettled),
	}
	for _, h := range x.hookByID {
		r.Open = append(r.Open, h.spec)
		if len(h.waiters.branches) > 0 && len(h.queue) == 0 {
			r.Awaited = append(r.Awaited, h.spec.ID)
		}
	}
	for _, it := range x.untaken() {
		r.Untaken = append(r.Untaken, store.Message{RunID: l.Run.ID, Ref: it.hookID, Data: it.data})
	}
	for ref := range x.steps {
		r.Steps = append(r.Steps, ref)
	}
	for _, t := range x.timers {
		r.Timers = append(r.Timers, t.ref())
	}
	for _, c := range x.children {
		r.Children = append(r.Children, c.spec.ID)
	}
	slices.Sort(r.Steps)
	slices.Sort(r.Children)
	return r, nil
}

// pulledBy returns backlogs with the payloads that the code has asked for in the turn of an
// event.
func pulledBy(l *store.Loaded, i int) map[string]*backlog {
	backlogs := map[string]*backlog{}
	for line := range strings.Lines(l.Events[i].Asked) {
		ref, pulls := strings.CutPrefix(strings.TrimSpace(line), "pull ")
		if !pulls {
			continue
		}
		id := l.Run.ID + ".h" + ref
		for _, e := range l.Events[:i+1] {
			if e.Kind == store.HookClaimed && e.Ref == ref {
				id = unquote(e.Data)
			}
		}
		backlogs[id] = &backlog{hook: id, rows: make([]store.Message, 1)}
	}
	return backlogs
}

// Evict throws all parked runs of the engine's worker out of memory.
func (e *Engine) Evict() {
	w := e.running()
	if w == nil {
		return
	}
	w.mu.Lock()
	var parked []*actor
	for _, a := range w.actors {
		if a.parked != nil {
			parked = append(parked, a)
		}
	}
	w.mu.Unlock()
	for _, a := range parked {
		a.evict()
	}
}

// SetJitter replaces the source of random pauses until it is restored.
func SetJitter(f func() float64) (restore func()) {
	had := jitter
	jitter = f
	return func() { jitter = had }
}

// HookID returns the ID of the hook that the webhook is.
func (w *Webhook) HookID() string { return w.hook.ID }

// Manual reports whether the run answers the requests.
func (w *Webhook) Manual() bool { return w.config.Manual }

// Rebuild feeds a journal to a fresh execution, as a worker does that takes the run
// over. It returns what the run would be blocked for, or "".
func (e *Engine) Rebuild(l store.Loaded) string {
	def := e.definition(l.Run.Workflow, l.Run.Version)
	x := newExecution(&l.Run, def, e.env, e.log)
	defer x.close()
	for i := range l.Events {
		if d := x.replay(&l.Events[i]); d != nil {
			return d.String()
		}
	}
	return ""
}

// Backoff is the wait before the retry that follows the n-th failure.
func Backoff(initial, most time.Duration, n int) time.Duration {
	return backoff(run.Backoff{Initial: initial, Max: most}, n, 0)
}

package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/engine/internal/jitter"
	"github.com/tenter-dev/tenter/engine/internal/worker"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
)

// Replayed is what a run's code has come to at the end of its journal.
type Replayed struct {
	execution.State
	Finished bool
	Result   []byte
	Failure  *journal.Failure
}

// Replay feeds a journal to a fresh execution, twice: as a worker does that takes
// the run over, and as if it all happened now, which must ask for exactly the same.
func (e *Engine) Replay(l store.Loaded) (*Replayed, error) {
	def := e.definition(l.Run.Workflow, l.Run.Version)
	if def == nil {
		return nil, fmt.Errorf("no workflow %s of version %d", l.Run.Workflow, l.Run.Version)
	}
	live := execution.New(context.Background(), &l.Run, def, e.env, e.log)
	defer live.Close()
	for i, had := range l.Events {
		again := had
		live.Rejoin(pulledBy(&l, i))
		if live.Feed(&again, ""); again.Asked != had.Asked {
			return nil, fmt.Errorf("event %d (%s %s) asked for %q, and for %q when fed again", had.Position, had.Kind, had.Ref, had.Asked, again.Asked)
		}
	}
	x := execution.New(context.Background(), &l.Run, def, e.env, e.log)
	defer x.Close()
	for i := range l.Events {
		if d := x.Replay(&l.Events[i]); d != nil {
			return nil, fmt.Errorf("replay: %s", d)
		}
	}
	r := &Replayed{State: x.State(), Finished: x.Finished()}
	r.Result, r.Failure, _ = x.Result()
	return r, nil
}

// pulledBy returns the payloads of backlogs that the code has asked for in the turn of an
// event.
func pulledBy(l *store.Loaded, i int) (pulled []store.Message) {
	for a := range journal.Asks(l.Events[i].Asked) {
		if a.Op != journal.Pull {
			continue
		}
		id := journal.HookID(l.Run.ID, a.Ref)
		for _, e := range l.Events[:i+1] {
			if e.Kind == store.HookClaimed && e.Ref == a.Ref {
				id = journal.DecodeID(e.Data)
			}
		}
		pulled = append(pulled, store.Message{Ref: id})
	}
	return pulled
}

// Evict throws all parked runs of the engine's worker out of memory.
func (e *Engine) Evict() {
	w := e.running()
	if w == nil {
		return
	}
	w.EvictAll()
}

// SetJitter replaces the source of random pauses until it is restored.
func SetJitter(f func() float64) (restore func()) { return jitter.Replace(f) }

// HookID returns the ID of the hook that the webhook is.
func (w *Webhook) HookID() string { return w.hook.ID }

// Manual reports whether the run answers the requests.
func (w *Webhook) Manual() bool { return w.config.Manual }

// Rebuild feeds a journal to a fresh execution, as a worker does that takes the run
// over. It returns what the run would be blocked for, or "".
func (e *Engine) Rebuild(l store.Loaded) string {
	def := e.definition(l.Run.Workflow, l.Run.Version)
	x := execution.New(context.Background(), &l.Run, def, e.env, e.log)
	defer x.Close()
	for i := range l.Events {
		if d := x.Replay(&l.Events[i]); d != nil {
			return d.String()
		}
	}
	return ""
}

// Backoff is the wait before the retry that follows the n-th failure.
func Backoff(initial, most time.Duration, n int) time.Duration {
	return worker.Backoff(run.Backoff{Initial: initial, Max: most}, n, 0)
}

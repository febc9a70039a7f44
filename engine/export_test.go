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
	"github.com/tenter-dev/tenter/workflow"
)

// Replayed is what a run's code has come to at the end of its journal.
type Replayed struct {
	execution.State
	Finished bool
	Result   []byte
	Failure  *journal.Failure
}

// Replay feeds a journal to a fresh execution, as a worker does that takes the run over.
func (e *Engine) Replay(l store.Loaded) (*Replayed, error) {
	def := e.definition(l.Run.Workflow, l.Run.Version)
	if def == nil {
		return nil, fmt.Errorf("no workflow %s of version %d", l.Run.Workflow, l.Run.Version)
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

// ForkWithSecret makes the fork ForkID of a run, with a secret that is known.
func (e *Engine) ForkWithSecret(ctx context.Context, req workflow.ForkRequest, secret []byte) error {
	_, err := e.tryFork(ctx, e.direct(), req, store.NewRun{ID: req.ForkID, Version: req.Version, Secret: secret})
	return err
}

// Repeat feeds a journal to a fresh execution as if it all happened now, which must ask for exactly
// the same.
func (e *Engine) Repeat(l store.Loaded) error {
	waiting := make([][]store.Message, len(l.Events)) // in backlogs, in the turn of each event
	for i := range l.Events {
		waiting[i] = pulledBy(&l, i)
	}
	for tried := -1; ; {
		i, err := e.repeat(&l, waiting)
		if err == nil || i == tried {
			return err
		}
		tried = i
		waiting[i] = append(waiting[i], comingAfter(&l, i)...)
	}
}

// repeat returns the first event after which the code asks for something else than it had asked for.
func (e *Engine) repeat(l *store.Loaded, waiting [][]store.Message) (int, error) {
	x := execution.New(context.Background(), &l.Run, e.definition(l.Run.Workflow, l.Run.Version), e.env, e.log)
	defer x.Close()
	for i, had := range l.Events {
		again := had
		x.Rejoin(waiting[i])
		if x.Feed(&again, ""); again.Asked != had.Asked {
			return i, fmt.Errorf("event %d (%s %s) asked for %q, and for %q when fed again", had.Position, had.Kind, had.Ref, had.Asked, again.Asked)
		}
	}
	return 0, nil
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
				id = journal.DecodeClaimed(e.Data).ID
			}
		}
		pulled = append(pulled, store.Message{Ref: id})
	}
	return pulled
}

// comingAfter returns the payloads that come next. If the code knew that they wait in backlogs, it has
// asked for none of those that come after them, and the journal does not tell.
func comingAfter(l *store.Loaded, i int) (coming []store.Message) {
	for _, e := range l.Events[i+1:] {
		if e.Kind != store.PayloadReceived {
			break
		}
		coming = append(coming, store.Message{Ref: e.Ref})
	}
	return coming
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

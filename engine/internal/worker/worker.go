package worker

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/engine/internal/outage"
	"github.com/tenter-dev/tenter/engine/internal/telemetry"
	"github.com/tenter-dev/tenter/engine/internal/waiting"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
)

// Options are those of the engine that a worker needs, with their defaults.
type Options struct {
	Build        string
	Lease        time.Duration
	DrainTimeout time.Duration
	StepGrace    time.Duration
	StuckAfter   time.Duration
	KeepEnded    time.Duration
	MaxRuns      int
	MaxSteps     int
	MaxPayload   int
	CacheSize    int
}

// Engine is what a worker needs of the engine that it works for.
type Engine struct {
	Options     Options
	Store       store.Store
	Log         *slog.Logger
	Outages     *outage.Log
	Waits       *waiting.Registry
	Telemetry   *telemetry.Telemetry
	Environment *execution.Environment
	Definitions []store.Definition
	// Definition finds the code of a workflow's version, or nil. 0 is the highest.
	Definition func(workflow string, version int) *run.Workflow
	// Applied is called with each durable transition.
	Applied func(*store.Transition)
	// Join returns the operations of a transaction of the application, and the context for
	// what a step does in it.
	Join func(tx any) (in store.Joined, scene func(context.Context) context.Context, err error)
}

// Worker executes runs, from the begin to the end of one Engine.Run.
type Worker struct {
	opts        Options
	store       store.Store
	log         *slog.Logger
	outages     *outage.Log
	waits       *waiting.Registry
	tel         *telemetry.Telemetry
	env         *execution.Environment
	definitions []store.Definition
	definition  func(workflow string, version int) *run.Workflow
	applied     func(*store.Transition)
	join        func(tx any) (store.Joined, func(context.Context) context.Context, error)

	id    string
	lease lease
	watch watchdog

	ctx            context.Context //nolint:containedctx // of the worker's own store operations, ends last
	cancel         context.CancelFunc
	stepCtx        context.Context //nolint:containedctx // of the steps, ends when they are given up
	stopStep       context.CancelFunc
	loops          sync.WaitGroup
	slots          chan struct{} // one for each step that may execute
	quarantineSlot chan struct{} // one for the run in quarantine

	ending     <-chan struct{} // closed when the worker begins to drain
	drain      atomic.Bool
	over       atomic.Bool  // runs that come to rest are thrown out of memory at once
	owned      atomic.Int64 // runs owned
	lost       atomic.Int64 // runs that were owned, and that others have taken over, since the log was told
	claimed    atomic.Bool  // a claim has come back: runs whose last owner died are known
	suspect    atomic.Int64 // of those, runs whose last owner died, before they have made progress
	busyActors atomic.Int64 // actors with a goroutine
	claiming   atomic.Bool  // claimLoop is at work

	mu      sync.Mutex
	actors  map[string]*actor
	parked  *list.List          // of idle actors, the last used one in front
	hooks   map[string]*Address // by token, of live runs
	next    time.Time           // when to claim again
	named   []string            // runs to be claimed, as signals have named them
	yielded []string            // runs that another worker is to claim
	overdue []string            // and those that it has had some time for

	byNeed   atomic.Bool    // whatever has something to do is to be claimed
	looked   time.Time      // when that was last done; claimLoop's
	again    atomic.Bool    // there may be runs of this worker that nobody here knows of
	recalled time.Time      // when it last asked for them; claimLoop's
	backoff  outage.Backoff // of claimLoop
	vain     int            // claims in a row that got none of the due runs; claimLoop's

	timers sync.Pool // of those who wait for an actor

	claims chan struct{} // says: claim now
	rewind chan struct{} // says: next has changed
	missed chan struct{} // says: signals to runs at work may have got lost
}

// New returns a worker that has an ID. It drains when ctx ends.
func New(ctx context.Context, id string, e Engine) *Worker {
	w := &Worker{
		opts:        e.Options,
		store:       e.Store,
		log:         e.Log.With("worker", id),
		outages:     e.Outages,
		waits:       e.Waits,
		tel:         e.Telemetry,
		env:         e.Environment,
		definitions: e.Definitions,
		definition:  e.Definition,
		applied:     e.Applied,
		join:        e.Join,

		id:             id,
		slots:          make(chan struct{}, e.Options.MaxSteps),
		quarantineSlot: make(chan struct{}, 1),
		actors:         map[string]*actor{},
		parked:         list.New(),
		hooks:          map[string]*Address{},
		claims:         make(chan struct{}, 1),
		rewind:         make(chan struct{}, 1),
		missed:         make(chan struct{}, 1),
	}
	w.ending = ctx.Done()
	ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{}) // runs do not belong to the caller of Engine.Run
	w.ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	w.stepCtx, w.stopStep = context.WithCancel(w.ctx)
	w.lease.w, w.watch.w = w, w
	w.watch.kick, w.lease.kick = make(chan struct{}, 1), make(chan struct{}, 1)
	w.lease.busy = make(chan struct{}, 1)
	return w
}

// Run works until ctx ends, then drains.
func (w *Worker) Run(ctx context.Context) error {
	if err := w.lease.renew(); errors.Is(err, store.ErrClosed) {
		return err // any other will pass
	}
	w.loops.Go(w.watch.loop)
	w.loops.Go(w.lease.loop)
	w.loops.Go(w.resync)
	w.loops.Go(w.prune)
	w.trigger()
	w.claiming.Store(true)
	w.loops.Go(func() {
		w.claimLoop(ctx)
		w.claiming.Store(false)
	})
	<-ctx.Done()
	err := w.shutdown()
	w.cancel()
	w.loops.Wait()
	return err
}

// handOver is the part of Options.DrainTimeout, at most, that steps do not get: it is for
// what those return whose contexts have ended, and for giving up the lease.
const handOver = time.Second

// shutdown lets executing steps finish and hands the runs over. It takes no longer than
// Options.DrainTimeout, or half a second if that is less, whatever the store does.
func (w *Worker) shutdown() error {
	w.drain.Store(true)
	w.notifyOwned()
	drain := max(w.opts.DrainTimeout, handOver/2)
	last := max(min(drain/10, handOver), handOver/2)
	last = min(last, drain-w.opts.DrainTimeout/2) // what is about to end gets some time, too
	end := time.Now().Add(drain)
	var err error
	if !w.settle(end.Add(-last)) {
		w.stopStep()
		err = errors.New("steps or workflow code were still executing at the end of the drain timeout: they were given up, and will be executed again")
		if w.outages.Present() {
			err = errors.New("the store failed until the end of the drain timeout: others take the runs over when the lease has lapsed")
		}
		w.settle(end.Add(-last / 2))
	}
	w.stopStep()
	w.over.Store(true)
	w.mu.Lock()
	actors := make([]*actor, 0, len(w.actors))
	for _, a := range w.actors {
		actors = append(actors, a)
	}
	w.mu.Unlock()
	for _, a := range actors {
		a.evict()
	}
	ctx, cancel := context.WithDeadline(w.ctx, end)
	defer cancel()
	if released := w.store.Release(ctx, w.id); released != nil {
		w.log.Warn("could not release the lease: other workers wait until it lapses", "error", released)
		// A store that comes to transitions of this worker only now makes runs its own, when
		// nobody looks for those of its lease any more.
		go func() { _ = w.store.Release(context.WithoutCancel(w.ctx), w.id) }() // until the store is closed
	}
	return err
}

// settle waits until no run is owned or at work, nor being claimed.
func (w *Worker) settle(until time.Time) bool {
	deadline := time.NewTimer(time.Until(until))
	defer deadline.Stop()
	for !w.settled() {
		tick := time.NewTimer(5 * time.Millisecond)
		select {
		case <-tick.C:
		case <-deadline.C:
			tick.Stop()
			return w.settled()
		}
	}
	return true
}

func (w *Worker) settled() bool {
	return !w.claiming.Load() && w.owned.Load() <= 0 && w.busyActors.Load() <= 0
}

// tellLost tells the log how many runs others have taken over, if any.
func (w *Worker) tellLost() {
	if n := w.lost.Swap(0); n > 0 {
		w.log.Warn("other workers have taken runs over", "runs", n)
	}
}

// Draining reports whether the worker takes on no more runs.
func (w *Worker) Draining() bool { return w.drain.Load() }

// Begin executes a run that is born here. It returns when the run is durable. After a
// crash, or before it is known whether there was one, it declines: should the code of the
// new run be what kills workers, the run has to be durable before, or only innocent ones
// could be suspected.
func (w *Worker) Begin(ctx context.Context, n store.NewRun, def *run.Workflow) error {
	if !w.claimed.Load() || w.suspect.Load() > 0 {
		return ErrDeclined
	}
	start := &starting{handoff: newHandoff(), run: n}
	a := &actor{w: w, id: n.ID, workflow: n.Workflow, traced: w.ctx, def: def, start: start}
	w.mu.Lock()
	if w.actors[n.ID] != nil {
		w.mu.Unlock()
		return ErrDeclined
	}
	w.actors[n.ID] = a
	w.mu.Unlock()
	a.notify()
	return w.await(ctx, a, &start.handoff)
}

// Signal passes on what the store has seen.
func (w *Worker) Signal(s store.Signal) {
	for _, id := range s.Ended { // maybe by somebody else
		w.mu.Lock()
		a := w.actors[id]
		w.mu.Unlock()
		if a != nil {
			a.notify()
		}
	}
	for _, id := range s.Mail {
		w.mu.Lock()
		a := w.actors[id]
		w.mu.Unlock()
		// One that ends the run is on its way out; if it has ended it, this is a retry. One
		// whose code does not yield can't take it in: the run is claimed, so that it is seen
		// who executes it.
		switch {
		case a != nil && a.notify() && !a.ending.Load() && !a.slow():
		case s.Yield:
			w.yield(id)
		default:
			w.name(id)
		}
	}
	if s.All {
		w.missAll()
		w.trigger()
	}
}

// notifyOwned has the runs at work here look how they are in the store.
func (w *Worker) notifyOwned() {
	for _, id := range w.atWork() {
		w.mu.Lock()
		a := w.actors[id]
		w.mu.Unlock()
		if a != nil {
			a.notify()
		}
	}
}

// Executes reports whether the run is at work here.
func (w *Worker) Executes(runID string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.actors[runID]
	return a != nil && a.parked == nil
}

// Ends reports whether the run is ended here at this moment. Then its actor tells how.
func (w *Worker) Ends(runID string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.actors[runID]
	return a != nil && a.ending.Load()
}

func (w *Worker) countSuspect(suspect bool) {
	if suspect {
		w.suspect.Add(1)
	} else {
		w.suspect.Add(-1)
	}
}

func (w *Worker) countOwned(owned bool) {
	if owned {
		w.owned.Add(1)
	} else {
		w.owned.Add(-1)
	}
}

// ended gives the result of a run to those who wait for it.
func (w *Worker) ended(a *actor, t *store.Transition) {
	last := t.Events[len(t.Events)-1]
	res := waiting.NewResult(a.id, a.head.Workflow, t.Status, last.Data)
	// A run that has completed has done so for good; one that has failed may be retried.
	keep := t.Status == store.Completed && len(res.Output) <= largestKept
	w.waits.Deliver(waiting.EndOf(a.id), res, keep)
}

// largestKept bounds the memory that results take for which nobody waited.
const largestKept = 4 << 10

// Gauges returns how the worker is now.
func (w *Worker) Gauges() telemetry.Gauges {
	w.mu.Lock()
	parked := w.parked.Len()
	w.mu.Unlock()
	return telemetry.Gauges{Owned: w.owned.Load(), Cached: int64(parked), Executing: int64(len(w.slots))}
}

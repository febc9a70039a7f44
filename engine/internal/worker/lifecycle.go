package worker

import (
	"container/list"
	"context"
	"errors"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/telemetry"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"go.opentelemetry.io/otel/trace"
)

// New returns a worker with the given ID. It drains when ctx ends.
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
		hookTypes:   e.HookTypes,
		definition:  e.Definition,
		applied:     e.Applied,
		join:        e.Join,

		id:             id,
		slots:          make(chan struct{}, e.Options.MaxSteps),
		quarantineSlot: make(chan struct{}, 1),
		actors:         map[string]*actor{},
		parked:         list.New(),
		hooks:          map[string]*Address{},
		yielded:        map[string]time.Time{},
		claims:         make(chan struct{}, 1),
		rewind:         make(chan struct{}, 1),
		missed:         make(chan struct{}, 1),
		untold:         make(chan struct{}, 1),
		behind:         make(chan struct{}, 1),
		perhapsUntold:  make(chan struct{}, 1),
		perhapsBehind:  make(chan struct{}, 1),
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
		return err // any other error will pass
	}
	w.loops.Go(w.watch.loop)
	w.loops.Go(w.lease.loop)
	w.loops.Go(w.resync)
	w.loops.Go(w.tellEnds)
	w.loops.Go(w.tellListeners)
	w.loops.Go(func() { w.prune("prune runs", w.opts.KeepEnded, w.store.Prune) })
	w.loops.Go(func() { w.prune("prune generations", w.opts.KeepGenerationsFor, w.store.PruneGenerations) })
	if len(w.hookTypes) > 0 {
		w.loops.Go(w.keepHookTypes)
	}
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

// Begin executes a run that is born in this worker. It returns when the run is durable. It
// declines if the run has to be durable first, see innocent, or is not to begin.
func (w *Worker) Begin(ctx context.Context, n store.NewRun, def *run.Workflow) error {
	if !w.innocent() || w.isPaused(n.Workflow) {
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

// shutdown lets executing steps finish and hands the runs over. It takes no longer than
// Options.DrainTimeout, or half a second if that is less, whatever the store does.
func (w *Worker) shutdown() error {
	w.drain.Store(true)
	w.notifyOwned()
	drain := max(w.opts.DrainTimeout, handOver/2)
	last := max(min(drain/10, handOver), handOver/2)
	last = min(last, drain-w.opts.DrainTimeout/2) // what is about to end gets some time too
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
		// A store that gets to transitions of this worker only now gives it runs again, when
		// nobody looks for runs under its lease any more.
		go func() { _ = w.store.Release(context.WithoutCancel(w.ctx), w.id) }() // until the store is closed
	}
	return err
}

// settle waits until no run is owned, executing or being claimed.
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

// Signal passes on a signal of the store.
func (w *Worker) Signal(s store.Signal) {
	for _, id := range s.Ended { // maybe by another process
		w.mu.Lock()
		a := w.actors[id]
		delete(w.yielded, id)
		w.mu.Unlock()
		if a != nil {
			a.notify()
		}
	}
	var left []string
	for _, id := range s.Mail {
		w.mu.Lock()
		a := w.actors[id]
		parked := a != nil && a.parked != nil
		w.mu.Unlock()
		// An actor that ends the run is about to go; if it has ended the run, this is a retry.
		// An actor whose code does not yield can't take mail in: the run is claimed, which
		// shows who executes it. A run that is only cached here is left to the worker that comes
		// first, or both would load it, each time.
		switch {
		case parked && s.Yield > 0:
			left = append(left, id)
		case a != nil && a.notify() && !a.ending.Load() && !a.slow():
		case s.Yield > 0:
			left = append(left, id)
		case s.Mixed:
			w.name(id)
		default:
			w.signal(id)
		}
	}
	if len(left) > 0 {
		w.mu.Lock()
		w.yieldedAt = time.Now()
		w.mu.Unlock()
		w.yield(left, s.Yield)
	}
	if len(s.Untold) > 0 {
		notify(w.untold)
	}
	if len(s.Behind) > 0 {
		notify(w.behind)
	}
	if s.All {
		notify(w.perhapsUntold)
		notify(w.perhapsBehind)
		w.missAll()
		w.trigger()
	}
}

// Gauges returns the current values of the worker.
func (w *Worker) Gauges() telemetry.Gauges {
	w.mu.Lock()
	parked, paused := w.parked.Len(), len(w.paused)
	w.mu.Unlock()
	return telemetry.Gauges{Owned: w.owned.Load(), Cached: int64(parked), Executing: int64(len(w.slots)), PausedWorkflows: int64(paused)}
}

package engine

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// worker executes runs, from the begin to the end of one Engine.Run.
type worker struct {
	e     *Engine
	id    string
	build string
	store store.Store
	log   *slog.Logger
	lease lease
	watch watchdog

	ctx      context.Context //nolint:containedctx // of the worker's own store operations, ends last
	cancel   context.CancelFunc
	stepCtx  context.Context //nolint:containedctx // of the steps, ends when they are given up
	stopStep context.CancelFunc
	loops    sync.WaitGroup
	slots    chan struct{} // one for each step that may execute
	solos    chan struct{} // one for the run in quarantine

	ending   <-chan struct{} // closed when the worker begins to drain
	drain    atomic.Bool
	holding  atomic.Int64 // runs owned
	doubted  atomic.Int64 // of those, runs whose last owner died, before they have made progress
	bustling atomic.Int64 // actors with a goroutine

	mu     sync.Mutex
	actors map[string]*actor
	parked *list.List          // of idle actors, the last used one in front
	hooks  map[string]*address // by token, of live runs
	next   time.Time           // when to claim again

	again  atomic.Bool   // runs were claimed that nobody here knows of
	claims chan struct{} // says: claim now
	rewind chan struct{} // says: next has changed
}

// address is where payloads of a token are taken in.
type address struct {
	actor *actor
	hook  *store.Hook // of the run's execution; it does not change once it is open
}

func newWorker(ctx context.Context, e *Engine) *worker {
	w := &worker{
		e:      e,
		id:     newID(),
		build:  e.opts.Build,
		store:  e.store,
		slots:  make(chan struct{}, e.opts.MaxSteps),
		solos:  make(chan struct{}, 1),
		actors: map[string]*actor{},
		parked: list.New(),
		hooks:  map[string]*address{},
		claims: make(chan struct{}, 1),
		rewind: make(chan struct{}, 1),
	}
	w.log = e.log.With("worker", w.id)
	w.ending = ctx.Done()
	w.ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	w.stepCtx, w.stopStep = context.WithCancel(w.ctx)
	w.lease.w, w.watch.w = w, w
	w.watch.kick, w.lease.kick = make(chan struct{}, 1), make(chan struct{}, 1)
	return w
}

// run works until ctx ends, then drains.
func (w *worker) run(ctx context.Context) error {
	if err := w.lease.renew(); err != nil {
		return err
	}
	w.loops.Go(w.watch.loop)
	w.loops.Go(w.lease.loop)
	w.trigger()
	w.claimLoop(ctx)
	err := w.shutdown()
	w.cancel()
	w.loops.Wait()
	return err
}

// shutdown lets executing steps finish and hands the runs over.
func (w *worker) shutdown() error {
	w.drain.Store(true)
	w.pokeHeld()
	var err error
	if !w.settle(w.e.opts.DrainTimeout) {
		w.stopStep()
		err = errors.New("steps or workflow code were still executing at the end of the drain timeout: they were given up, and will be executed again")
		w.settle(time.Second)
	}
	w.stopStep()
	w.mu.Lock()
	actors := make([]*actor, 0, len(w.actors))
	for _, a := range w.actors {
		actors = append(actors, a)
	}
	w.mu.Unlock()
	for _, a := range actors {
		a.evict()
	}
	if released := w.store.Release(w.ctx, w.id); released != nil {
		w.log.Warn("could not release the lease: other workers wait until it lapses", "error", released)
	}
	return err
}

// settle waits until no run is owned or at work.
func (w *worker) settle(most time.Duration) bool {
	deadline := time.NewTimer(most)
	defer deadline.Stop()
	for w.holding.Load() > 0 || w.bustling.Load() > 0 {
		tick := time.NewTimer(5 * time.Millisecond)
		select {
		case <-tick.C:
		case <-deadline.C:
			tick.Stop()
			return false
		}
	}
	return true
}

func (w *worker) draining() bool { return w.drain.Load() }

// claimLoop claims runs when somebody says that there may be some, and when the next
// one is due.
func (w *worker) claimLoop(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var due <-chan time.Time
	for {
		w.mu.Lock()
		next := w.next
		w.mu.Unlock()
		due = nil
		if wait := w.untilClaim(next); wait >= 0 {
			timer.Reset(wait)
			due = timer.C
		}
		select {
		case <-ctx.Done():
			return
		case <-w.rewind:
			continue
		case <-w.claims:
		case <-due:
		}
		w.mu.Lock()
		w.next = time.Time{}
		w.mu.Unlock()
		w.claim(ctx)
	}
}

// slowPoll is how often a worker looks for runs though nobody has said anything: a
// signal of another process may have got lost, or a clock been set.
const slowPoll = 30 * time.Second

// untilClaim returns how long to wait before the next claim; less than 0: for ever.
func (w *worker) untilClaim(next time.Time) time.Duration {
	wait := time.Duration(-1)
	if !next.IsZero() {
		wait = max(0, next.Sub(w.store.Now()))
	}
	if w.store.Shared() && (wait < 0 || wait > slowPoll) {
		wait = slowPoll
	}
	return wait
}

// maxClaim is how many runs are claimed at once.
const maxClaim = 256

func (w *worker) claim(ctx context.Context) {
	room := w.e.opts.MaxRuns - int(w.bustling.Load())
	if room <= 0 || len(w.e.defs) == 0 {
		return // idle triggers the next claim
	}
	if err := w.lease.ensure(); err != nil {
		w.retryClaim(ctx, "renew the lease", err)
		return
	}
	limit, again := min(room, maxClaim), w.again.Swap(false)
	if again {
		limit += int(w.holding.Load()) // which come along
	}
	c, err := w.store.Claim(ctx, store.Claim{
		Worker:      w.id,
		Build:       w.build,
		Definitions: w.e.definitions,
		Limit:       limit,
		Now:         microseconds(w.store.Now()),
		Again:       again,
	})
	if err != nil {
		w.again.Store(true)
		w.retryClaim(ctx, "claim runs", err)
		return
	}
	for i := range c.Runs {
		w.adopt(&c.Runs[i])
	}
	w.wakeAt(c.Next)
	if c.More {
		if again {
			w.again.Store(true)
		}
		w.trigger()
	}
}

func (w *worker) retryClaim(ctx context.Context, verb string, err error) {
	if ctx.Err() == nil {
		w.trouble(verb, "", err)
		w.wakeAt(w.store.Now().Add(time.Second))
	}
}

// adopt gives a claimed run to its actor.
func (w *worker) adopt(r *store.Run) {
	for {
		w.mu.Lock()
		a := w.actors[r.ID]
		if a == nil {
			a = &actor{w: w, id: r.ID}
			w.actors[r.ID] = a
		}
		w.mu.Unlock()
		if a.post(arrival{at: w.store.Now(), claimed: r}) {
			return
		}
		w.remove(a) // it was on its way out
	}
}

// begin executes a run that is born here. It returns when the run is durable. After a
// crash it declines: should the code of the new run be what kills workers, the run has
// to be durable before, or only innocent ones could be suspected.
func (w *worker) begin(ctx context.Context, n store.NewRun, def *run.Workflow) error {
	if w.doubted.Load() > 0 {
		return errDeclined
	}
	a := &actor{w: w, id: n.ID, def: def, start: &starting{run: n, done: make(chan error, 1)}}
	done := a.start.done
	w.mu.Lock()
	if w.actors[n.ID] != nil {
		w.mu.Unlock()
		return errDeclined
	}
	w.actors[n.ID] = a
	w.mu.Unlock()
	a.poke()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// trigger has runs claimed soon.
func (w *worker) trigger() {
	select {
	case w.claims <- struct{}{}:
	default:
	}
}

// wakeAt has runs claimed at t, if not before. Zero is never.
func (w *worker) wakeAt(t time.Time) {
	if t.IsZero() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.next.IsZero() && !t.Before(w.next) {
		return
	}
	w.next = t
	select {
	case w.rewind <- struct{}{}:
	default:
	}
}

// signal passes on what the store has seen.
func (w *worker) signal(s store.Signal) {
	for _, id := range s.Ended { // maybe by somebody else
		w.mu.Lock()
		a := w.actors[id]
		w.mu.Unlock()
		if a != nil {
			a.poke()
		}
	}
	for _, id := range s.Mail {
		w.mu.Lock()
		a := w.actors[id]
		w.mu.Unlock()
		if a == nil || !a.poke() {
			w.trigger()
		}
	}
	if s.All {
		w.pokeHeld()
		w.trigger()
	}
}

// pokeHeld pokes the actors whose runs no claim would find.
func (w *worker) pokeHeld() {
	w.mu.Lock()
	var held []*actor
	for _, a := range w.actors {
		if a.parked == nil {
			held = append(held, a)
		}
	}
	w.mu.Unlock()
	for _, a := range held {
		a.poke()
	}
}

// executes reports whether the run is at work here.
func (w *worker) executes(runID string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.actors[runID]
	return a != nil && a.parked == nil
}

// ends reports whether the run is ended here at this moment. Then its actor tells how.
func (w *worker) ends(runID string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.actors[runID]
	return a != nil && a.ending.Load()
}

func (w *worker) doubts(doubted bool) {
	if doubted {
		w.doubted.Add(1)
	} else {
		w.doubted.Add(-1)
	}
}

func (w *worker) holds(held bool) {
	if held {
		w.holding.Add(1)
	} else {
		w.holding.Add(-1)
	}
}

// busy counts an actor that begins to go round. It is called with a.mu held.
func (w *worker) busy(a *actor) {
	w.mu.Lock()
	w.unpark(a)
	w.mu.Unlock()
	if w.bustling.Add(1) == 1 {
		w.watch.wake()
	}
}

// idle counts an actor that has nothing to do. It caches parked runs, and returns
// the one to be evicted for it, if any. It is called with a.mu held.
func (w *worker) idle(a *actor) (victim *actor) {
	if w.bustling.Add(-1) == int64(w.e.opts.MaxRuns)-1 {
		w.trigger()
	}
	if a.gone || a.held {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.actors[a.id] != a {
		return nil
	}
	a.parked = w.parked.PushFront(a)
	if w.parked.Len() > w.e.opts.CacheSize {
		victim = w.parked.Back().Value.(*actor) //nolint:forcetypeassert // the list has actors only
		w.unpark(victim)                        // nobody else is to pick it
	}
	return victim
}

func (w *worker) unpark(a *actor) {
	if a.parked != nil {
		w.parked.Remove(a.parked)
		a.parked = nil
	}
}

// evict ends the actor if it is parked. The run costs no memory from then on.
func (a *actor) evict() {
	a.mu.Lock()
	if a.active || a.gone {
		a.mu.Unlock()
		return
	}
	a.gone = true
	a.mu.Unlock()
	a.w.remove(a)
	a.forget()
}

// remove takes an actor off the books.
func (w *worker) remove(a *actor) {
	w.mu.Lock()
	if w.actors[a.id] == a {
		delete(w.actors, a.id)
	}
	w.unpark(a)
	w.mu.Unlock()
	w.e.recheck(a.id)
}

// follow makes the open hooks of a run findable, and those that it has closed not.
func (w *worker) follow(a *actor) {
	changed := a.x.changed
	if len(changed) == 0 {
		return
	}
	a.x.changed = nil
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range changed {
		if h.open {
			w.hooks[h.spec.Token] = &address{actor: a, hook: &h.spec}
		} else if at := w.hooks[h.spec.Token]; at != nil && at.actor == a && at.hook.ID == h.spec.ID {
			delete(w.hooks, h.spec.Token)
		}
	}
}

// closeHooks makes the hooks of a run unfindable.
func (w *worker) closeHooks(a *actor) {
	if a.x == nil || len(a.x.hookByID) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range a.x.hookByID {
		if at := w.hooks[h.spec.Token]; at != nil && at.actor == a {
			delete(w.hooks, h.spec.Token)
		}
	}
}

// address finds the live run that a token belongs to, or nil.
func (w *worker) address(token string) *address {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hooks[token]
}

// offer hands a payload to a live run. It fails with errDeclined if the payload has
// to go through the mailbox.
func (w *worker) offer(ctx context.Context, to *address, data []byte, orStart *store.NewRun) error {
	o := &offer{hookID: to.hook.ID, data: data, orStart: orStart, done: make(chan error, 1)}
	if !to.actor.post(arrival{at: w.store.Now(), offer: o}) {
		return errDeclined
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ended tells who waits for the run.
func (w *worker) ended(a *actor, t *store.Transition) {
	last := t.Events[len(t.Events)-1]
	res := &workflow.RunResult{RunID: a.id, Workflow: a.head.Workflow, Status: workflow.Status(t.Status)}
	if t.Status == store.Completed {
		res.Output = last.Data
	} else {
		res.Error = last.Data
	}
	w.e.finish(a.id, res)
}

// trouble logs that the store fails, and not a thousand times.
func (w *worker) trouble(verb, runID string, err error) {
	w.e.troubles.log(w.log, verb, runID, err)
}

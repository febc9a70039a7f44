package worker

import (
	"container/list"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/engine/internal/outage"
	"github.com/tenter-dev/tenter/engine/internal/telemetry"
	"github.com/tenter-dev/tenter/engine/internal/waiting"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
)

// Options are the engine's options that a worker needs, with defaults applied.
type Options struct {
	Build              string
	Lease              time.Duration
	DrainTimeout       time.Duration
	StepGrace          time.Duration
	StuckAfter         time.Duration
	KeepEnded          time.Duration
	KeepGenerationsFor time.Duration
	MaxRuns            int
	MaxSteps           int
	MaxPayload         int
	CacheSize          int
	PublishAtOnce      int
	LinkKeys           []string // IDs of the keys that links are signed with
}

// Engine is what a worker needs from its engine.
type Engine struct {
	Options     Options
	Store       store.Store
	Log         *slog.Logger
	Outages     *outage.Log
	Waits       *waiting.Registry
	Telemetry   *telemetry.Telemetry
	Environment *execution.Environment
	Definitions []store.Definition
	HookTypes   []store.HookType
	// Definition returns the code of a workflow's version, or nil. Version 0 is the highest.
	Definition func(workflow string, version int) *run.Workflow
	// Applied is called with each durable transition.
	Applied func(*store.Transition)
	// Join returns the operations of an application's transaction, and the context for a step
	// that executes in it.
	Join func(tx any) (in store.Joined, scene func(context.Context) context.Context, err error)
}

// Worker executes runs, from the beginning to the end of one call of Engine.Run.
type Worker struct {
	opts        Options
	store       store.Store
	log         *slog.Logger
	outages     *outage.Log
	waits       *waiting.Registry
	tel         *telemetry.Telemetry
	env         *execution.Environment
	definitions []store.Definition
	hookTypes   []store.HookType
	definition  func(workflow string, version int) *run.Workflow
	applied     func(*store.Transition)
	join        func(tx any) (store.Joined, func(context.Context) context.Context, error)

	id    string
	lease lease
	watch watchdog

	ctx            context.Context //nolint:containedctx // of the worker's own store operations; ends last
	cancel         context.CancelFunc
	stepCtx        context.Context //nolint:containedctx // of the steps; ends when they are given up
	stopStep       context.CancelFunc
	loops          sync.WaitGroup
	slots          chan struct{} // one for each step that may execute
	quarantineSlot chan struct{} // one for the run in quarantine

	ending     <-chan struct{} // closed when the worker begins to drain
	drain      atomic.Bool
	over       atomic.Bool  // runs that come to rest are evicted at once
	owned      atomic.Int64 // runs that this worker owns
	lost       atomic.Int64 // runs that others have taken over since this was last logged
	claimed    atomic.Bool  // a claim has succeeded: runs whose last owner died are known
	suspect    atomic.Int64 // owned runs whose last owner died and that have made no progress yet
	busyActors atomic.Int64 // actors with a goroutine
	claiming   atomic.Bool  // claimLoop is at work
	anyPaused  atomic.Bool  // a workflow is paused

	mu       sync.Mutex
	actors   map[string]*actor
	parked   *list.List           // of idle actors, the last used one in front
	hooks    map[string]*Address  // by token, of live runs
	next     time.Time            // when to claim again
	named    []string             // runs to be claimed
	signaled []string             // runs to be claimed optimistically
	yielded  map[string]time.Time // runs left to other workers, each until a time
	yielding bool                 // claimYielded will be called
	pace     pace
	paused   []string            // workflows, sorted
	holding  map[*actor]*holding // those whose runs are paused

	byNeed    atomic.Bool    // claim whatever has something to do
	eager     atomic.Bool    // claim that without patience
	yieldedAt time.Time      // when runs were last left to other workers
	looked    time.Time      // when that was last done; used by claimLoop
	again     atomic.Bool    // this worker may own runs that it does not know of
	recalled  time.Time      // when it last asked for them; used by claimLoop
	backoff   outage.Backoff // of claimLoop
	vain      int            // claims in a row that got none of the due runs; used by claimLoop
	busyPause time.Duration  // before runs are claimed again that somebody else was at; used by claimLoop

	timers sync.Pool // of callers waiting for an actor

	claims chan struct{} // signals: claim now
	rewind chan struct{} // signals: next has changed
	missed chan struct{} // signals: signals to runs at work may have been lost
	untold chan struct{} // signals: ends of runs are to be told
	behind chan struct{} // signals: listeners are to be told

	perhapsUntold chan struct{} // signals: others may have left such ends
	perhapsBehind chan struct{} // signals: others may have left such listeners
}

// handOver caps the part of Options.DrainTimeout that steps do not get: the time to take in
// the results of steps whose contexts have ended, and to give up the lease.
const handOver = time.Second

// tellLost logs how many runs others have taken over, if any.
func (w *Worker) tellLost() {
	if n := w.lost.Swap(0); n > 0 {
		w.log.Warn("other workers have taken runs over", "runs", n)
	}
}

// Draining reports whether the worker has stopped claiming runs.
func (w *Worker) Draining() bool { return w.drain.Load() }

// Executes reports whether the run is at work here.
func (w *Worker) Executes(runID string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.actors[runID]
	return a != nil && a.parked == nil
}

// Ends reports whether the run is being ended here right now. Then its actor delivers the end.
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

// ended gives the result of a run to the callers waiting for it.
func (w *Worker) ended(a *actor, t *store.Transition) {
	last := t.Events[len(t.Events)-1]
	res := waiting.NewResult(a.id, a.head.Workflow, t.Status, last.Data)
	// A completed run stays completed; a failed one may be retried.
	keep := t.Status == store.Completed && len(res.Output) <= largestKept
	w.waits.Deliver(waiting.EndOf(a.id), res, keep)
}

// largestKept bounds the size of results that are kept although nobody waited for them.
const largestKept = 4 << 10

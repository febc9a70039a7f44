package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/outage"
	"github.com/tenter-dev/tenter/engine/internal/telemetry"
	"github.com/tenter-dev/tenter/engine/internal/waiting"
	"github.com/tenter-dev/tenter/engine/internal/worker"
	"github.com/tenter-dev/tenter/internal/batched"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// Engine starts, resumes and watches runs on a store, and executes them while
// [Engine.Run] is called. It is safe for concurrent use, a [workflow.Client] and an
// [inspect.Client].
type Engine struct {
	*program
	store   store.Store
	opts    Options
	log     *slog.Logger
	outages *outage.Log
	waits   *waiting.Registry
	endings *batched.Loader[string, store.Ending]
	tel     *telemetry.Telemetry
	watches watches
	unwatch func()
	stored  storedHooks
	routes  sync.Map      // of FirstRequest, see there
	refused run.PerMinute // requests that were kept

	mu     sync.Mutex
	worker *worker.Worker // while Run is running
	ran    *string        // how the last call of Run ended; nil: it has not returned yet
	done   chan struct{}  // closed when the worker has ended
	stop   context.CancelFunc
	ending <-chan struct{} // closed when the worker begins to drain
	closed chan struct{}

	unattended map[string]bool // workflows for which it was logged that nobody executes them
	attended   time.Time       // when this was last checked
}

// New returns an engine on a store. It fails if the options are wrong: a workflow version or
// hook type is nil, has an invalid name or is defined twice, a workflow is only declared, a
// duration is negative, PublicURL is not the URL of a server, or KeepEnded or KeepGenerationsFor
// is too short.
// The caller keeps the store: close the engine first, then the store.
func New(s store.Store, opts Options) (*Engine, error) {
	if s == nil {
		return nil, errors.New("new engine: the store is nil: open one with sqlite.Open")
	}
	p, err := newProgram(&opts)
	if err != nil {
		return nil, fmt.Errorf("new engine: %w", err)
	}
	e := &Engine{
		program: p,
		store:   s,
		opts:    opts,
		log:     opts.Logger,
		closed:  make(chan struct{}),
	}
	e.outages = outage.NewLog(e.log, s)
	e.waits = waiting.New(s, e.outages)
	e.endings = waiting.NewEndings(s)
	e.env.Client, e.env.Respond = e, e.respondDirectly
	e.tel, err = telemetry.New(telemetry.Options{
		Tracers: opts.TracerProvider, Meters: opts.MeterProvider, Store: s, Gauges: e.gauges, Refusals: []error{ErrNotVerified},
	})
	if err != nil {
		return nil, fmt.Errorf("new engine: make the instruments: %w", err)
	}
	e.env.Observed = e.tel != nil
	e.unwatch = s.Watch(e.signal)
	return e, nil
}

// Close ends Run, if it is running, and waits for it to return; blocked calls fail with
// [workflow.ErrEngineClosed]. The store stays open. It may be called more than once.
func (e *Engine) Close() error {
	if e == nil {
		return nil // nothing to end
	}
	e.mu.Lock()
	select {
	case <-e.closed:
		e.mu.Unlock()
		return nil
	default:
	}
	close(e.closed)
	stop, done := e.stop, e.done
	e.mu.Unlock()
	if stop != nil {
		stop()
		<-done
	}
	e.unwatch()
	e.tel.Close()
	e.outages.Close()
	return nil
}

// Run executes runs until ctx ends. Then it claims no more runs, lets executing steps finish,
// and hands its runs over, all within Options.DrainTimeout. It returns nil if that succeeded.
// A crash loses nothing either: other workers take the runs over when the lease has lapsed.
//
// A run that was started while nobody executed its workflow begins now, and had no hooks
// before, see [workflow.Workflow.Start]. To end a program, end ctx and wait for Run to return,
// shut down the servers, close the engine, close the store.
//
// Run fails at once if the engine has no workflows, has been closed, or is running already. It
// may be called again after it has returned.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.usable(ctx); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	if len(e.defs) == 0 {
		return errors.New("run: the engine has no workflows: name them in Options.Workflows")
	}
	if err := e.signer.prepare(ctx, e.store); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	w := e.newWorker(ctx)
	e.mu.Lock()
	if err := e.usable(ctx); err != nil { // closed meanwhile
		e.mu.Unlock()
		return fmt.Errorf("run: %w", err)
	}
	if e.worker != nil {
		e.mu.Unlock()
		return errors.New("run: the engine is running already")
	}
	e.worker, e.stop, e.done, e.ending = w, stop, make(chan struct{}), ctx.Done()
	done := e.done
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.worker, e.stop, e.ending = nil, nil, nil
		e.mu.Unlock()
		close(done)
	}()
	err := w.Run(ctx)
	how := "its context had ended"
	if err != nil {
		err = fmt.Errorf("run: %w", err)
		how = err.Error()
	}
	e.mu.Lock()
	e.ran = &how
	e.mu.Unlock()
	return err
}

func (e *Engine) newWorker(ctx context.Context) *worker.Worker {
	o := &e.opts
	return worker.New(ctx, newID(), worker.Engine{
		Options: worker.Options{
			Build: o.Build, Lease: o.Lease, DrainTimeout: o.DrainTimeout, StepGrace: o.StepGrace, StuckAfter: o.StuckAfter, KeepEnded: o.KeepEnded, KeepGenerationsFor: o.KeepGenerationsFor, PublishAtOnce: o.PublishAtOnce,
			MaxRuns: o.MaxRuns, MaxSteps: o.MaxSteps, MaxPayload: o.MaxPayload, CacheSize: o.CacheSize, LinkKeys: e.signer.ids(),
		},
		Store: e.store, Log: e.log, Outages: e.outages, Waits: e.waits, Telemetry: e.tel, Environment: e.env,
		Definitions: e.definitions, HookTypes: e.kept, Definition: e.definition, Applied: e.watches.applied, Join: e.joinTx,
	})
}

// gauges returns the worker's gauges, if there is one.
func (e *Engine) gauges() (telemetry.Gauges, bool) {
	e.mu.Lock()
	w := e.worker
	e.mu.Unlock()
	if w == nil {
		return telemetry.Gauges{}, false
	}
	return w.Gauges(), true
}

func init() {
	run.MaxPayload = func(client any) int {
		if e, ok := client.(*Engine); ok && e != nil {
			return e.opts.MaxPayload
		}
		return 0
	}
	run.AnswerURL = func(ctx context.Context, client any, linkID string) (string, error) {
		e, ok := client.(*Engine)
		if !ok || len(e.signer.keys) == 0 {
			return "", errors.New("make the URL of a link: the engine has no Options.AnswerKeys")
		}
		if err := e.signer.prepare(ctx, e.store); err != nil {
			return "", fmt.Errorf("make the URL of a link: %w", err)
		}
		return e.env.Links.URL(linkID, e.env.Links.Key), nil
	}
}

// usable returns why the engine can't be used, or nil.
func (e *Engine) usable(ctx context.Context) error {
	if e == nil {
		return errors.New("the engine is nil: make one with engine.New")
	}
	select {
	case <-e.closed:
		return workflow.ErrEngineClosed
	default:
		return run.CheckOutside(ctx)
	}
}

// running returns the worker if it still claims runs.
func (e *Engine) running() *worker.Worker {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.worker == nil || e.worker.Draining() {
		return nil
	}
	return e.worker
}

// Stopping returns a channel that is closed when the engine begins to stop: when the context
// of Run ends, or by Close. Servers then release waiting callers.
func (e *Engine) Stopping() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ending != nil {
		return e.ending
	}
	return e.closed
}

// isStopping reports whether the engine has begun to stop.
func (e *Engine) isStopping() bool {
	select {
	case <-e.Stopping():
		return true
	default:
		return false
	}
}

// signal passes on a signal of the store.
func (e *Engine) signal(s store.Signal) {
	e.mu.Lock()
	w := e.worker
	e.mu.Unlock()
	if w != nil {
		w.Signal(s)
	}
	for i := range s.Results {
		end := &s.Results[i]
		if w != nil && w.Ends(end.RunID) {
			continue // its actor delivers it
		}
		e.waits.Deliver(waiting.EndOf(end.RunID), waiting.NewResult(end.RunID, end.Workflow, end.Status, end.Data), false)
	}
	for _, id := range s.Ended {
		if w == nil || !w.Ends(id) {
			e.waits.Notify(waiting.EndOf(id))
		}
	}
	for _, id := range s.Responded {
		e.waits.Notify(waiting.ResponseTo(id))
	}
	if s.All {
		e.waits.Missed()
	}
	e.watches.signal(s)
}

// refreshLease renews the lease of an idle worker, lest its runs look as if nobody could
// execute them.
func (e *Engine) refreshLease() {
	if w := e.running(); w != nil {
		w.RefreshLease()
	}
}

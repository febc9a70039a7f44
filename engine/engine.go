package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
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
	store       store.Store
	opts        Options
	log         *slog.Logger
	defs        map[string][]*run.Workflow // by name, the highest version last
	definitions []store.Definition
	elsewhere   map[string]bool
	hookTypes   map[string]run.HookType
	env         *execution.Environment
	outages     *outage.Log
	waits       *waiting.Registry
	endings     *batched.Loader[string, store.Ending]
	tel         *telemetry.Telemetry
	watches     watches
	unwatch     func()

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
// duration is negative, PublicURL is not the URL of a server, or KeepEnded is too short.
// The caller keeps the store: close the engine first, then the store.
func New(s store.Store, opts Options) (*Engine, error) {
	if s == nil {
		return nil, errors.New("new engine: the store is nil: open one with sqlite.Open")
	}
	publicURL, err := parsePublicURL(opts.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("new engine: %w", err)
	}
	if err := opts.checkDurations(); err != nil {
		return nil, fmt.Errorf("new engine: %w", err)
	}
	opts.setDefaults()
	if err := opts.checkKeepEnded(); err != nil {
		return nil, fmt.Errorf("new engine: %w", err)
	}
	e := &Engine{
		store:     s,
		opts:      opts,
		log:       opts.Logger,
		defs:      map[string][]*run.Workflow{},
		elsewhere: map[string]bool{},
		hookTypes: map[string]run.HookType{},
		closed:    make(chan struct{}),
	}
	e.outages = outage.NewLog(e.log, s)
	e.waits = waiting.New(s, e.outages)
	e.endings = waiting.NewEndings(s)
	e.env = &execution.Environment{
		Client: e, Respond: e.respondDirectly, PublicURL: publicURL, DedupeFor: opts.DedupeFor, Limit: opts.MaxPayload, Verifiers: slices.Sorted(maps.Keys(opts.Verifiers)),
	}
	for name, v := range opts.Verifiers {
		if err := execution.CheckName(name); err != nil {
			return nil, fmt.Errorf("new engine: Options.Verifiers: name %q: %w", name, err)
		}
		if v == nil {
			return nil, fmt.Errorf("new engine: verifier %q is nil", name)
		}
	}
	for _, d := range opts.Workflows {
		if err := e.define(d); err != nil {
			return nil, fmt.Errorf("new engine: %w", err)
		}
	}
	for _, d := range opts.Hooks {
		if d == nil {
			return nil, errors.New("new engine: a hook type is nil")
		}
		h := run.HookDefinition(d)
		if err := execution.CheckName(h.Name); err != nil {
			return nil, fmt.Errorf("new engine: hook type name %q: %w", h.Name, err)
		}
		if _, twice := e.hookTypes[h.Name]; twice {
			return nil, fmt.Errorf("new engine: hook type %q is defined twice", h.Name)
		}
		e.hookTypes[h.Name] = h
	}
	for _, name := range opts.Elsewhere {
		if err := execution.CheckName(name); err != nil {
			return nil, fmt.Errorf("new engine: Options.Elsewhere: workflow name %q: %w", name, err)
		}
		e.elsewhere[name] = true
	}
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
			Build: o.Build, Lease: o.Lease, DrainTimeout: o.DrainTimeout, StepGrace: o.StepGrace, StuckAfter: o.StuckAfter, KeepEnded: o.KeepEnded,
			MaxRuns: o.MaxRuns, MaxSteps: o.MaxSteps, MaxPayload: o.MaxPayload, CacheSize: o.CacheSize,
		},
		Store: e.store, Log: e.log, Outages: e.outages, Waits: e.waits, Telemetry: e.tel, Environment: e.env,
		Definitions: e.definitions, Definition: e.definition, Applied: e.watches.applied, Join: e.joinTx,
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

func (e *Engine) define(d workflow.Definition) error {
	if d == nil {
		return errors.New("a workflow is nil")
	}
	def, err := run.Definition(d)
	if err != nil {
		return err
	}
	if err := execution.CheckName(def.Name); err != nil {
		return fmt.Errorf("workflow name %q: %w", def.Name, err)
	}
	if def.Func == nil {
		return fmt.Errorf("workflow %q: its function is nil", def.Name)
	}
	if def.Version < 1 || def.Version > math.MaxInt32 {
		return fmt.Errorf("workflow %q: version %d: versions count from 1, up to %d", def.Name, def.Version, math.MaxInt32)
	}
	all := e.defs[def.Name]
	i := len(all)
	for i > 0 && all[i-1].Version >= def.Version {
		if all[i-1].Version == def.Version {
			return fmt.Errorf("workflow %q version %d is defined twice", def.Name, def.Version)
		}
		i--
	}
	all = append(all, nil)
	copy(all[i+1:], all[i:])
	all[i] = def
	e.defs[def.Name] = all
	e.definitions = append(e.definitions, store.Definition{Workflow: def.Name, Version: def.Version})
	return nil
}

// definition finds the definition of a workflow. Version 0 is the highest.
func (e *Engine) definition(name string, version int) *run.Workflow {
	all := e.defs[name]
	if version == 0 && len(all) > 0 {
		return all[len(all)-1]
	}
	for _, def := range all {
		if def.Version == version {
			return def
		}
	}
	return nil
}

func init() {
	run.MaxPayload = func(client any) int {
		if e, ok := client.(*Engine); ok && e != nil {
			return e.opts.MaxPayload
		}
		return 0
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

package workflowtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
)

// process is the worker's process. Once it is dead nothing that it does reaches the
// database.
type process struct {
	store.Store
	e      *Engine
	eng    *engine.Engine
	cancel context.CancelFunc
	dead   atomic.Bool
	worker atomic.Pointer[string] // its ID
}

var errKilled = errors.New("workflowtest: the process is dead")

// begin starts a process that executes runs.
func (e *Engine) begin() error {
	p := &process{Store: e.store, e: e}
	opts := e.opts
	opts.Logger = slog.New(&logHandler{opts.Logger.Handler(), p})
	opts.Workflows = nil
	for _, d := range e.opts.Workflows {
		spied, err := p.spied(d)
		if err != nil {
			return err
		}
		opts.Workflows = append(opts.Workflows, spied)
	}
	var err error
	if p.eng, err = engine.New(p, opts); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.t.Context()))
	p.cancel = cancel
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		cancel()
		return p.eng.Close()
	}
	e.process = p
	e.ended.Go(func() {
		defer cancel()
		var err error
		if len(opts.Workflows) > 0 {
			err = p.eng.Run(ctx)
		}
		if err != nil && !p.dead.Load() {
			e.t.Errorf("workflowtest: %v", err)
		}
		<-ctx.Done()
		_ = p.eng.Close()
	})
	return nil
}

// kill ends the process as a crash does. It reports whether it was alive.
func (p *process) kill() bool {
	if p.dead.Swap(true) {
		return false
	}
	p.cancel()
	return true
}

// crash kills the process and begins another one. The lease of the first has to lapse,
// unless it is released.
func (p *process) crash(release bool) {
	if !p.kill() {
		return
	}
	p.e.ended.Go(func() {
		if worker := p.worker.Load(); worker != nil && release {
			if err := p.Store.Release(context.WithoutCancel(p.e.t.Context()), *worker); err != nil {
				p.e.t.Errorf("workflowtest: release the lease of a process that has crashed: %v", err)
			}
		}
		if err := p.e.begin(); err != nil {
			p.e.t.Errorf("workflowtest: begin a process after a crash: %v", err)
		}
	})
}

func (p *process) alive() error {
	if p.dead.Load() {
		return errKilled
	}
	return nil
}

// Apply implements [store.Worker].
func (p *process) Apply(ctx context.Context, t *store.Transition) ([]store.Outcome, error) {
	if err := p.alive(); err != nil {
		return nil, err
	}
	before, after := p.e.crashes.at(p.e, t)
	if before {
		p.e.t.Logf("workflowtest: crash before the commit of %s", describe(t))
		p.crash(true)
		return nil, errKilled
	}
	for i := range t.Effects {
		if t.Effects[i].Kind == store.StartRun {
			t.Effects[i].Run.Secret = secretOf(t.Effects[i].Run.ID)
		}
	}
	outcomes, err := p.Store.Apply(ctx, t)
	if err != nil {
		return nil, err
	}
	if after {
		p.e.t.Logf("workflowtest: crash after the commit of %s", describe(t))
		p.crash(true)
		err = errKilled
	}
	p.e.committed()
	return outcomes, err
}

func describe(t *store.Transition) string {
	what := string(t.Status)
	if len(t.Events) > 0 {
		last := t.Events[len(t.Events)-1] // its position is not set before it is applied
		last.Position = t.After + int64(len(t.Events))
		what = fmt.Sprintf("event %d (%s)", last.Position, strings.TrimSpace(string(last.Kind)+" "+last.Ref))
	}
	return fmt.Sprintf("run %s, %s", t.RunID, what)
}

// Renew implements [store.Worker].
func (p *process) Renew(ctx context.Context, l store.Lease) error {
	if err := p.alive(); err != nil {
		return err
	}
	p.worker.Store(&l.Worker)
	if p.e.renewals.Add(1)%maxRenewals == 0 { // callers that wait for a commit may have waited long enough
		p.e.wake()
	}
	return p.Store.Renew(ctx, l)
}

// Start implements [store.Client].
func (p *process) Start(ctx context.Context, r store.NewRun) error {
	if err := p.alive(); err != nil {
		return err
	}
	return p.Store.Start(ctx, r)
}

// Accept implements [store.Client].
func (p *process) Accept(ctx context.Context, m store.Payload) (store.Receipt, error) {
	if err := p.alive(); err != nil {
		return store.Receipt{}, err
	}
	return p.Store.Accept(ctx, p.e.reproducible(m))
}

// Publish implements [store.Client].
func (p *process) Publish(ctx context.Context, m store.Publication) (store.Published, error) {
	if err := p.alive(); err != nil {
		return store.Published{}, err
	}
	return p.Store.Publish(ctx, m)
}

// TellListeners implements [store.Worker].
func (p *process) TellListeners(ctx context.Context, atOnce int) (told int, more bool, err error) {
	if err := p.alive(); err != nil {
		return 0, false, err
	}
	return p.Store.TellListeners(ctx, atOnce)
}

// Send implements [store.Client].
func (p *process) Send(ctx context.Context, m store.Message) error {
	if err := p.alive(); err != nil {
		return err
	}
	return p.Store.Send(ctx, m)
}

// Respond implements [store.Client].
func (p *process) Respond(ctx context.Context, r store.Response) error {
	if err := p.alive(); err != nil {
		return err
	}
	return p.Store.Respond(ctx, r)
}

// Terminate implements [store.Client].
func (p *process) Terminate(ctx context.Context, runID string, ev store.Event) error {
	if err := p.alive(); err != nil {
		return err
	}
	return p.Store.Terminate(ctx, runID, ev)
}

// Retry implements [store.Client].
func (p *process) Retry(ctx context.Context, c store.Cut) (store.Hook, error) {
	if err := p.alive(); err != nil {
		return store.Hook{}, err
	}
	return p.Store.Retry(ctx, c)
}

// Fork implements [store.Client].
func (p *process) Fork(ctx context.Context, f store.Fork) (store.Hook, error) {
	if err := p.alive(); err != nil {
		return store.Hook{}, err
	}
	return p.Store.Fork(ctx, f)
}

// Unblock implements [store.Client].
func (p *process) Unblock(ctx context.Context, runID string) error {
	if err := p.alive(); err != nil {
		return err
	}
	return p.Store.Unblock(ctx, runID)
}

// Load implements [store.Reader].
func (p *process) Load(ctx context.Context, runID string, after int64) (store.Loaded, error) {
	if err := p.alive(); err != nil {
		return store.Loaded{}, err
	}
	return p.Store.Load(ctx, runID, after)
}

// Backlog implements [store.Reader].
func (p *process) Backlog(ctx context.Context, runID, hookID string, after int64, limit int) (payloads []store.Message, more bool, err error) {
	if err := p.alive(); err != nil {
		return nil, false, err
	}
	return p.Store.Backlog(ctx, runID, hookID, after, limit)
}

// Release implements [store.Worker].
func (p *process) Release(ctx context.Context, worker string) error {
	if err := p.alive(); err != nil {
		return err
	}
	return p.Store.Release(ctx, worker)
}

// Claim implements [store.Worker].
func (p *process) Claim(ctx context.Context, c store.Claim) (store.Claimed, error) {
	if err := p.alive(); err != nil {
		return store.Claimed{}, err
	}
	return p.Store.Claim(ctx, c)
}

// Fence implements [store.Worker].
func (p *process) Fence(ctx context.Context, runID, worker string, epoch int64) (store.Loaded, error) {
	if err := p.alive(); err != nil {
		return store.Loaded{}, err
	}
	return p.Store.Fence(ctx, runID, worker, epoch)
}

// reproducible gives a run that a payload may start an ID and a secret that are the same
// in each execution of the test.
func (e *Engine) reproducible(m store.Payload) store.Payload {
	if m.OrStart != nil {
		n := *m.OrStart
		if generatedID.MatchString(n.ID) {
			n.ID = e.nextID()
		}
		n.Secret = secretOf(n.ID)
		m.OrStart = &n
	}
	return m
}

// logHandler drops what a dead process has to say.
type logHandler struct {
	slog.Handler
	p *process
}

func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return !h.p.dead.Load() && h.Handler.Enabled(ctx, level)
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	if h.p.dead.Load() {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{h.Handler.WithAttrs(attrs), h.p}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{h.Handler.WithGroup(name), h.p}
}

// clientStore is the database as the test's process sees it. What it does is done when
// all runs have gone as far as they can.
type clientStore struct {
	store.Store
	store.Archiver
	e *Engine
}

func (c *clientStore) Start(ctx context.Context, r store.NewRun) error {
	r.Secret = secretOf(r.ID)
	return settled(ctx, c, c.Store.Start(ctx, r))
}

func (c *clientStore) Accept(ctx context.Context, m store.Payload) (store.Receipt, error) {
	r, err := c.Store.Accept(ctx, c.e.reproducible(m))
	return r, settled(ctx, c, err)
}

func (c *clientStore) Publish(ctx context.Context, p store.Publication) (store.Published, error) {
	done, err := c.Store.Publish(ctx, p)
	return done, settled(ctx, c, err)
}

func (c *clientStore) Send(ctx context.Context, m store.Message) error {
	return settled(ctx, c, c.Store.Send(ctx, m))
}

func (c *clientStore) Terminate(ctx context.Context, runID string, ev store.Event) error {
	return settled(ctx, c, c.Store.Terminate(ctx, runID, ev))
}

func (c *clientStore) Retry(ctx context.Context, cut store.Cut) (store.Hook, error) {
	h, err := c.Store.Retry(ctx, cut)
	return h, settled(ctx, c, err)
}

func (c *clientStore) Fork(ctx context.Context, f store.Fork) (store.Hook, error) {
	h, err := c.Store.Fork(ctx, f)
	return h, settled(ctx, c, err)
}

func (c *clientStore) Unblock(ctx context.Context, runID string) error {
	return settled(ctx, c, c.Store.Unblock(ctx, runID))
}

func settled(ctx context.Context, c *clientStore, err error) error {
	if err == nil {
		c.e.settle(ctx)
	}
	return err
}

// Run and Runs let the worker show up before: on a private database one that has
// nothing to do does not renew its lease, and its runs would look as if nobody could
// execute them.
func (c *clientStore) Run(ctx context.Context, runID string) (store.Run, error) {
	c.showUp(ctx)
	return c.Store.Run(ctx, runID)
}

func (c *clientStore) Runs(ctx context.Context, f store.Filter) ([]store.Run, error) {
	c.showUp(ctx)
	return c.Store.Runs(ctx, f)
}

func (c *clientStore) showUp(ctx context.Context) {
	c.e.mu.Lock()
	p := c.e.process
	c.e.mu.Unlock()
	_, _ = p.eng.RunInfo(ctx, "nobody")
}

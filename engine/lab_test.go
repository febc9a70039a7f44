package engine_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/memdir"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// lab is an engine on a SQLite file, in a bubble of fake time.
type lab struct {
	*testing.T
	store *sqlite.Store
	eng   *engine.Engine
	gate  *gate // between the two
	logs  *logbook
	stop  func() error // ends Run and closes the engine
}

// noCache evicts runs whenever they park, so that everything is replayed.
const noCache = -1

// inLab calls f in a bubble with an empty database.
func inLab(t *testing.T, f func(t *testing.T, l *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		st, err := sqlite.OpenWith(filepath.Join(memdir.TempDir(t), "lab.db"), sqlite.Options{Private: true})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = st.Close() }()
		l := &lab{T: t, store: st, logs: &logbook{}, stop: func() error { return nil }}
		defer func() { _ = l.stop() }()
		f(t, l)
	})
}

// run executes workflows with an engine, after it has stopped the one before.
func (l *lab) run(opts engine.Options, defs ...workflow.Definition) {
	l.Helper()
	if err := l.stop(); err != nil {
		l.Fatalf("stop the engine before: %v", err)
	}
	l.gate = &gate{Store: l.store}
	l.eng, l.stop = l.runOn(l.gate, opts, defs...)
}

// runOn executes workflows on a store beside what else is running.
func (l *lab) runOn(st store.Store, opts engine.Options, defs ...workflow.Definition) (eng *engine.Engine, stop func() error) {
	l.Helper()
	opts.Workflows = append(opts.Workflows, defs...)
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(l.logs, nil))
	}
	eng, err := engine.New(st, opts)
	if err != nil {
		l.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(l.Context()))
	done := make(chan error, 1)
	go func() { done <- eng.Run(ctx) }()
	synctest.Wait()
	return eng, sync.OnceValue(func() error {
		cancel()
		return errors.Join(<-done, eng.Close())
	})
}

// client returns an engine that executes nothing.
func (l *lab) client() *engine.Engine {
	l.Helper()
	e, err := engine.New(l.store, engine.Options{})
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = e.Close() })
	return e
}

// kill ends the engine as a crash does: nothing that it does from now on reaches the
// store, and its lease has to lapse.
func (l *lab) kill() {
	l.gate.set(func(g *gate) { g.dead = true })
	_ = l.stop() // all that it tries fails
	l.stop = func() error { return nil }
}

// freeze holds up what the worker asks of its store, until thaw.
func (l *lab) freeze() (thaw func()) {
	frozen := make(chan struct{})
	l.gate.set(func(g *gate) { g.frozen = frozen })
	return sync.OnceFunc(func() {
		l.gate.set(func(g *gate) { g.frozen = nil })
		close(frozen)
	})
}

// advance lets time pass, in the bubble.
func (l *lab) advance(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // fake time, the one place that moves it
	synctest.Wait()
}

// journal returns the events of a run, one word or two each.
func (l *lab) journal(runID string) []string {
	l.Helper()
	events, err := l.eng.Journal(l.Context(), runID, 0, 0)
	if err != nil {
		l.Fatal(err)
	}
	lines := make([]string, len(events))
	for i, e := range events {
		lines[i] = strings.TrimSpace(string(e.Kind) + " " + e.Ref)
	}
	return lines
}

func mustStart[In, Out any](l *lab, w *workflow.Workflow[In, Out], in In, opts ...workflow.StartOption) *workflow.Run[Out] {
	l.Helper()
	r, err := w.Start(l.Context(), l.eng, in, opts...)
	if err != nil {
		l.Fatal(err)
	}
	synctest.Wait()
	return r
}

func mustResult[Out any](l *lab, r *workflow.Run[Out]) Out {
	l.Helper()
	out, err := resultSoon(l, r)
	if err != nil {
		l.Fatalf("run failed: %v", err)
	}
	return out
}

func mustFail[Out any](l *lab, r *workflow.Run[Out]) error {
	l.Helper()
	out, err := resultSoon(l, r)
	if _, ok := errors.AsType[*workflow.RunError](err); !ok {
		l.Fatalf("result %v, error %v; want a *RunError", out, err)
	}
	return err
}

// resultSoon waits two years, no longer, for a result.
func resultSoon[Out any](l *lab, r *workflow.Run[Out]) (Out, error) {
	ctx, cancel := context.WithTimeout(l.Context(), 2*365*24*time.Hour)
	defer cancel()
	return r.Result(ctx)
}

func (l *lab) resume(token string, payload any, opts ...workflow.ResumeOption) workflow.HookInfo {
	l.Helper()
	info, err := workflow.Resume(l.Context(), l.eng, token, payload, opts...)
	if err != nil {
		l.Fatal(err)
	}
	synctest.Wait()
	return info
}

func wantStatus[Out any](l *lab, r *workflow.Run[Out], want workflow.Status) workflow.RunInfo {
	l.Helper()
	synctest.Wait()
	info, err := r.Info(l.Context())
	if err != nil {
		l.Fatal(err)
	}
	if info.Status != want {
		l.Fatalf("run is %s (%s), want %s", info.Status, info.Reason, want)
	}
	return info
}

func wantIs(l *lab, err, target error) {
	l.Helper()
	if !errors.Is(err, target) {
		l.Errorf("error is %v, want %v", err, target)
	}
}

func wantContains(l *lab, s string, parts ...string) {
	l.Helper()
	for _, part := range parts {
		if !strings.Contains(s, part) {
			l.Errorf("%q is not in:\n%s", part, s)
		}
	}
}

// logbook collects log lines.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logbook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logbook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logbook) count(text string) int { return strings.Count(b.String(), text) }

// gate stands between a worker and its store. Dead, it lets nothing pass; frozen, it
// holds everything up.
type gate struct {
	store.Store
	mu     sync.Mutex
	dead   bool
	frozen chan struct{}
	refuse error // of what goes through the mailbox

	refuseTelling   bool // more than commits do
	refuseListeners bool // the same for publications
}

var errKilled = errors.New("the process is dead")

func (g *gate) set(f func(*gate)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f(g)
}

func (g *gate) pass() error {
	g.mu.Lock()
	frozen := g.frozen
	g.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead {
		return errKilled
	}
	return nil
}

func (g *gate) Renew(ctx context.Context, lease store.Lease) error {
	if err := g.pass(); err != nil {
		return err
	}
	return g.Store.Renew(ctx, lease)
}

func (g *gate) Release(ctx context.Context, worker string) error {
	if err := g.pass(); err != nil {
		return err
	}
	return g.Store.Release(ctx, worker)
}

func (g *gate) Claim(ctx context.Context, c store.Claim) (store.Claimed, error) {
	if err := g.pass(); err != nil {
		return store.Claimed{}, err
	}
	return g.Store.Claim(ctx, c)
}

func (g *gate) Load(ctx context.Context, runID string, after int64) (store.Loaded, error) {
	if err := g.pass(); err != nil {
		return store.Loaded{}, err
	}
	return g.Store.Load(ctx, runID, after)
}

func (g *gate) Accept(ctx context.Context, p store.Payload) (store.Receipt, error) {
	g.mu.Lock()
	refuse := g.refuse
	g.mu.Unlock()
	if refuse != nil {
		return store.Receipt{}, refuse
	}
	return g.Store.Accept(ctx, p)
}

func (g *gate) Backlog(ctx context.Context, runID, hookID string, after int64, limit int) (payloads []store.Message, more bool, err error) {
	if err := g.pass(); err != nil {
		return nil, false, err
	}
	return g.Store.Backlog(ctx, runID, hookID, after, limit)
}

func (g *gate) TellListeners(ctx context.Context, atOnce int) (told int, more bool, err error) {
	g.mu.Lock()
	refuse := g.refuseListeners
	g.mu.Unlock()
	if err := g.pass(); err != nil || refuse {
		return 0, false, err
	}
	return g.Store.TellListeners(ctx, atOnce)
}

func (g *gate) TellEnds(ctx context.Context) (told int, more bool, err error) {
	g.mu.Lock()
	refuse := g.refuseTelling
	g.mu.Unlock()
	if err := g.pass(); err != nil || refuse {
		return 0, false, err
	}
	return g.Store.TellEnds(ctx)
}

func (g *gate) Apply(ctx context.Context, t *store.Transition) ([]store.Outcome, error) {
	if err := g.pass(); err != nil {
		return nil, err
	}
	return g.Store.Apply(ctx, t)
}

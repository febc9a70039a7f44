package workflowtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// Test calls f in a bubble of fake time, with an engine at work on an empty database.
//
// Of the options, PublicURL has a default here ("https://app.test"), AnswerKeys are made up, and what
// is logged goes to the test's output if there is no Logger. The engine ends with the test, without waiting for steps;
// runs that have not ended are not an error.
//
// If the test has not failed, all runs are replayed at its end, as after a crash. A run whose code
// then asks for something else than before, or returns something else, fails the test.
func Test(t *testing.T, opts engine.Options, f func(t *testing.T, eng *Engine)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, opts, nil)
		e.call(f)
		if !t.Failed() {
			e.replayAll()
		}
	})
}

// Engine executes the workflows of a test. It is a [workflow.Client]. Its own methods
// fail the test, at once, if what they are asked for can't be done: call them on the
// test's goroutine.
type Engine struct {
	workflow.Client // in the test's process, which does not crash

	t       *testing.T
	opts    engine.Options
	client  *engine.Engine
	store   *sqlite.Store
	mux     *http.ServeMux
	http    *http.Client
	crashes *crashes // nil: only where a step kills
	ended   sync.WaitGroup

	mu         sync.Mutex
	process    *process // the worker's
	closed     bool
	issued     map[string]bool    // IDs of runs
	records    map[string]*record // by run ID: of the last execution of its code
	steps      []*Step
	executions map[stepName]int
	perStep    map[string]int     // executions by step ID
	attempts   map[string]attempt // that are executing, by step ID
	told       map[string]bool    // runs that a failure has described
	changed    chan struct{}      // closed at each commit of the worker, and replaced

	commitCount atomic.Int64 // of the worker
	renewals    atomic.Int64 // of its lease
}

var _ workflow.Client = (*Engine)(nil)

// Run is what the methods of [Engine] take: a *workflow.Run of any type.
type Run interface{ ID() string }

func newEngine(t *testing.T, opts engine.Options, crashes *crashes) *Engine {
	t.Helper()
	setDefaults(&opts)
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	if opts.Build == "" {
		opts.Build = "workflowtest" // to find the real one takes reading the executable
	}
	opts.DrainTimeout = 1 // a test that is over waits for nothing
	e := &Engine{
		t: t, opts: opts, crashes: crashes,
		issued: map[string]bool{}, records: map[string]*record{}, executions: map[stepName]int{}, perStep: map[string]int{}, attempts: map[string]attempt{},
		changed: make(chan struct{}), told: map[string]bool{},
	}
	st, err := sqlite.OpenWith(filepath.Join(t.TempDir(), "test.db"), sqlite.Options{Private: true, Logger: opts.Logger})
	if err != nil {
		t.Fatalf("workflowtest: %v", err)
	}
	e.store = st
	t.Cleanup(func() { _ = st.Close() })
	if e.client, err = engine.New(&clientStore{Store: st, Archiver: st, e: e}, opts); err != nil {
		t.Fatalf("workflowtest: %v", err)
	}
	e.Client = e.client
	e.newHTTP()
	if err := e.begin(); err != nil {
		t.Fatalf("workflowtest: %v", err)
	}
	t.Cleanup(e.end)
	e.settle(context.WithoutCancel(t.Context()))
	return e
}

// setDefaults sets what workflow code needs of an engine, and a test has no reason to choose.
func setDefaults(opts *engine.Options) {
	if opts.PublicURL == "" {
		opts.PublicURL = "https://app.test"
	}
	if opts.AnswerKeys == nil {
		opts.AnswerKeys = []engine.AnswerKey{{ID: "test", Key: bytes.Repeat([]byte("test key"), 4)}}
	}
}

func (e *Engine) call(f func(t *testing.T, eng *Engine)) {
	defer func() {
		if e.t.Failed() {
			e.explain()
		}
	}()
	f(e.t, e)
}

// end is called when the test is over, before its database is closed.
func (e *Engine) end() {
	e.mu.Lock()
	e.closed = true
	p := e.process
	e.mu.Unlock()
	p.kill()
	e.ended.Wait()
	_ = e.client.Close()
}

// Engine returns the engine of the test's process, for code that wants one. It executes
// nothing, but for that it is as the one in production.
func (e *Engine) Engine() *engine.Engine { return e.client }

// Advance lets time pass, and returns when all runs have gone as far as they can.
func (e *Engine) Advance(d time.Duration) {
	sleep(e.t.Context(), d)
	e.settle(e.t.Context())
}

// settle returns when all runs have gone as far as they can now. In a bubble time passes
// only when all goroutines wait, so it is enough to let the least of it pass. Unlike
// synctest.Wait it may be called by several goroutines at once.
func (e *Engine) settle(ctx context.Context) { sleep(ctx, time.Nanosecond) }

// sleep lets fake time pass.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// StartRun implements [workflow.Client]. If no ID is asked for the run gets the next
// one, so that IDs are the same in each execution of the test.
func (e *Engine) StartRun(ctx context.Context, req workflow.StartRequest) (string, error) {
	if req.RunID == "" {
		req.RunID = e.nextID()
	}
	return e.Client.StartRun(ctx, req)
}

// nextID returns an ID that sorts as generated ones do, by time.
func (e *Engine) nextID() string {
	const base32 = "0123456789abcdefghjkmnpqrstvwxyz"
	var id [26]byte
	ms := uint64(time.Now().UnixMilli()) //nolint:gosec // the bubble's clock begins in 2000
	for i := 9; i >= 0; i-- {
		id[i] = base32[ms%32]
		ms /= 32
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(e.issued) + 1
	for i := 25; i >= 10; i-- {
		id[i] = base32[n%32]
		n /= 32
	}
	e.issued[string(id[:])] = true
	return string(id[:])
}

// withoutRandom replaces generated IDs that were drawn at random.
func (e *Engine) withoutRandom(runID string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return generatedID.ReplaceAllStringFunc(runID, func(id string) string {
		if e.issued[id] {
			return id
		}
		return "ID"
	})
}

var generatedID = regexp.MustCompile(`\b[0-9a-hjkmnp-tv-z]{26}\b`)

// secretOf replaces the secret of a run by one that is the same in each execution of the
// test.
func secretOf(runID string) []byte {
	sum := sha256.Sum256([]byte("secret of " + runID))
	return sum[:]
}

// commits returns a channel that is closed at the worker's next commit.
func (e *Engine) commits() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.changed
}

func (e *Engine) committed() {
	e.commitCount.Add(1)
	e.wake()
}

// wake has those who wait look again.
func (e *Engine) wake() {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.changed)
	e.changed = make(chan struct{})
}

const (
	forever     = 50 * 365 * 24 * time.Hour // longer than any test waits; the clock of a bubble ends in 2262
	maxRenewals = 4_000                     // of a lease by a worker that commits nothing, nearly four hours
)

// maxInstants is at how many something may be committed while one thing is waited for.
// Tests of this package have less patience.
var maxInstants = 10_000

// until lets time pass until done, and returns why that will never be.
func (e *Engine) until(ctx context.Context, done func() bool) error {
	instants, last := 0, time.Now()
	commits, renewals := e.commitCount.Load(), e.renewals.Load()
	for {
		e.settle(ctx)
		commit := e.commits()
		if done() {
			return nil
		}
		never := time.NewTimer(forever)
		select {
		case <-commit:
			never.Stop()
		case <-never.C:
			return errors.New("nothing will happen any more")
		case <-ctx.Done():
			never.Stop()
			return ctx.Err()
		}
		switch now := e.commitCount.Load(); {
		case now != commits:
			commits, renewals = now, e.renewals.Load()
		case e.renewals.Load()-renewals >= maxRenewals:
			return errors.New("nothing has happened for hours, though code executes")
		}
		if now := time.Now(); now.After(last) {
			last = now
			if instants++; instants > maxInstants {
				return errors.New("something happens all the time, and not what is waited for")
			}
		}
	}
}

// AwaitRun implements [workflow.Client]. It lets time pass, and fails if the run will
// never end.
func (e *Engine) AwaitRun(ctx context.Context, runID string) (workflow.RunResult, error) {
	if err := e.untilEnded(ctx, runID); err != nil {
		return workflow.RunResult{}, err
	}
	return e.Client.AwaitRun(ctx, runID)
}

// CallHook implements [workflow.Client]. It lets time pass, and fails if the run will never answer.
func (e *Engine) CallHook(ctx context.Context, req workflow.CallRequest) (workflow.CallAnswer, error) {
	return e.answered(ctx, func(ctx context.Context) (workflow.CallAnswer, error) { return e.Client.CallHook(ctx, req) })
}

// AwaitAnswer implements [workflow.Client]. It lets time pass, and fails if the run will never answer.
func (e *Engine) AwaitAnswer(ctx context.Context, req workflow.AnswerRequest) (workflow.CallAnswer, error) {
	return e.answered(ctx, func(ctx context.Context) (workflow.CallAnswer, error) { return e.Client.AwaitAnswer(ctx, req) })
}

// answered waits for the answer to a call.
func (e *Engine) answered(ctx context.Context, call func(context.Context) (workflow.CallAnswer, error)) (a workflow.CallAnswer, failed error) {
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer e.wake()
		defer close(done)
		a, failed = call(asking)
	}()
	never := e.until(ctx, func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
	cancel()
	<-done
	if u, ok := errors.AsType[*workflow.UnansweredError](failed); ok && never != nil && ctx.Err() == nil {
		return a, fmt.Errorf("run %s does not answer: %w\n%s", u.RunID, never, e.state(u.RunID))
	}
	return a, failed
}

func (e *Engine) untilEnded(ctx context.Context, runID string) error {
	var info workflow.RunInfo
	var failed error
	err := e.until(ctx, func() bool {
		info, failed = e.RunInfo(ctx, runID)
		return failed != nil || info.Status.Ended() || info.Status == workflow.StatusBlocked
	})
	switch {
	case failed != nil:
		return failed
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("await run %s: %w", runID, err)
	case err != nil:
		return fmt.Errorf("run %s does not end: %w\n%s", runID, err, e.state(runID))
	case info.Status == workflow.StatusBlocked:
		return fmt.Errorf("run %s does not end\n%s", runID, e.state(runID))
	}
	return nil
}

// Start starts a run. It is w.Start with the test's context, that fails the test.
func Start[In, Out any](eng *Engine, w *workflow.Workflow[In, Out], in In, opts ...workflow.StartOption) *workflow.Run[Out] {
	eng.t.Helper()
	run, err := w.Start(eng.t.Context(), eng, in, opts...)
	if err != nil {
		eng.t.Fatal(err)
	}
	return run
}

// Result lets time pass until the run has completed, and returns its result. The test
// fails if it ends in another way, or never will: then the failure tells what it waits
// for.
func Result[Out any](eng *Engine, run *workflow.Run[Out]) Out {
	eng.t.Helper()
	out, err := workflow.Get[Out](eng, run.ID()).Result(eng.t.Context())
	if err != nil {
		_ = eng.state(run.ID()) // the error says as much
	}
	if panicked, ok := errors.AsType[*workflow.PanicError](err); ok {
		eng.t.Fatalf("%v\n%s", err, panicked.Stack)
	}
	if err != nil {
		eng.t.Fatal(err)
	}
	return out
}

// Failure lets time pass until the run has failed or was canceled, and returns its
// error, a *workflow.RunError. The test fails if it completes, or never ends.
func (e *Engine) Failure(run Run) error {
	e.t.Helper()
	if err := e.untilEnded(e.t.Context(), run.ID()); err != nil {
		e.t.Fatal(err)
	}
	out, err := workflow.Get[any](e, run.ID()).Result(e.t.Context())
	if err == nil {
		e.t.Fatalf("run %s has completed with %v; it was to fail", run.ID(), out)
	}
	return err
}

// explain tells the reader of a failed test how the runs are that have not completed.
func (e *Engine) explain() {
	ctx := context.WithoutCancel(e.t.Context())
	runs, err := e.store.Runs(ctx, store.Filter{Limit: 10})
	if err != nil {
		return
	}
	var b strings.Builder
	for _, r := range runs {
		e.mu.Lock()
		told := e.told[r.ID]
		e.mu.Unlock()
		if r.Status != store.Completed && !told {
			fmt.Fprintf(&b, "\n%s", e.state(r.ID))
		}
	}
	e.mu.Lock()
	for _, s := range e.steps {
		if s.set() && s.count() == 0 {
			fmt.Fprintf(&b, "\nnote: step %s, of which the test asks something at %s, was not executed; executed were %s", s, s.at, e.executedSteps())
		}
	}
	e.mu.Unlock()
	if b.Len() > 0 {
		e.t.Logf("workflowtest: at the end of the test%s", strings.ReplaceAll(b.String(), "\n", "\n  "))
	}
}

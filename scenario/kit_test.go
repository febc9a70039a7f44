package scenario_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/memdir"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// lease is short, so that a crash moves the clock of a scenario by seconds only.
const lease = time.Second

// A variant is a way in which a scenario is played.
type variant struct {
	name    string
	cache   int    // engine.Options.CacheSize
	keyed   bool   // payloads have idempotency keys
	crashes []bool // after the write, or before it
}

var variants = []variant{
	{name: "cached", crashes: []bool{false, true}},
	{name: "keyed", keyed: true, crashes: []bool{true}},
	{name: "evicted", cache: -1, crashes: []bool{false}},
}

// A crash says at which of its writes the first engine dies: just before the write,
// or after it, before anybody hears of it. Zero: never.
type crash struct {
	write int
	after bool
}

// everywhere plays a scenario in all variants: undisturbed, and with a crash at every
// write.
func everywhere(t *testing.T, scene func(w *world)) {
	t.Helper()
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			t.Run("undisturbed", func(t *testing.T) { play(t, v, crash{}, scene) })
			for _, after := range v.crashes {
				for n, died := 1, true; died && !t.Failed(); n += stride() {
					name := fmt.Sprintf("crash before write %d", n)
					if after {
						name = fmt.Sprintf("crash after write %d", n)
					}
					t.Run(name, func(t *testing.T) { died = play(t, v, crash{n, after}, scene) })
				}
			}
		})
	}
}

// stride is how many writes lie between two crashes.
func stride() int {
	if testing.Short() {
		return 7
	}
	return 1
}

// undisturbed plays a scenario in all variants, without crashes.
func undisturbed(t *testing.T, scene func(w *world)) {
	t.Helper()
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			play(t, v, crash{}, scene)
		})
	}
}

// play plays a scenario once, and reports whether its first engine died.
func play(t *testing.T, v variant, c crash, scene func(w *world)) (died bool) {
	t.Helper()
	path := filepath.Join(memdir.TempDir(t), "scenario.db")
	if err := os.WriteFile(path, emptyDatabase(t), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		st, err := sqlite.OpenWith(path, sqlite.Options{Private: true, Readers: 1})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{variant: v, next: c, t: t, st: st}
		defer w.close()
		scene(w)
		w.finish()
		died = w.died
	})
	return died
}

var empty struct {
	sync.Mutex
	database []byte
}

// emptyDatabase returns the file of a database without runs: making one each time
// would take longer than most scenarios.
func emptyDatabase(t *testing.T) []byte {
	t.Helper()
	empty.Lock()
	defer empty.Unlock()
	if empty.database != nil {
		return empty.database
	}
	path := filepath.Join(memdir.TempDir(t), "empty.db")
	st, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if empty.database, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return empty.database
}

// A world is one database in a bubble, and the engine that is up on it.
type world struct {
	variant
	t    *testing.T
	st   *sqlite.Store
	opts engine.Options
	log  slog.LevelVar // of the engine; what a dead one has to say is of no interest
	next crash         // of the engine that is started next
	died bool          // an engine has, of its writes
	keys int

	// Of the engine that is up.

	eng    *engine.Engine // nil: none is
	mortal *mortal
	ran    chan struct{} // closed when Engine.Run has returned
}

// boot starts the scenario's engine.
func (w *world) boot(defs ...workflow.Definition) { w.bootWith(engine.Options{Workflows: defs}) }

func (w *world) bootWith(opts engine.Options) {
	w.t.Helper()
	opts.Lease = lease
	opts.CacheSize = w.cache
	opts.DrainTimeout = time.Millisecond
	opts.Build = "scenario"
	opts.Logger = slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: &w.log}))
	w.opts = opts
	w.up()
	w.idle()
}

// up starts an engine, that dies when it has been told to. If it ends before, the
// next one goes on counting.
func (w *world) up() {
	w.t.Helper()
	life, end := context.WithCancel(w.t.Context())
	w.log.Set(slog.LevelWarn)
	m := &mortal{Store: w.st, after: w.next.after, life: life, die: func() {
		w.log.Set(slog.LevelError + 1)
		end()
	}}
	m.left.Store(int64(w.next.write))
	eng, err := engine.New(m, w.opts)
	if err != nil {
		w.t.Fatal(err)
	}
	w.mortal, w.eng, w.ran = m, eng, make(chan struct{})
	ctx, ran := w.t.Context(), w.ran
	go func() {
		defer close(ran)
		if err := eng.Run(ctx); err != nil && !m.dead() {
			w.t.Errorf("the engine ended: %v", err)
		}
	}()
}

// down ends the engine, dead or alive.
func (w *world) down() {
	w.t.Helper()
	if w.eng == nil {
		return
	}
	if err := w.eng.Close(); err != nil {
		w.t.Error(err)
	}
	<-w.ran
	w.eng = nil
	w.died = w.died || w.mortal.struck.Load()
	w.next.write = max(0, int(w.mortal.left.Load()))
}

// crash kills the engine now: what it has not written is lost, and its lease stays.
func (w *world) crash() {
	w.t.Helper()
	w.mortal.die()
	w.down()
}

// revive starts the next engine, which gets the runs of the last one when its lease
// has lapsed.
func (w *world) revive() {
	w.t.Helper()
	w.down()
	w.next = crash{}
	w.up()
	w.advance(lease + time.Millisecond)
}

func (w *world) dead() bool { return w.mortal.dead() }

// idle returns when nothing moves any more: all runs are parked or have ended.
func (w *world) idle() {
	w.t.Helper()
	synctest.Wait()
	if w.dead() {
		w.revive()
	}
}

// advance lets time pass. An engine that dies meanwhile is followed by the next one.
func (w *world) advance(d time.Duration) {
	w.t.Helper()
	until := time.Now().Add(d)
	for {
		w.idle()
		left := time.NewTimer(time.Until(until))
		select {
		case <-w.mortal.life.Done():
			left.Stop()
		case <-left.C:
			w.idle()
			return
		}
	}
}

// do makes a client's call, and makes it again on the next engine if this one dies
// before the answer: as a caller does who never heard of it.
func do[T any](w *world, call func(ctx context.Context, c *engine.Engine) (T, error)) (T, error) {
	w.t.Helper()
	for {
		v, err := call(w.mortal.life, w.eng)
		if err == nil || !w.dead() {
			return v, err
		}
		w.idle()
	}
}

// start starts a run, or finds that it has been.
func start[In, Out any](w *world, wf *workflow.Workflow[In, Out], id string, in In) *workflow.Run[Out] {
	w.t.Helper()
	run, err := do(w, func(ctx context.Context, c *engine.Engine) (*workflow.Run[Out], error) {
		return wf.Start(ctx, c, in, workflow.RunID(id))
	})
	if err != nil && !errors.Is(err, workflow.ErrRunExists) {
		w.t.Fatal(err)
	}
	if run == nil {
		run = wf.Get(w.eng, id)
	}
	w.idle()
	return run
}

// result waits for a run's result, on whatever engine is up.
func result[Out any](w *world, run *workflow.Run[Out]) (Out, error) {
	w.t.Helper()
	return do(w, func(ctx context.Context, c *engine.Engine) (Out, error) {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
		defer cancel()
		return workflow.Get[Out](c, run.ID()).Result(ctx)
	})
}

// want waits for a run's result and compares it.
func want[Out comparable](w *world, run *workflow.Run[Out], out Out) {
	w.t.Helper()
	got, err := result(w, run)
	if err != nil {
		w.t.Fatalf("run %s: %v", run.ID(), err)
	}
	if got != out {
		w.t.Fatalf("run %s returned %v, want %v", run.ID(), got, out)
	}
}

// send sends a payload and fails if it is refused. A payload without a key whose
// answer is lost is looked for in the database before it is sent again; so all
// payloads of a scenario must differ.
func (w *world) send(token string, payload any, opts ...workflow.ResumeOption) workflow.HookInfo {
	w.t.Helper()
	info, err := w.resume(token, payload, opts...)
	if err != nil {
		w.t.Fatal(err)
	}
	return info
}

// resume is send for payloads that may be refused.
func (w *world) resume(token string, payload any, opts ...workflow.ResumeOption) (workflow.HookInfo, error) {
	w.t.Helper()
	if w.keyed {
		w.keys++
		opts = append(opts[:len(opts):len(opts)], workflow.IdempotencyKey(fmt.Sprintf("key-%d", w.keys)))
	}
	before := w.mortal
	return do(w, func(ctx context.Context, c *engine.Engine) (workflow.HookInfo, error) {
		if !w.keyed && w.mortal != before {
			if runID := w.holder(payload); runID != "" {
				return workflow.HookInfo{RunID: runID, Token: token}, nil
			}
		}
		return workflow.Resume(ctx, c, token, payload, opts...)
	})
}

// holder finds the run that has accepted a payload.
func (w *world) holder(payload any) (runID string) {
	w.t.Helper()
	data, err := json.Marshal(payload)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range runs(w.t, w.st) {
		events, err := w.st.Journal(w.t.Context(), r.ID, 0, 1000) // Load has the last generation only
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range events {
			if e.Kind == store.PayloadReceived && string(e.Data) == string(data) {
				return r.ID
			}
		}
		mail, err := w.st.Mailbox(w.t.Context(), r.ID, inspect.MaxMailbox) // Load has no backlogs
		if err != nil {
			w.t.Fatal(err)
		}
		for _, m := range mail {
			if m.Kind == store.PayloadReceived && string(m.Data) == string(data) {
				return r.ID
			}
		}
	}
	return ""
}

// token returns the token of the one hook that a run has open.
func (w *world) token(runID string) string {
	w.t.Helper()
	hooks, err := do(w, func(ctx context.Context, c *engine.Engine) ([]workflow.HookInfo, error) {
		return c.Hooks(ctx, inspect.HookFilter{RunID: runID})
	})
	if err != nil || len(hooks) != 1 {
		w.t.Fatalf("hooks of run %s: %v, %v; want one", runID, hooks, err)
	}
	return hooks[0].Token
}

// status checks what a run is doing.
func (w *world) status(runID string, want workflow.Status) {
	w.t.Helper()
	info, err := do(w, func(ctx context.Context, c *engine.Engine) (workflow.RunInfo, error) { return c.RunInfo(ctx, runID) })
	if err != nil {
		w.t.Fatal(err)
	}
	if info.Status != want {
		w.t.Fatalf("run %s is %s (%s), want %s", runID, info.Status, info.Reason, want)
	}
}

// finish ends the engine cleanly and checks what it leaves in the database.
func (w *world) finish() {
	w.t.Helper()
	w.idle()
	w.down()
	checkRuns(w.t, w.st, w.opts.Workflows)
}

// close ends all that is in the bubble, be the scenario in whatever state.
func (w *world) close() {
	if w.eng != nil {
		w.crash()
	}
	if err := w.st.Close(); err != nil {
		w.t.Error(err)
	}
}

var errDead = errors.New("this engine is dead")

// mortal is the store of an engine that dies: from then on nothing that the engine
// does reaches the database, and it hears no answer.
type mortal struct {
	store.Store
	left  atomic.Int64 // writes until it dies; 0 or less: it lives
	after bool
	life  context.Context //nolint:containedctx // ends when it dies
	die   func()

	struck atomic.Bool // it died of its writes
}

func (m *mortal) dead() bool { return m.life.Err() != nil }

// write does a write, if the engine lives to see it.
func write[T any](m *mortal, do func() (T, error)) (T, error) {
	last := m.left.Add(-1) == 0
	if last && !m.after {
		m.die()
	}
	v, err := read(m, do)
	if last {
		m.struck.Store(true)
		m.die()
	}
	if m.dead() {
		var zero T
		return zero, errDead
	}
	return v, err
}

// read does a read, if the engine lives.
func read[T any](m *mortal, do func() (T, error)) (T, error) {
	if m.dead() {
		var zero T
		return zero, errDead
	}
	return do()
}

func alone(err error) (struct{}, error) { return struct{}{}, err }

func (m *mortal) Start(ctx context.Context, r store.NewRun) error {
	_, err := write(m, func() (struct{}, error) { return alone(m.Store.Start(ctx, r)) })
	return err
}

func (m *mortal) Accept(ctx context.Context, p store.Payload) (store.Receipt, error) {
	return write(m, func() (store.Receipt, error) { return m.Store.Accept(ctx, p) })
}

func (m *mortal) Publish(ctx context.Context, p store.Publication) (store.Published, error) {
	return write(m, func() (store.Published, error) { return m.Store.Publish(ctx, p) })
}

func (m *mortal) TellListeners(ctx context.Context, atOnce int) (told int, more bool, err error) {
	_, err = write(m, func() (struct{}, error) {
		told, more, err = m.Store.TellListeners(ctx, atOnce)
		return alone(err)
	})
	return told, more, err
}

func (m *mortal) Send(ctx context.Context, msg store.Message) error {
	_, err := write(m, func() (struct{}, error) { return alone(m.Store.Send(ctx, msg)) })
	return err
}

func (m *mortal) Renew(ctx context.Context, l store.Lease) error {
	_, err := write(m, func() (struct{}, error) { return alone(m.Store.Renew(ctx, l)) })
	return err
}

func (m *mortal) Release(ctx context.Context, worker string) error {
	_, err := write(m, func() (struct{}, error) { return alone(m.Store.Release(ctx, worker)) })
	return err
}

func (m *mortal) Claim(ctx context.Context, c store.Claim) (store.Claimed, error) {
	return write(m, func() (store.Claimed, error) { return m.Store.Claim(ctx, c) })
}

func (m *mortal) Apply(ctx context.Context, t *store.Transition) ([]store.Outcome, error) {
	return write(m, func() ([]store.Outcome, error) { return m.Store.Apply(ctx, t) })
}

func (m *mortal) Deposit(ctx context.Context, d store.Deposit) error {
	_, err := write(m, func() (struct{}, error) { return alone(m.Store.Deposit(ctx, d)) })
	return err
}

func (m *mortal) Pause(ctx context.Context, runID string, p store.Pause) error {
	_, err := write(m, func() (struct{}, error) { return alone(m.Store.Pause(ctx, runID, p)) })
	return err
}

func (m *mortal) Resume(ctx context.Context, runID, actor string) error {
	_, err := write(m, func() (struct{}, error) { return alone(m.Store.Resume(ctx, runID, actor)) })
	return err
}

func (m *mortal) Fork(ctx context.Context, f store.Fork) (store.Hook, error) {
	return write(m, func() (store.Hook, error) { return m.Store.Fork(ctx, f) })
}

func (m *mortal) Load(ctx context.Context, runID string, after int64) (store.Loaded, error) {
	return read(m, func() (store.Loaded, error) { return m.Store.Load(ctx, runID, after) })
}

func (m *mortal) Backlog(ctx context.Context, runID, hookID string, after int64, limit int) (payloads []store.Message, more bool, err error) {
	payloads, err = read(m, func() (payloads []store.Message, err error) {
		payloads, more, err = m.Store.Backlog(ctx, runID, hookID, after, limit)
		return payloads, err
	})
	return payloads, more, err
}

func (m *mortal) Run(ctx context.Context, runID string) (store.Run, error) {
	return read(m, func() (store.Run, error) { return m.Store.Run(ctx, runID) })
}

func (m *mortal) Hook(ctx context.Context, token string) (store.Hook, error) {
	return read(m, func() (store.Hook, error) { return m.Store.Hook(ctx, token) })
}

func (m *mortal) Hooks(ctx context.Context, f store.HookFilter) ([]store.Hook, error) {
	return read(m, func() ([]store.Hook, error) { return m.Store.Hooks(ctx, f) })
}

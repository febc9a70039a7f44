package engine_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// world is all that there is in one case: a database, the nodes on it, and what the
// test knows to be true.
type world struct {
	lag      time.Duration // of the store's signals
	shared   atomic.Bool   // operations may be late
	programs []program
	db       *sqlite.Store
	workflow *workflow.Workflow[input, []entry]
	def      workflow.Definition
	nodes    []*node
	client   *node // executes nothing
	all      []*node

	mu         sync.Mutex
	problems   []string
	envs       map[string]*env      // the last execution of each run
	commits    map[commit]time.Time // of events
	ended      map[string]time.Time // runs
	retried    map[string]bool      // runs
	fixed      map[string]bool      // runs whose steps work now
	executions int
	results    map[string]string // of attempts, and the step they are of
	starts     []startCall
	sends      []sendCall
	tick       int
}

// node is an engine with its own view of the store.
type node struct {
	store  *faultyStore
	engine *engine.Engine
	stop   context.CancelFunc
	done   chan struct{}
}

// sendRequest is a payload to be sent.
type sendRequest struct {
	token   string
	key     string
	bad     bool
	orStart bool
	program int
}

// sendCall is a payload that was sent, and what came of it.
type sendCall struct {
	sendRequest
	n          int // number of the payload
	begin, end int // in ticks
	at, done   time.Time
	info       workflow.HookInfo
	err        error
}

// startCall is a run that was asked for.
type startCall struct {
	id         string
	begin, end int
	err        error
}

func newWorld(path string, s scenario) (*world, error) {
	db, err := sqlite.OpenWith(path, sqlite.Options{Private: true, Logger: slog.New(slog.DiscardHandler), Readers: 1})
	if err != nil {
		return nil, err
	}
	w := &world{
		lag:      s.lag,
		programs: s.programs,
		db:       db,
		workflow: workflow.Declare[input, []entry]("p"),
		envs:     map[string]*env{},
		commits:  map[commit]time.Time{},
		ended:    map[string]time.Time{},
		retried:  map[string]bool{},
		fixed:    map[string]bool{},
		results:  map[string]string{},
	}
	w.def = w.workflow.Implement(w.main)
	w.shared.Store(s.late)
	if w.client, err = w.newNode(); err != nil {
		return nil, err
	}
	return w, w.join()
}

func (w *world) newNode(defs ...workflow.Definition) (*node, error) {
	n := &node{store: &faultyStore{Store: w.db, w: w}, stop: func() {}, done: make(chan struct{})}
	var err error
	n.engine, err = engine.New(n.store, engine.Options{
		Workflows:    defs,
		Logger:       slog.New(slog.DiscardHandler),
		DrainTimeout: time.Second,
		Build:        "model",
	})
	w.note(func() { w.all = append(w.all, n) })
	return n, err
}

// join adds a node that executes runs.
func (w *world) join() error {
	n, err := w.newNode(w.def)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	go func() {
		defer close(n.done)
		for ctx.Err() == nil && n.engine.Run(ctx) != nil {
			advance(time.Second) // the store fails
		}
	}()
	w.nodes = append(w.nodes, n)
	return nil
}

// advance lets time pass.
func advance(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // in a synctest bubble, nothing else moves the clock
}

// close ends a node, in the background if it can't end at once.
func (n *node) close() {
	n.stop()
	_ = n.engine.Close()
}

func (w *world) nodeOf(e *engine.Engine) *node {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all[slices.IndexFunc(w.all, func(n *node) bool { return n.engine == e })]
}

// pick returns a node: a worker, or the client.
func (w *world) pick(i int) *node {
	if i < len(w.nodes) {
		return w.nodes[i]
	}
	return w.client
}

func (w *world) now() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tick++
	return w.tick
}

// patience bounds the calls of the outside world.
const patience = 2 * time.Minute

func (w *world) do(a action) error {
	ctx, done := context.WithTimeout(context.Background(), patience)
	defer done()
	n := w.pick(a.node)
	switch a.do {
	case start:
		c := startCall{id: a.run, begin: w.now()}
		_, c.err = w.workflow.Start(ctx, n.engine, input{a.program}, workflow.RunID(a.run))
		c.end = w.now()
		w.note(func() { w.starts = append(w.starts, c) })
	case send:
		token := a.token
		if token == "" {
			if token = w.openHook(a.target); token == "" {
				return nil
			}
		}
		w.send(ctx, n.engine, sendRequest{token, a.key, a.bad, a.flag, a.program})
	case cancel, wake, terminate, retry:
		if id := w.runID(a.target); id != "" {
			w.command(ctx, n.engine, a.do, id)
		}
	case pass:
		advance(a.d)
	case crash, leave:
		if len(w.nodes) > 0 {
			w.drop(w.nodes[a.node%len(w.nodes)], a.do)
		}
		if !a.flag {
			return w.join()
		}
	case join:
		if len(w.nodes) < 2 {
			return w.join()
		}
	case evict:
		n.engine.Evict()
	case cut:
		s := n.store
		s.mu.Lock()
		s.cutTo = time.Now().Add(a.d)
		s.mu.Unlock()
	case fail:
		s := n.store
		s.mu.Lock()
		s.faults = append(s.faults, a.faults...)
		s.mu.Unlock()
	}
	return nil
}

// drop ends a node, without waiting for it.
func (w *world) drop(n *node, how deed) {
	w.nodes = slices.DeleteFunc(w.nodes, func(o *node) bool { return o == n })
	if how == crash {
		n.store.crash()
	}
	go n.close()
}

func (w *world) command(ctx context.Context, e *engine.Engine, do deed, id string) {
	switch do {
	case cancel:
		_ = e.CancelRun(ctx, id)
	case wake:
		_ = e.WakeRun(ctx, id)
	case terminate:
		_ = e.TerminateRun(ctx, id, "")
	case retry:
		w.note(func() { w.fixed[id] = true })
		_ = e.RetryRun(ctx, id)
	case start, send, pass, crash, leave, evict, join, cut, fail:
	}
}

// runs lists all runs by ID.
func (w *world) runs() []string {
	all, err := w.db.Runs(context.Background(), store.Filter{Limit: 1000})
	if err != nil {
		w.note(func() { w.problem("list runs: %v", err) })
	}
	ids := make([]string, len(all))
	for i := range all {
		ids[i] = all[i].ID
	}
	slices.Sort(ids)
	return ids
}

func (w *world) runID(i int) string {
	ids := w.runs()
	if len(ids) == 0 {
		return ""
	}
	return ids[i%len(ids)]
}

func (w *world) openHooks() []store.Hook {
	hooks, err := w.db.Hooks(context.Background(), store.HookFilter{Limit: 1000})
	if err != nil {
		w.note(func() { w.problem("list hooks: %v", err) })
	}
	slices.SortFunc(hooks, func(a, b store.Hook) int {
		return cmp.Or(cmp.Compare(a.RunID, b.RunID), cmp.Compare(a.ID, b.ID))
	})
	return hooks
}

// openHook returns the token of an open hook, or nothing.
func (w *world) openHook(i int) string {
	hooks := w.openHooks()
	if len(hooks) == 0 {
		return ""
	}
	return hooks[i%len(hooks)].Token
}

// send sends a payload and remembers what came of it.
func (w *world) send(ctx context.Context, e *engine.Engine, r sendRequest) {
	c := sendCall{sendRequest: r, begin: w.now(), at: time.Now()}
	c.n = c.begin
	opts := []workflow.ResumeOption{workflow.IdempotencyKey(r.key)}
	if r.orStart {
		id := workflow.RunID(fmt.Sprintf("s%d", c.n))
		opts = append(opts, workflow.OrStart(w.workflow, input{r.program}, id))
	}
	before, _ := w.db.Hook(ctx, r.token)
	c.info, c.err = e.Resume(ctx, r.token, payload{N: c.n, Bad: r.bad}, opts...)
	c.end, c.done = w.now(), time.Now()
	after, _ := w.db.Hook(context.Background(), r.token)
	w.note(func() {
		w.sends = append(w.sends, c)
		if errors.Is(c.err, workflow.ErrHookNotFound) && before.ID != "" && before.ID == after.ID {
			w.problem("payload %d for token %q was refused, and hook %s has it", c.n, r.token, after.ID)
		}
	})
}

// begins checks that what decided a step is durable before it begins.
func (w *world) begins(n *node, info workflow.Info) {
	if n.store.crashed() {
		return
	}
	l, err := w.db.Load(context.Background(), info.RunID, 0)
	ref := strings.TrimPrefix(info.StepID, info.RunID+"/")
	asked := slices.ContainsFunc(l.Events, func(e store.Event) bool {
		return slices.Contains(strings.Split(e.Asked, "\n"), "step "+ref)
	})
	if err != nil || !asked {
		w.note(func() {
			if !w.retried[info.RunID] {
				w.problem("step %s began before it was decided (%v)", info.StepID, err)
			}
		})
	}
}

// settle lets everything come to its end: no faults any more, a healthy worker, and
// more time than all programs together can sleep.
func (w *world) settle() error {
	for _, n := range w.all {
		n.store.heal()
	}
	if len(w.nodes) == 0 {
		if err := w.join(); err != nil {
			return err
		}
	}
	if w.shared.Load() {
		advance(time.Duration(latest) + 2*time.Minute) // all that was late has come, and been found
		w.shared.Store(false)                          // and nobody has to look for it any more
	}
	// A run that is at work for ever renews the lease for ever: find that out first.
	advance(2 * 24 * time.Hour)
	synctest.Wait()
	for _, id := range w.runs() {
		r, err := w.db.Run(context.Background(), id)
		if err != nil {
			return err
		}
		if r.Worker != "" {
			return fmt.Errorf("run %s is at work after two days: %s, %d events", id, r.Status, r.Events)
		}
	}
	advance(28 * 24 * time.Hour)
	synctest.Wait()
	return nil
}

// close ends all nodes and the database.
func (w *world) close() error {
	for _, n := range w.all {
		n.close()
	}
	for _, n := range w.nodes {
		<-n.done
	}
	synctest.Wait()
	return w.db.Close()
}

package engine_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sqlitedriver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// world is all that there is in one simulation: a database, the nodes on it, and what
// is known to be true.
type world struct {
	scenario
	turns    *turns
	begun    time.Time
	db       *sqlite.Store
	app      *sqlitex.Pool // the application's connections to the file, if it has any
	workflow *workflow.Workflow[input, []entry]
	asked    *workflow.Workflow[input, []entry] // the same, started by requests
	client   *node                              // executes nothing
	calls    atomic.Int64                       // of the outside world, that have not returned
	called   int                                // how many there have been

	mu        sync.Mutex
	nodes     []*node // that execute runs
	build     int     // of the code of nodes that join
	joined    []*node // all that have executed runs with that build
	all       []*node
	trace     []string
	problems  []string
	envs      map[string]*env      // the last execution of each run
	commits   map[commit]time.Time // of events
	builds    map[commit]int       // that have written events
	epochs    map[string][]since   // of runs
	claimed   map[string]bool      // hooks
	tokenOf   map[string]string    // of hooks, as the code has seen them
	patches   map[runPatch]bool    // whether runs took them, as steps have seen it
	ended     map[string]time.Time // runs
	retried   map[string]bool      // runs
	fixed     map[string]bool      // runs whose steps work now
	attempts  map[string]int       // of steps, that have come to their end
	results   map[string]string    // of attempts, and the step they are of
	expired   bool                 // a lease was taken for lapsed that had not
	forking   bool                 // runs are forked, see forks
	pauses    pauses
	knocks    map[int]bool // numbers of requests that start runs
	links     []sentLink
	answers   []answerCall
	revoked   []revokeCall
	starts    []startCall
	publishes []publishCall
	published []published
	listeners map[string]*listening // by their hooks
	sends     []sendCall
	commands  []commandCall
	numbers   int
	tick      int
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
	n       int // its number
	token   string
	key     string
	bad     bool
	orStart bool
	program int
}

// sendCall is a payload that was sent, and what came of it.
type sendCall struct {
	sendRequest
	begin, end int // in ticks
	at, done   time.Time
	info       workflow.HookInfo
	err        error
	request    bool // to a webhook
	manual     bool // that is answered by the run
	answer     workflow.Response
	asked      bool // a call
	reply      workflow.CallAnswer
}

// startCall is a run that was asked for.
type startCall struct {
	id         string
	begin, end int
	err        error
}

// commandCall is what somebody asked of a run.
type commandCall struct {
	do   deed
	id   string
	by   string
	done time.Time
	err  error
}

// publicURL is where the world's webhooks are, and keyHeader what identifies requests.
const (
	publicURL = "https://simulated.test"
	keyHeader = "Webhook-Id"
)

func newWorld(path string, s scenario) (*world, error) {
	db, err := sqlite.OpenWith(path, sqlite.Options{Private: !s.tx, Logger: slog.New(slog.DiscardHandler), Readers: 1})
	if err != nil {
		return nil, err
	}
	w := &world{
		scenario:  s,
		turns:     newTurns(s.seed),
		begun:     time.Now(),
		db:        db,
		workflow:  workflow.Declare[input, []entry]("p"),
		asked:     workflow.Declare[input, []entry]("q"),
		knocks:    map[int]bool{},
		envs:      map[string]*env{},
		commits:   map[commit]time.Time{},
		builds:    map[commit]int{},
		epochs:    map[string][]since{},
		claimed:   map[string]bool{},
		tokenOf:   map[string]string{},
		patches:   map[runPatch]bool{},
		ended:     map[string]time.Time{},
		retried:   map[string]bool{},
		fixed:     map[string]bool{},
		attempts:  map[string]int{},
		results:   map[string]string{},
		pauses:    newPauses(),
		listeners: map[string]*listening{},
	}
	if s.tx {
		if err := w.openApp(path); err != nil {
			return nil, err
		}
	}
	if w.client, err = w.newNode(false); err != nil {
		return nil, err
	}
	for range max(s.begin, 1) {
		if err := w.join(); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *world) newNode(executes bool) (*node, error) {
	w.mu.Lock()
	build := w.build
	n := &node{store: &faultyStore{Store: w.db, w: w, node: len(w.all), build: build}, stop: func() {}, done: make(chan struct{})}
	w.all = append(w.all, n)
	w.mu.Unlock()
	var defs []workflow.Definition
	if executes {
		fn := func(ctx workflow.Context, in input) ([]entry, error) { return w.main(ctx, in, build) }
		defs = append(defs, w.workflow.Implement(fn), w.asked.Implement(fn, workflow.StartedByRequest()))
	}
	var err error
	n.engine, err = engine.New(n.store, engine.Options{
		Workflows:     defs,
		Hooks:         []workflow.HookDefinition{typed, heard},
		PublicURL:     publicURL,
		AnswerKeys:    answerKeys,
		Logger:        slog.New(slog.DiscardHandler),
		DrainTimeout:  time.Second,
		CacheSize:     w.cache,
		PublishAtOnce: w.atOnce,
		Build:         fmt.Sprint("build ", build),
	})
	return n, err
}

// join adds a node that executes runs.
func (w *world) join() error {
	n, err := w.newNode(true)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	stale := false
	w.note(func() {
		if stale = n.store.build != w.build; !stale {
			w.nodes, w.joined = append(w.nodes, n), append(w.joined, n)
		}
	})
	if stale { // the next build was deployed meanwhile
		close(n.done)
		n.close()
		return w.join()
	}
	go func() {
		defer close(n.done)
		for ctx.Err() == nil && n.engine.Run(ctx) != nil {
			advance(time.Second) // the store fails
		}
	}()
	return nil
}

// deploy has nodes with the next build take the place of all others, which have ended before:
// workers that know a patch and such that do not must not execute the same runs at a time.
func (w *world) deploy(kill bool) error {
	nodes := max(w.workers(), 1)
	for deployed := false; !deployed; {
		var old []*node
		w.note(func() {
			old, w.nodes, w.joined = w.joined, nil, nil
			if deployed = len(old) == 0; deployed { // who died may have joined meanwhile
				w.build++
			}
		})
		for _, n := range old {
			if kill {
				n.store.crash()
				go n.close()
			} else if !n.store.crashed() {
				n.close()
				<-n.done
			}
		}
	}
	for range nodes {
		if err := w.join(); err != nil {
			return err
		}
	}
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
	w.mu.Lock()
	defer w.mu.Unlock()
	if i < maxNodes && len(w.nodes) > 0 {
		return w.nodes[i%len(w.nodes)]
	}
	return w.client
}

func (w *world) workers() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.nodes)
}

func (w *world) now() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tick++
	return w.tick
}

// number returns the number of the next payload.
func (w *world) number() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.numbers++
	return w.numbers
}

// tell adds a line to the trace: what has happened, and when.
func (w *world) tell(format string, args ...any) {
	line := fmt.Sprintf("%12v  ", time.Since(w.begun)) + fmt.Sprintf(format, args...)
	w.note(func() { w.trace = append(w.trace, line) })
}

// patience bounds the calls of the outside world.
const patience = 2 * time.Minute

// do has an action happen. Calls go on in the background.
func (w *world) do(a action) error {
	w.tell("%v", a)
	n := w.pick(a.node)
	switch a.do {
	case start, send, request, knock, inquire, announce, reply, takeBack, cancel, wake, terminate, retry, pause, proceed, pauseAll, proceedAll:
		w.call(n, a)
	case pass:
		advance(a.d)
		w.turns.take("time has passed")
	case crash, leave:
		if w.workers() > 0 {
			w.drop(w.pick(a.node%w.workers()), a.do)
		}
		if !a.flag {
			return w.join()
		}
	case join:
		if w.workers() == 0 || w.shared && w.workers() < maxNodes {
			return w.join()
		}
	case deploy:
		return w.deploy(a.flag)
	case evict:
		n.engine.Evict()
	case cut:
		s := n.store
		s.mu.Lock()
		s.cutTo = time.Now().Add(a.d)
		s.mu.Unlock()
	case freeze:
		n.store.freeze(a.d)
	case expire:
		if worker, _ := n.store.leased(); worker != "" {
			w.note(func() { w.expired = true })
			_ = w.db.Release(context.Background(), worker)
		}
	case fail:
		s := n.store
		s.mu.Lock()
		s.faults = append(s.faults, a.faults...)
		s.mu.Unlock()
	}
	return nil
}

// call begins a call of the outside world.
func (w *world) call(n *node, a action) {
	f := func(context.Context) {}
	switch a.do {
	case start:
		f = func(ctx context.Context) { w.start(ctx, n.engine, a) }
	case send:
		token := a.token
		if token == "" {
			token = w.openHook(a.target, isPlain)
		}
		if token != "" {
			r := sendRequest{w.number(), token, a.key, a.bad, a.flag, a.program}
			f = func(ctx context.Context) { w.send(ctx, n.engine, r) }
		}
	case request:
		if token := w.openHook(a.target, isWeb); token != "" {
			r := sendRequest{n: w.number(), token: token, key: a.key}
			f = func(ctx context.Context) { w.request(ctx, n.engine, r) }
		}
	case knock:
		r := sendRequest{n: w.number(), token: a.token, key: a.key, orStart: true, program: a.program}
		w.note(func() { w.knocks[r.n] = true })
		f = func(ctx context.Context) { w.knock(ctx, n.engine, r, a.flag) }
	case reply, takeBack:
		if k, ok := w.sentLink(a.target); ok && a.do == reply {
			r := sendRequest{n: w.number(), bad: a.bad}
			f = func(ctx context.Context) { w.reply(ctx, n.engine, k, r) }
		} else if ok {
			f = func(ctx context.Context) { w.takeBack(ctx, n.engine, k) }
		}
	case inquire:
		if token := w.openHook(a.target, isCall); token != "" {
			r := sendRequest{n: w.number(), token: token, key: a.key, bad: a.bad}
			f = func(ctx context.Context) { w.inquire(ctx, n.engine, r) }
		}
	case announce:
		p := publication{w.number(), subjects[a.target], a.key}
		f = func(ctx context.Context) { w.publish(ctx, n.engine, p) }
	case pauseAll, proceedAll:
		f = func(ctx context.Context) { w.command(ctx, n.engine, a.do, "") }
	default:
		if id := w.runID(a.target); id != "" {
			f = func(ctx context.Context) { w.command(ctx, n.engine, a.do, id) }
		}
	}
	w.calls.Add(1)
	w.called++
	ctx := context.WithValue(context.Background(), callKey{}, w.called)
	go func() {
		defer w.calls.Add(-1)
		ctx, done := context.WithTimeout(ctx, patience)
		defer done()
		f(ctx)
	}()
}

// drop ends a node, without waiting for it.
func (w *world) drop(n *node, how deed) {
	w.note(func() { w.nodes = slices.DeleteFunc(w.nodes, func(o *node) bool { return o == n }) })
	if how == crash {
		n.store.crash()
	}
	go n.close()
}

// dies has the process of a node die in the middle of an operation. A new one begins
// soon.
func (w *world) dies(s *faultyStore) {
	s.crash()
	w.mu.Lock()
	i := slices.IndexFunc(w.nodes, func(n *node) bool { return n.store == s })
	var n *node
	if i >= 0 {
		n = w.nodes[i]
	}
	w.mu.Unlock()
	if n == nil {
		s.mu.Lock()
		s.dead = s != w.client.store // that one is started again at once
		s.mu.Unlock()
		return
	}
	w.drop(n, crash)
	go func() {
		advance(time.Second)
		if err := w.join(); err != nil {
			w.note(func() { w.problem("join: %v", err) })
		}
	}()
}

func (w *world) start(ctx context.Context, e *engine.Engine, a action) {
	c := startCall{id: a.run, begin: w.now()}
	_, c.err = w.workflow.Start(by(ctx, starter(a.run)), e, input{Program: a.program}, workflow.RunID(a.run))
	c.end = w.now()
	w.started(&c)
	w.failed(ctx, "start of "+c.id, c.err)
	w.note(func() { w.starts = append(w.starts, c) })
	if c.err == nil {
		ctx, cancel := context.WithTimeout(ctx, awaitFor)
		defer cancel()
		_, err := w.workflow.Get(e, c.id).Result(ctx)
		w.awaited(c.id, err)
	}
}

// starter and senderOf are who starts a run, and who sends a payload.
func starter(runID string) string { return "starter of " + runID }
func senderOf(n int) string       { return fmt.Sprint("sender of ", n) }

// awaitFor is how long whoever starts a run waits for its result.
const awaitFor = time.Minute

func (w *world) command(ctx context.Context, e *engine.Engine, do deed, id string) {
	c := commandCall{do: do, id: id, by: fmt.Sprintf("%s %d", do, w.now())}
	ctx = by(ctx, c.by)
	switch do {
	case cancel:
		c.err = e.CancelRun(ctx, id)
	case wake:
		c.err = e.WakeRun(ctx, id)
	case terminate:
		c.err = e.TerminateRun(ctx, id, "")
		w.terminated(&c)
	case retry:
		w.note(func() { w.fixed[id] = true })
		c.err = e.RetryRun(ctx, id)
	case pause:
		c.err = e.PauseRun(ctx, id, workflow.PauseRequest{})
	case proceed:
		c.err = e.ResumeRun(ctx, id)
	case pauseAll:
		c.err = e.PauseWorkflow(ctx, w.workflow.Name(), workflow.PauseRequest{})
	case proceedAll:
		c.err = e.ResumeWorkflow(ctx, w.workflow.Name())
	default:
	}
	c.done = time.Now()
	w.failed(ctx, fmt.Sprintf("%s of %s", do, id), c.err)
	w.note(func() { w.commands = append(w.commands, c) })
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

// Kinds of hooks.
func isPlain(h store.Hook) bool { return h.Webhook == nil }
func isWeb(h store.Hook) bool   { return h.Webhook != nil && !isCall(h) }
func isCall(h store.Hook) bool  { return run.IsCall(h.Webhook) }

// openHook returns the token of an open hook of a kind, or nothing.
func (w *world) openHook(i int, is func(store.Hook) bool) string {
	hooks := slices.DeleteFunc(w.openHooks(), func(h store.Hook) bool { return !is(h) })
	if len(hooks) == 0 {
		return ""
	}
	return hooks[i%len(hooks)].Token
}

// send sends a payload and remembers what came of it.
func (w *world) send(ctx context.Context, e *engine.Engine, r sendRequest) {
	c := sendCall{sendRequest: r, begin: w.now(), at: time.Now()}
	var opts []workflow.ResumeOption
	if r.key != "" {
		opts = append(opts, workflow.IdempotencyKey(r.key))
	}
	if r.orStart {
		id := workflow.RunID(fmt.Sprintf("s%d", c.n))
		opts = append(opts, workflow.OrStart(w.workflow, input{Program: r.program}, id))
	}
	before, _ := w.db.Hook(ctx, r.token)
	c.info, c.err = workflow.Resume(by(ctx, senderOf(c.n)), e, r.token, payload{N: c.n, Bad: r.bad}, opts...)
	c.end, c.done = w.now(), time.Now()
	after, _ := w.db.Hook(context.Background(), r.token)
	w.resumed(&c, &before, &after)
	w.failed(ctx, fmt.Sprintf("payload %d", c.n), c.err)
	w.note(func() { w.sends = append(w.sends, c) })
}

// request sends a request to a webhook, as a server does.
func (w *world) request(ctx context.Context, e *engine.Engine, r sendRequest) {
	c := sendCall{sendRequest: r, begin: w.now(), at: time.Now(), request: true}
	h, err := e.Webhook(ctx, r.token)
	if err == nil {
		c.manual = h.Manual()
		c.info.ID = h.HookID()
		c.info.RunID, _, _ = strings.Cut(c.info.ID, ".h")
		c.answer, err = h.Deliver(by(ctx, senderOf(c.n)), httpRequest(&r))
	}
	c.err, c.end, c.done = err, w.now(), time.Now()
	w.failed(ctx, fmt.Sprintf("request %d", c.n), c.err)
	w.note(func() { w.sends = append(w.sends, c) })
}

// knock sends a request that starts a run if no webhook has the token, as a server does.
func (w *world) knock(ctx context.Context, e *engine.Engine, r sendRequest, manual bool) {
	c := sendCall{sendRequest: r, begin: w.now(), at: time.Now(), request: true}
	opts := []workflow.WebhookOption{workflow.DedupeHeader(keyHeader)}
	if manual {
		opts = append(opts, workflow.RespondManually())
	}
	first, err := e.NewFirstRequest(w.asked.Name(), func(_ string, q *workflow.Request) (workflow.StartRequest, error) {
		in, err := json.Marshal(input{Program: r.program})
		return workflow.StartRequest{Workflow: w.asked.Name(), RunID: fmt.Sprintf("s%d", number(q.Body)), Input: in}, err
	}, opts...)
	var h *engine.Webhook
	if err == nil {
		h, err = first.Webhook(ctx, r.token)
	}
	if err == nil {
		c.answer, err = h.Deliver(by(ctx, senderOf(c.n)), httpRequest(&r))
	}
	c.err, c.end, c.done = err, w.now(), time.Now()
	w.failed(ctx, fmt.Sprintf("request %d", c.n), c.err)
	w.note(func() { w.sends = append(w.sends, c) })
}

// byRequest reports whether a run was started by a request.
func (w *world) byRequest(id string) bool {
	var n int
	_, _ = fmt.Sscanf(id, "s%d", &n)
	return id == fmt.Sprintf("s%d", n) && w.knocked(n) // and not a child
}

// knocked reports whether a payload is a request that may start a run.
func (w *world) knocked(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.knocks[n]
}

// httpRequest is the request with a payload.
func httpRequest(r *sendRequest) *workflow.Request {
	q := &workflow.Request{
		Method: http.MethodPost, URL: &url.URL{Path: "/hook", RawQuery: fmt.Sprintf("n=%d", r.n)}, Host: "simulated.test",
		Header: http.Header{"X-Values": {"one", "two"}}, Body: fmt.Appendf(nil, `{"N":%d}`, r.n),
	}
	if r.key != "" {
		q.Header.Set(keyHeader, r.key)
	}
	return q
}

// Transact is the transaction of a step: the world is a workflow.Transactor.
func (w *world) Transact(ctx context.Context, fn func(c *sqlitedriver.Conn, joined any) error) error {
	if w.app == nil {
		return errors.New("there is no application")
	}
	pool := sqlite.Pool(w.app)
	scene, ok := ctx.Value(run.Key{}).(*run.Scene)
	if !ok { // somebody wants to know what became of one
		return pool.Transact(ctx, fn)
	}
	s := w.nodeOf(scene.Client.(*engine.Engine)).store //nolint:forcetypeassert // no others are there
	err := s.do(ctx, appTx, "transaction of "+scene.Info.StepID, func(ctx context.Context) error { return pool.Transact(ctx, fn) })
	return err
}

// openApp makes the application's table.
func (w *world) openApp(path string) error {
	var err error
	if w.app, err = sqlitex.NewPool(path, sqlitex.PoolOptions{PoolSize: 2}); err != nil {
		return err
	}
	return sqlite.Pool(w.app).Transact(context.Background(), func(c *sqlitedriver.Conn, _ any) error {
		return exec(c, "CREATE TABLE payments (step TEXT)")
	})
}

// pay is an attempt of a step in a transaction of the application.
func (w *world) pay(ctx context.Context, c *sqlitedriver.Conn, o op) (string, error) {
	info := workflow.InfoOf(ctx)
	if err := exec(c, "INSERT INTO payments VALUES (?)", info.StepID); err != nil {
		return "", err
	}
	return w.attemptEnds(info, o)
}

// readPayments calls f with each step that the application's table has.
func readPayments(c *sqlitedriver.Conn, f func(step string)) error {
	return sqlitex.ExecuteTransient(c, "SELECT step FROM payments", &sqlitex.ExecOptions{
		ResultFunc: func(s *sqlitedriver.Stmt) error { f(s.ColumnText(0)); return nil },
	})
}

// settle lets everything come to its end: no faults any more, a healthy worker, and
// as much time as the runs want.
func (w *world) settle() error {
	w.mu.Lock()
	all := slices.Clone(w.all) // one that died may join meanwhile
	w.mu.Unlock()
	for _, n := range all {
		n.store.heal()
	}
	if w.late {
		advance(latest + 2*time.Minute) // all that was late has come, and been found
	}
	for w.calls.Load() > 0 {
		advance(time.Minute)
	}
	if err := w.goOn(); err != nil {
		return err
	}
	advance(2 * time.Second) // who died is there again
	if w.workers() == 0 {
		if err := w.join(); err != nil {
			return err
		}
	}
	const most = 2 * time.Hour // that nothing happens, though there is something to do
	since, last := time.Now(), int64(0)
	for pause := time.Second; time.Since(since) < most; {
		w.turns.quiet()
		next, events, err := w.next()
		switch {
		case err != nil:
			return err
		case w.troubled():
			return nil // that is enough
		case next.IsZero():
			return nil
		case events > maxEvents:
			return fmt.Errorf("the runs are at work forever: %d events", events)
		case events != last:
			since, last, pause = time.Now(), events, time.Second
		}
		wait := time.Until(next)
		if wait > 0 {
			since = next
		} else {
			wait = pause
			pause = min(2*pause, time.Minute)
		}
		advance(wait)
	}
	return nil // the checker says what is stuck
}

func (w *world) troubled() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.problems) > 0
}

// maxEvents is more than the runs of a world can come to.
const maxEvents = 5_000

// next is when some run has something to do, or a listener something to get (zero: never), and how many
// events there are.
func (w *world) next() (next time.Time, events int64, err error) {
	topics, err := w.db.Topics(context.Background(), store.TopicFilter{})
	if slices.ContainsFunc(topics, func(t store.ListenedTopic) bool { return t.Behind }) {
		next = time.Now()
	}
	if err != nil {
		return next, events, err
	}
	for _, id := range w.runs() {
		l, err := w.db.Load(context.Background(), id, 0)
		if err != nil {
			return next, events, err
		}
		events += l.Run.Events
		if l.Run.Status.Ended() {
			continue
		}
		at := l.Run.WakeAt
		if l.Run.Worker != "" || len(l.Mail) > 0 {
			at = time.Now()
		}
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next, events, nil
}

// close ends all nodes and the database.
func (w *world) close() error {
	w.turns.end()
	for _, n := range w.all {
		n.close()
	}
	for _, n := range w.all {
		if n != w.client {
			<-n.done
		}
	}
	var err error
	if w.app != nil {
		err = w.app.Close()
	}
	err = errors.Join(err, w.db.Close())
	advance(2 * time.Hour) // steps that listen to nobody have come to their end
	return err
}

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// input says which program a run executes, and what its earlier generations have seen.
type input struct {
	Program  int
	Restarts int     `json:",omitempty"` // that there have been
	Trace    []entry `json:",omitempty"`
}

// maxRestarts is how often a run may restart.
const maxRestarts = 3

// payload is what is sent to hooks. No number is sent twice; bad ones do not
// validate.
type payload struct {
	N   int
	Bad bool `json:",omitempty"`
}

func (p payload) Validate() error {
	if p.Bad {
		return fmt.Errorf("bad payload %d", p.N)
	}
	return nil
}

// entry is one thing that a program has seen. All entries of a run are its result.
type entry struct {
	What    string        `json:",omitempty"`
	At      time.Time     // workflow.Now
	Hook    string        `json:",omitempty"` // its ID
	Token   string        `json:",omitempty"`
	Payload int           `json:",omitempty"`
	By      string        `json:",omitempty"` // who sent the payload
	Plain   bool          `json:",omitempty"` // the payload was not sent as a request
	Owner   string        `json:",omitempty"` // of a token that was taken
	Step    string        `json:",omitempty"`
	Value   string        `json:",omitempty"`
	Slept   time.Duration `json:",omitempty"`
	Err     string        `json:",omitempty"`
	Is      string        `json:",omitempty"` // the errors that Err is
}

// env is one execution of a program.
type env struct {
	w       *world
	run     string
	build   int // of the code
	root    workflow.Context
	trace   []entry
	hooks   []*workflow.Hook[payload]
	pages   []*workflow.Webhook
	links   []*workflow.Link
	calls   []*workflow.Calls[payload, string]
	futures []*workflow.Future[int]
	patches map[string]patch
	blocked map[int]blocked // what its branches wait for
	next    int

	restarts int
	panicked bool
}

// patch is what was decided about one at the first call.
type patch struct {
	build int // the first that has the call
	took  bool
	at    time.Time // workflow.Now
}

// blocked is a durable call that has not returned.
type blocked struct {
	verb verb
	hook string // the ID of the one that it waits for
	run  string // the same of another run
}

// typed is a type of hooks that all engines know.
var typed = workflow.DefineHook[payload]("typed")

// main is the workflow function, as a build has it.
func (w *world) main(ctx workflow.Context, in input, build int) ([]entry, error) {
	e := &env{
		w: w, run: workflow.InfoOf(ctx).RunID, build: build, root: ctx, trace: in.Trace, restarts: in.Restarts,
		patches: map[string]patch{}, blocked: map[int]blocked{},
	}
	if info := workflow.InfoOf(ctx); info.Generation != in.Restarts {
		w.note(func() {
			w.problem("run %s has restarted %d times, and is said to be generation %d", e.run, in.Restarts, info.Generation)
		})
	}
	w.note(func() { w.envs[e.run] = e })
	if _, err := e.execute(ctx, w.programs[in.Program]); err != nil {
		return nil, err
	}
	return e.trace, ctx.Err()
}

func (e *env) see(ctx workflow.Context, s entry, err error) {
	s.At = workflow.Now(ctx)
	if err != nil {
		s.Err = err.Error()
	}
	for _, is := range []error{
		context.Canceled, context.DeadlineExceeded, workflow.ErrHookClosed, workflow.ErrOutcomeUnknown,
		workflow.ErrAlreadyResponded, errProgram, workflow.ErrRunExists,
		workflow.ErrRunNotFound, workflow.ErrAwaitCycle,
	} {
		if errors.Is(err, is) {
			s.Is += is.Error() + "; "
		}
	}
	e.trace = append(e.trace, s)
}

// block notes that a durable call begins, until the result is called. An eviction in
// between leaves the note as it is.
func (e *env) block(b blocked) func() {
	id := e.next
	e.next++
	e.blocked[id] = b
	return func() { delete(e.blocked, id) }
}

// execute executes a program and returns how many operations it had. It fails only
// where the program is meant to.
func (e *env) execute(ctx workflow.Context, p program) (int, error) {
	for _, o := range p {
		if err := e.op(ctx, o); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (e *env) branch(p program) func(workflow.Context) (int, error) {
	return func(ctx workflow.Context) (int, error) { return e.execute(ctx, p) }
}

func (e *env) branches(ps []program) []func(workflow.Context) (int, error) {
	fns := make([]func(workflow.Context) (int, error), len(ps))
	for i, p := range ps {
		fns[i] = e.branch(p)
	}
	return fns
}

func (e *env) hook(slot int) *workflow.Hook[payload] {
	if len(e.hooks) == 0 {
		return nil
	}
	return e.hooks[slot%len(e.hooks)]
}

// got sees a payload, or why there is none.
func (e *env) got(ctx workflow.Context, verb verb, hookID, by string, p payload, err error) {
	if bad, ok := errors.AsType[*workflow.PayloadError](err); ok {
		if _, scan := fmt.Sscanf(bad.Err.Error(), "bad payload %d", &p.N); scan != nil {
			panic(scan)
		}
	}
	e.see(ctx, entry{What: string(verb), Hook: hookID, Payload: p.N, By: by}, err)
}

var errProgram = workflow.DefineError("the program fails")

func (e *env) op(ctx workflow.Context, o op) error {
	over, n := ctx.Err(), len(e.trace)
	err := e.perform(ctx, o)
	if over != nil {
		e.w.canceledCallsFail(e, o.verb, e.trace[n:])
	}
	return err
}

func (e *env) perform(ctx workflow.Context, o op) error {
	switch o.verb {
	case vStep, vDeaf, vSend, vPublish, vTx:
		return e.step(ctx, o)
	case vOpen, vWait, vWaitFor, vRange, vClose, vDrain:
		return e.hookOp(ctx, o)
	case vWebhook, vServe, vShut:
		e.webhookOp(ctx, o)
	case vLink, vUnlink:
		e.linkOp(ctx, o)
	case vListen:
		e.listen(ctx, o)
	case vOffer, vReply:
		e.callOp(ctx, o)
	case vSelect, vPoll:
		e.selectOp(ctx, o)
	case vSleep:
		before := workflow.Now(ctx)
		done := e.block(blocked{verb: o.verb})
		err := workflow.Sleep(ctx, o.d)
		done()
		e.see(ctx, entry{What: "sleep", Value: o.d.String(), Slept: workflow.Now(ctx).Sub(before)}, err)
	case vFirst:
		done := e.block(blocked{verb: o.verb})
		i, _, err := workflow.First(ctx, e.branches(o.inner)...)
		done()
		e.see(ctx, entry{What: "first", Value: fmt.Sprint(i)}, err)
	case vAll:
		done := e.block(blocked{verb: o.verb})
		ns, err := workflow.All(ctx, e.branches(o.inner)...)
		done()
		e.see(ctx, entry{What: "all", Value: fmt.Sprint(ns)}, err)
	case vGo:
		e.futures = append(e.futures, workflow.Go(ctx, e.branch(o.inner[0])))
	case vJoin:
		if len(e.futures) > 0 {
			e.join(ctx, e.futures[o.slot%len(e.futures)])
		}
	case vCall:
		e.call(ctx, o)
	case vAwait:
		e.awaitRun(ctx, o)
	case vTimeout:
		inner, cancel := workflow.WithTimeout(ctx, o.d)
		e.w.deadlineIsDurable(e.run, ctx, inner, o.d)
		_, err := e.execute(inner, o.inner[0])
		e.see(ctx, entry{What: "timeout"}, inner.Err())
		cancel()
		return err
	case vCancel:
		inner, cancel := workflow.WithCancel(ctx)
		f := workflow.Go(inner, e.branch(o.inner[0]))
		_, err := e.execute(ctx, o.inner[1])
		cancel()
		e.join(ctx, f)
		return err
	case vWithout:
		_, err := e.execute(workflow.WithoutCancel(ctx), o.inner[0])
		return err
	case vPatch:
		_, err := e.execute(ctx, e.way(ctx, o))
		return err
	case vDraw:
		e.see(ctx, entry{What: "draw", Value: fmt.Sprint(workflow.NewID(ctx), workflow.Rand(ctx).IntN(1000))}, nil)
	case vRestart:
		return e.restart(ctx, o)
	case vFail:
		return errProgram
	case vPanic:
		e.panicked = true
		panic("the program panics")
	}
	return nil
}

// way returns what the code executes at a patch. Nothing else of it is seen: the result of a run
// that passed the place before the call was there is the same with the call.
func (e *env) way(ctx workflow.Context, o op) program {
	switch {
	case o.flag:
		if e.build == o.n {
			e.patched(ctx, fmt.Sprint("alone ", o.n), o.n)
		}
		return nil
	case e.build >= o.n && e.patched(ctx, fmt.Sprint(o.n), o.n):
		return o.inner[0]
	default:
		return o.inner[1]
	}
}

func (e *env) patched(ctx workflow.Context, id string, build int) bool {
	took := workflow.Patched(ctx, id)
	e.w.patchIsDecidedOnce(e, id, took)
	if _, again := e.patches[id]; !again {
		e.patches[id] = patch{build, took, workflow.Now(ctx)}
	}
	return took
}

// restart begins the next generation, which sees what this one has seen.
func (e *env) restart(ctx workflow.Context, o op) error {
	if e.restarts == maxRestarts {
		return nil
	}
	if o.flag {
		ctx = workflow.WithoutCancel(ctx)
	}
	e.see(ctx, entry{What: "restart"}, nil)
	self := e.w.workflow
	if workflow.InfoOf(ctx).Workflow == e.w.asked.Name() { // of a fork too
		self = e.w.asked
	}
	_, err := self.Restart(ctx, input{o.n, e.restarts + 1, e.trace})
	if !errors.Is(err, workflow.ErrRestarting) {
		e.see(ctx, entry{What: "no restart"}, err)
		return nil
	}
	return err
}

// tokens are those of the hooks, by their IDs.
func (e *env) tokens() map[string]string {
	tokens := map[string]string{}
	for _, h := range e.hooks {
		tokens[h.ID()] = h.Token()
	}
	for _, h := range e.pages {
		tokens[h.ID()] = h.Token()
	}
	for _, h := range e.calls {
		tokens[h.ID()] = h.Token()
	}
	return tokens
}

func (e *env) step(ctx workflow.Context, o op) error {
	tokens, patches := e.tokens(), maps.Clone(e.patches)
	done := e.block(blocked{verb: o.verb})
	var value string
	var err error
	if o.verb == vTx {
		value, err = workflow.TxStep(ctx, string(o.verb), e.w, func(ctx context.Context, c *sqlite.Conn) (string, error) {
			e.w.tokensStand(tokens)
			e.w.patchesStand(e.run, e.restarts, patches)
			return e.w.pay(ctx, c, o)
		}, workflow.MaxAttempts(maxAttempts))
	} else {
		value, err = workflow.Step(ctx, string(o.verb), func(ctx context.Context) (string, error) {
			e.w.tokensStand(tokens)
			e.w.patchesStand(e.run, e.restarts, patches)
			return e.w.step(ctx, o)
		}, workflow.MaxAttempts(maxAttempts))
	}
	done()
	e.see(ctx, entry{What: "step", Step: string(o.verb), Value: value}, err)
	if o.flag {
		return err
	}
	return nil
}

const maxAttempts = 3

func (e *env) hookOp(ctx workflow.Context, o op) error {
	if o.verb == vOpen {
		e.open(ctx, o)
		return nil
	}
	h := e.hook(o.slot)
	if h == nil {
		return nil
	}
	if o.verb == vRange {
		return e.each(ctx, o, h, blocked{verb: o.verb, hook: h.ID()})
	}
	if o.verb == vClose || o.verb == vDrain {
		h.Close()
		e.see(ctx, entry{What: "close", Hook: h.ID()}, nil)
		if o.verb == vDrain {
			return e.each(ctx, o, h, blocked{verb: vSleep}) // it ends by itself
		}
		return nil
	}
	waiting := blocked{verb: o.verb, hook: h.ID()}
	if o.verb == vWaitFor {
		inner, cancel := workflow.WithTimeout(ctx, o.d)
		e.w.deadlineIsDurable(e.run, ctx, inner, o.d)
		defer cancel()
		ctx, waiting = inner, blocked{verb: vSleep}
	}
	done := e.block(waiting)
	p, err := h.Wait(ctx)
	done()
	e.got(ctx, o.verb, h.ID(), h.By().Name, p, err)
	return nil
}

// each ranges over the payloads of a hook.
func (e *env) each(ctx workflow.Context, o op, h *workflow.Hook[payload], waiting blocked) error {
	n, drained := 0, true
	done := e.block(waiting)
	for p, err := range h.All(ctx) {
		done()
		e.got(ctx, o.verb, h.ID(), h.By().Name, p, err)
		drained = ctx.Err() == nil
		if err == nil && len(o.inner) > 0 {
			if _, err := e.execute(ctx, o.inner[0]); err != nil {
				return err
			}
		}
		if n++; n == o.n || n > 50 {
			return nil
		}
		done = e.block(waiting)
	}
	done()
	if drained {
		e.see(ctx, entry{What: "end of payloads", Hook: h.ID()}, nil)
	}
	return nil
}

func (e *env) open(ctx workflow.Context, o op) {
	opts := []workflow.HookOption{workflow.Metadata(o.slot)}
	if o.token != "" {
		opts = append(opts, workflow.Token(o.token))
	}
	done := e.block(blocked{verb: vOpen})
	var h *workflow.Hook[payload]
	var err error
	if o.typed {
		h, err = typed.New(ctx, opts...)
	} else {
		h, err = workflow.NewHook[payload](ctx, opts...)
	}
	done()
	if err == nil {
		e.hooks = append(e.hooks, h)
		e.opened(ctx, o, h.ID(), h.Token())
	} else {
		e.notOpened(ctx, o, err)
	}
}

func (e *env) opened(ctx workflow.Context, o op, id, token string) {
	if o.token != "" {
		e.w.claimedBeforeItReturns(e.run, id)
	}
	e.see(ctx, entry{What: string(o.verb), Token: token, Hook: id, Value: strconv.Itoa(o.slot)}, nil)
}

func (e *env) notOpened(ctx workflow.Context, o op, err error) {
	s := entry{What: string(o.verb), Token: o.token}
	if conflict, ok := errors.AsType[*workflow.HookConflictError](err); ok {
		s.Owner = conflict.RunID
	}
	e.see(ctx, s, err)
}

func (e *env) webhookOp(ctx workflow.Context, o op) {
	if o.verb == vWebhook {
		opts := []workflow.WebhookOption{workflow.Metadata(o.slot), workflow.DedupeHeader(keyHeader)}
		if o.token != "" {
			opts = append(opts, workflow.Token(o.token))
		}
		if o.flag {
			opts = append(opts, workflow.RespondManually())
		}
		done := e.block(blocked{verb: vOpen})
		h, err := workflow.NewWebhook(ctx, opts...)
		done()
		if err == nil {
			e.pages = append(e.pages, h)
			e.opened(ctx, o, h.ID(), h.Token())
		} else {
			e.notOpened(ctx, o, err)
		}
		return
	}
	if len(e.pages) == 0 {
		return
	}
	h := e.pages[o.slot%len(e.pages)]
	if o.verb == vShut {
		h.Close()
		e.see(ctx, entry{What: "close", Hook: h.ID()}, nil)
		return
	}
	inner, cancel := workflow.WithTimeout(ctx, o.d)
	defer cancel()
	done := e.block(blocked{verb: vSleep}) // it ends by itself
	r, err := h.Wait(inner)
	done()
	if err != nil {
		_, plain := errors.AsType[*workflow.PayloadError](err) // sent to the token before it was a webhook's
		e.see(ctx, entry{What: string(o.verb), Hook: h.ID(), Plain: plain}, err)
		return
	}
	e.w.deliveredWhole(e.run, r)
	e.see(ctx, entry{What: string(o.verb), Hook: h.ID(), Payload: number(r.Body), By: h.By().Name, Value: r.ID}, nil)
	for range o.n {
		e.answer(ctx, r, o.flag)
	}
}

// answer answers a request, in a step or straight from the workflow.
func (e *env) answer(ctx workflow.Context, r *workflow.Request, inStep bool) {
	done := e.block(blocked{verb: vStep})
	var err error
	if inStep {
		err = workflow.Do(ctx, "respond", func(ctx context.Context) error { return e.w.respond(ctx, r) }, workflow.MaxAttempts(maxAttempts))
	} else {
		err = r.Respond(ctx, workflow.Text(200, fmt.Sprintf("%d by the workflow", number(r.Body))))
	}
	done()
	e.see(ctx, entry{What: "answer", Value: r.ID}, err)
}

func (e *env) selectOp(ctx workflow.Context, o op) {
	hooks := []*workflow.Hook[payload]{e.hook(o.slot), e.hook(o.slot + 1)}
	if hooks[0] == hooks[1] {
		hooks = hooks[:1] // none may be there twice
	}
	var cases []workflow.Case
	for _, h := range hooks {
		if h != nil {
			cases = append(cases, workflow.OnPayload(h, func(p payload) error {
				e.got(ctx, o.verb, h.ID(), h.By().Name, p, nil)
				return nil
			}))
		}
	}
	if o.flag && len(e.futures) > 0 {
		f := e.futures[o.slot%len(e.futures)]
		cases = append(cases, workflow.OnDone(f, func(n int, err error) error {
			e.see(ctx, entry{What: "select future", Value: fmt.Sprint(n)}, err)
			return nil
		}))
	}
	d := o.d
	if o.verb == vPoll {
		d = 0
	}
	cases = append(cases, nil, workflow.OnTimer(d, func() error {
		e.see(ctx, entry{What: "select timer"}, nil)
		return nil
	}))
	done := e.block(blocked{verb: vSleep}) // it ends by itself
	err := workflow.Select(ctx, cases...)
	done()
	if bad, ok := errors.AsType[*workflow.PayloadError](err); ok {
		e.got(ctx, o.verb, "", "", payload{}, bad) // of either hook
		return
	}
	e.see(ctx, entry{What: "select"}, err)
}

func (e *env) join(ctx workflow.Context, f *workflow.Future[int]) {
	done := e.block(blocked{verb: vJoin})
	n, err := f.Wait(ctx)
	done()
	e.see(ctx, entry{What: "join", Value: fmt.Sprint(n)}, err)
}

func (e *env) call(ctx workflow.Context, o op) {
	var opts []workflow.StartOption
	if o.token != "" {
		opts = append(opts, workflow.RunID(o.token))
	}
	done := e.block(blocked{verb: vOpen}) // the ID is taken at once, or not
	f := e.w.workflow.Go(ctx, input{Program: o.n}, opts...)
	done()
	// A future of a branch, so that futures are of one type.
	joined := workflow.Go(ctx, func(ctx workflow.Context) (int, error) {
		done := e.block(blocked{verb: vCall})
		entries, err := f.Wait(ctx)
		done()
		return len(entries), err
	})
	e.futures = append(e.futures, joined)
	if !o.flag {
		e.join(ctx, joined)
	}
}

func (e *env) awaitRun(ctx workflow.Context, o op) {
	f := workflow.Await[[]entry](ctx, o.token)
	joined := workflow.Go(ctx, func(ctx workflow.Context) (int, error) {
		done := e.block(blocked{verb: vAwait, run: o.token})
		entries, err := f.Wait(ctx)
		done()
		return len(entries), err
	})
	e.futures = append(e.futures, joined)
	if !o.flag {
		e.join(ctx, joined)
	}
}

// step is an attempt of a step.
func (w *world) step(ctx context.Context, o op) (string, error) {
	info := workflow.InfoOf(ctx)
	client, _ := workflow.ClientFrom(ctx).(*engine.Engine)
	n := w.nodeOf(client)
	w.attemptBegins(n, info)
	if o.d > 0 && o.verb != vSend && o.verb != vPublish {
		t := time.NewTimer(o.d)
		defer t.Stop()
		listen := ctx.Done()
		if o.verb == vDeaf {
			listen = nil
		}
		select {
		case <-t.C:
		case <-listen:
			return "", ctx.Err()
		}
	}
	w.turns.take("end of " + info.StepID)
	n.store.stand(info.StepID)
	if n.store.crashed() {
		return "", errDead
	}
	switch o.verb {
	case vSend:
		w.send(ctx, client, sendRequest{n: w.number(), token: o.token, key: info.StepID})
	case vPublish:
		w.publish(ctx, client, publication{w.number(), subjects[o.n], info.StepID})
	default:
	}
	value, err := w.attemptEnds(info, o)
	if err == nil {
		w.note(func() { w.pauses.succeeded[info.StepID] = w.pauses.begun[info.StepID] })
	}
	return value, err
}

var (
	errFatal  = workflow.DefineError("fatal")
	errNotYet = workflow.DefineError("not yet")
)

// retryAfter is how long a step that fails asks to be left alone.
const retryAfter = 7 * time.Second

// attemptEnds returns what an attempt comes to.
func (w *world) attemptEnds(info workflow.Info, o op) (string, error) {
	var fixed bool
	var value string
	w.note(func() {
		fixed = w.fixed[info.RunID]
		w.attempts[info.StepID]++
		value = fmt.Sprintf("%s/%d", info.StepID, w.attempts[info.StepID])
	})
	switch {
	case fixed:
	case o.flag:
		return "", workflow.Fatal(errFatal)
	case info.Attempt <= o.n:
		return "", workflow.RetryAfter(errNotYet, retryAfter)
	}
	w.note(func() { w.results[value] = info.StepID })
	return value, nil
}

// respond answers a request in a step.
func (w *world) respond(ctx context.Context, r *workflow.Request) error {
	info := workflow.InfoOf(ctx)
	client, _ := workflow.ClientFrom(ctx).(*engine.Engine)
	w.attemptBegins(w.nodeOf(client), info)
	return r.Respond(ctx, workflow.Text(200, fmt.Sprintf("%d by %s", number(r.Body), info.StepID)))
}

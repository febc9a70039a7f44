package engine_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// input says which program a run executes.
type input struct{ Program int }

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
	Owner   string        `json:",omitempty"` // of a token that was taken
	Step    string        `json:",omitempty"`
	Value   string        `json:",omitempty"`
	Slept   time.Duration `json:",omitempty"`
	Err     string        `json:",omitempty"`
}

// env is one execution of a program.
type env struct {
	w       *world
	run     string
	root    workflow.Context
	trace   []entry
	hooks   []*workflow.Hook[payload]
	futures []*workflow.Future[int]
	blocked map[int]blocked // what its branches wait for
	next    int
}

// blocked is a durable call that has not returned.
type blocked struct {
	verb  verb
	hooks []*workflow.Hook[payload]
}

// main is the workflow function.
func (w *world) main(ctx workflow.Context, in input) ([]entry, error) {
	e := &env{w: w, run: workflow.InfoOf(ctx).RunID, root: ctx, blocked: map[int]blocked{}}
	w.note(func() { w.envs[e.run] = e })
	if _, err := e.execute(ctx, w.programs[in.Program]); err != nil {
		return nil, err
	}
	return e.trace, ctx.Err()
}

func (e *env) see(ctx workflow.Context, s entry) {
	s.At = workflow.Now(ctx)
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

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// got sees a payload, or why there is none.
func (e *env) got(ctx workflow.Context, verb verb, hookID string, p payload, err error) {
	if bad, ok := errors.AsType[*workflow.PayloadError](err); ok {
		if _, scan := fmt.Sscanf(bad.Err.Error(), "bad payload %d", &p.N); scan != nil {
			panic(scan)
		}
	}
	e.see(ctx, entry{What: string(verb), Hook: hookID, Payload: p.N, Err: text(err)})
}

var errProgram = errors.New("the program fails")

func (e *env) op(ctx workflow.Context, o op) error {
	switch o.verb {
	case vStep, vDeaf, vSend:
		return e.step(ctx, o)
	case vOpen, vWait, vWaitFor, vRange, vClose, vDrain:
		return e.hookOp(ctx, o)
	case vSelect:
		e.selectOp(ctx, o)
	case vSleep:
		before := workflow.Now(ctx)
		done := e.block(blocked{verb: o.verb})
		err := workflow.Sleep(ctx, o.d)
		done()
		e.see(ctx, entry{What: "sleep", Value: o.d.String(), Slept: workflow.Now(ctx).Sub(before), Err: text(err)})
	case vFirst:
		done := e.block(blocked{verb: o.verb})
		i, _, err := workflow.First(ctx, e.branches(o.inner)...)
		done()
		e.see(ctx, entry{What: "first", Value: fmt.Sprint(i), Err: text(err)})
	case vAll:
		done := e.block(blocked{verb: o.verb})
		ns, err := workflow.All(ctx, e.branches(o.inner)...)
		done()
		e.see(ctx, entry{What: "all", Value: fmt.Sprint(ns), Err: text(err)})
	case vGo:
		e.futures = append(e.futures, workflow.Go(ctx, e.branch(o.inner[0])))
	case vJoin:
		if len(e.futures) > 0 {
			e.join(ctx, e.futures[o.slot%len(e.futures)])
		}
	case vCall:
		e.call(ctx, o)
	case vTimeout:
		inner, cancel := workflow.WithTimeout(ctx, o.d)
		_, err := e.execute(inner, o.inner[0])
		e.see(ctx, entry{What: "timeout", Err: text(inner.Err())})
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
	case vDraw:
		e.see(ctx, entry{What: "draw", Value: fmt.Sprint(workflow.NewID(ctx), workflow.Rand(ctx).IntN(1000))})
	case vFail:
		return errProgram
	case vPanic:
		panic("the program panics")
	}
	return nil
}

func (e *env) step(ctx workflow.Context, o op) error {
	done := e.block(blocked{verb: o.verb})
	value, err := workflow.Step(ctx, string(o.verb), func(ctx context.Context) (string, error) {
		return e.w.step(ctx, o)
	}, workflow.MaxAttempts(maxAttempts))
	done()
	e.see(ctx, entry{What: "step", Step: string(o.verb), Value: value, Err: text(err)})
	if failed, ok := errors.AsType[*workflow.StepError](err); ok && failed.Attempts > maxAttempts {
		e.w.note(func() { e.w.problem("run %s: step %s had %d attempts", e.run, failed.Step, failed.Attempts) })
	}
	if o.flag {
		return err
	}
	return nil
}

const maxAttempts = 3

func (e *env) hookOp(ctx workflow.Context, o op) error {
	if o.verb == vOpen {
		e.open(ctx, o.token)
		return nil
	}
	h := e.hook(o.slot)
	if h == nil {
		return nil
	}
	if o.verb == vRange {
		return e.each(ctx, o, h, blocked{verb: o.verb, hooks: []*workflow.Hook[payload]{h}})
	}
	if o.verb == vClose || o.verb == vDrain {
		h.Close()
		e.see(ctx, entry{What: "close", Hook: h.ID()})
		if o.verb == vDrain {
			return e.each(ctx, o, h, blocked{verb: vSleep}) // it ends by itself
		}
		return nil
	}
	waiting := blocked{verb: o.verb, hooks: []*workflow.Hook[payload]{h}}
	if o.verb == vWaitFor {
		inner, cancel := workflow.WithTimeout(ctx, o.d)
		defer cancel()
		ctx, waiting = inner, blocked{verb: vSleep}
	}
	done := e.block(waiting)
	p, err := h.Wait(ctx)
	done()
	e.got(ctx, o.verb, h.ID(), p, err)
	return nil
}

// each ranges over the payloads of a hook.
func (e *env) each(ctx workflow.Context, o op, h *workflow.Hook[payload], waiting blocked) error {
	n := 0
	done := e.block(waiting)
	for p, err := range h.All(ctx) {
		done()
		e.got(ctx, o.verb, h.ID(), p, err)
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
	e.see(ctx, entry{What: "end of " + string(o.verb), Hook: h.ID()})
	return nil
}

func (e *env) open(ctx workflow.Context, token string) {
	var opts []workflow.HookOption
	if token != "" {
		opts = append(opts, workflow.Token(token))
	}
	done := e.block(blocked{verb: vOpen})
	h, err := workflow.NewHook[payload](ctx, opts...)
	done()
	if err != nil {
		s := entry{What: "open", Token: token, Err: text(err)}
		if conflict, ok := errors.AsType[*workflow.HookConflictError](err); ok {
			s.Owner = conflict.RunID
		}
		e.see(ctx, s)
		return
	}
	e.hooks = append(e.hooks, h)
	e.see(ctx, entry{What: "open", Token: h.Token(), Hook: h.ID()})
}

func (e *env) selectOp(ctx workflow.Context, o op) {
	hooks := []*workflow.Hook[payload]{e.hook(o.slot), e.hook(o.slot + 1)}
	var cases []workflow.Case
	for _, h := range hooks {
		if h != nil {
			cases = append(cases, workflow.OnPayload(h, func(p payload) error {
				e.got(ctx, o.verb, h.ID(), p, nil)
				return nil
			}))
		}
	}
	if o.flag && len(e.futures) > 0 {
		f := e.futures[o.slot%len(e.futures)]
		cases = append(cases, workflow.OnDone(f, func(n int, err error) error {
			e.see(ctx, entry{What: "select future", Value: fmt.Sprint(n), Err: text(err)})
			return nil
		}))
	}
	cases = append(cases, nil, workflow.OnTimer(o.d, func() error {
		e.see(ctx, entry{What: "select timer"})
		return nil
	}))
	done := e.block(blocked{verb: vSleep}) // it ends by itself
	err := workflow.Select(ctx, cases...)
	done()
	if bad, ok := errors.AsType[*workflow.PayloadError](err); ok {
		e.got(ctx, o.verb, "", payload{}, bad) // of either hook
		return
	}
	e.see(ctx, entry{What: "select", Err: text(err)})
}

func (e *env) join(ctx workflow.Context, f *workflow.Future[int]) {
	done := e.block(blocked{verb: vJoin})
	n, err := f.Wait(ctx)
	done()
	e.see(ctx, entry{What: "join", Value: fmt.Sprint(n), Err: text(err)})
}

func (e *env) call(ctx workflow.Context, o op) {
	var opts []workflow.StartOption
	if o.token != "" {
		opts = append(opts, workflow.RunID(o.token))
	}
	done := e.block(blocked{verb: vOpen}) // the ID is taken at once, or not
	f := e.w.workflow.Go(ctx, input{o.n}, opts...)
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

// step is an attempt of a step.
func (w *world) step(ctx context.Context, o op) (string, error) {
	info := workflow.InfoOf(ctx)
	client, _ := workflow.ClientFrom(ctx).(*engine.Engine)
	n := w.nodeOf(client)
	w.begins(n, info)
	if o.d > 0 {
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
	if n.store.crashed() {
		return "", errDead
	}
	if o.verb == vSend {
		w.send(ctx, client, sendRequest{token: o.token, key: info.StepID})
	}
	var fixed bool
	var value string
	w.note(func() {
		fixed = w.fixed[info.RunID]
		w.executions++
		value = fmt.Sprintf("%s/%d", info.StepID, w.executions)
	})
	switch {
	case fixed:
	case o.flag:
		return "", workflow.Fatal(errors.New("fatal"))
	case info.Attempt <= o.n:
		return "", workflow.RetryAfter(errors.New("not yet"), time.Second)
	}
	w.note(func() { w.results[value] = info.StepID })
	return value, nil
}

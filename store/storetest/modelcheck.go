package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

// runModel does random operations to the store and to the model.
func runModel(t *testing.T, open func(t *testing.T) *Harness) {
	rapid.Check(t, func(rt *rapid.T) {
		h := open(t)
		defer func() { _ = h.Store.Close() }()
		c := &checker{T: rt, k: newKit(t, h), m: newModel()}
		for _, w := range workers {
			c.renew(w)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"":          func(*rapid.T) { c.compare() },
			"start":     func(*rapid.T) { c.start() },
			"accept":    func(*rapid.T) { c.accept() },
			"accept2":   func(*rapid.T) { c.accept() },
			"publish":   func(*rapid.T) { c.publish() },
			"send":      func(*rapid.T) { c.send() },
			"create":    func(*rapid.T) { c.create() },
			"advance":   func(*rapid.T) { c.advance() },
			"advance2":  func(*rapid.T) { c.advance() },
			"advance3":  func(*rapid.T) { c.advance() },
			"claim":     func(*rapid.T) { c.claim() },
			"named":     func(*rapid.T) { c.claimNamed() },
			"fence":     func(*rapid.T) { c.fence() },
			"terminate": func(*rapid.T) { c.terminate() },
			"retry":     func(*rapid.T) { c.retry() },
			"fork":      func(*rapid.T) { c.fork() },
			"prune":     func(*rapid.T) { c.pruneGenerations() },
			"unblock":   func(*rapid.T) { c.unblock() },
			"pause":     func(*rapid.T) { c.pause() },
			"deposit":   func(*rapid.T) { c.deposit() },
			"lapse":     func(*rapid.T) { c.lapse() },
			"renew":     func(*rapid.T) { c.renew(c.worker()) },
			"release":   func(*rapid.T) { c.release() },
		})
	})
}

var workers = []string{"w1", "w2", "w3"}

// checker compares a store with a model.
type checker struct {
	*rapid.T
	k *kit
	m *model
	n int // for names that are new
}

func pick[T any](c *checker, what string, of ...T) T { return rapid.SampledFrom(of).Draw(c.T, what) }

func (c *checker) runID() string  { return pick(c, "run", "r0", "r1", "r2", "r3", "r4", "r5") }
func (c *checker) token() string  { return pick(c, "token", "t0", "t1", "t2") }
func (c *checker) worker() string { return pick(c, "worker", workers...) }

func (c *checker) seldom(what string) bool { return rapid.IntRange(0, 9).Draw(c.T, what) == 9 }

func (c *checker) ok(err error) {
	c.Helper()
	c.agree("error", err, nil)
}

func (c *checker) agree(what string, got, want error) {
	c.Helper()
	if !errors.Is(got, want) || (want == nil && got != nil) {
		c.Fatalf("%s is %v, want %v", what, got, want)
	}
}

func (c *checker) same(what string, got, want any) {
	c.Helper()
	if d := cmp.Diff(want, got); d != "" {
		c.Fatalf("%s differs (-model +store):\n%s", what, d)
	}
}

func (c *checker) start() {
	r := startedRun(c.runID())
	c.agree("start", c.k.s.Start(c.k.ctx, r), c.m.start(r))
}

func (c *checker) accept() {
	c.n++
	p := store.Payload{Token: c.token(), Data: fmt.Append(nil, c.n), Key: pick(c, "key", "", "", "k0", "k1"), KeepFor: long, Actor: c.actor()}
	if rapid.Bool().Draw(c.T, "request") {
		p.Request = fmt.Sprint("q", c.n)
		if h := c.m.owner(p.Token); h != nil && h.web && rapid.Bool().Draw(c.T, "to the hook") {
			p.Hook = h.id
		}
	}
	if rapid.Bool().Draw(c.T, "or start") {
		r := runOf(orStart(c.runID(), p.Request != ""))
		p.OrStart = &r
	}
	rec, err := c.k.s.Accept(c.k.ctx, p)
	run, duplicate, want := c.m.accept(p)
	c.agree("accept", err, want)
	c.same("receipt", []any{rec.Hook.RunID, rec.Duplicate}, []any{run, duplicate})
}

func orStart(id string, request bool) string {
	if request {
		return id + requested
	}
	return id
}

// publish publishes to more listeners than a commit serves, or to fewer. All are told at once or later.
func (c *checker) publish() {
	c.n++
	p := store.Publication{
		Topic: modelTopic, Subject: modelSubject, Data: fmt.Append(nil, c.n), Key: pick(c, "publication key", "", "", "p0"), KeepFor: long,
		AtOnce: pick(c, "at once", 1, 2, 100),
	}
	got, err := c.k.s.Publish(c.k.ctx, p)
	c.ok(err)
	got.Seq = 0 // the model counts otherwise
	c.same("publication", got, c.m.publish(p))
	if rapid.Bool().Draw(c.T, "tell") {
		for more := true; more; {
			_, more, err = c.k.s.TellListeners(c.k.ctx, p.AtOnce)
			c.ok(err)
		}
		c.m.tellAll(p.AtOnce)
	}
}

const modelTopic, modelSubject = "topic", "subject"

func (c *checker) message() store.Message {
	kind := pick(c, "kind", store.CancelRequested, store.Woken, store.RetryNow, store.ChildCompleted)
	return store.Message{RunID: c.runID(), Kind: kind, Ref: "x#1", Data: []byte("d"), Actor: c.actor()}
}

// actor is who sends something, or nobody.
func (c *checker) actor() string {
	return pick(c, "actor", "", `{"name": "ada"}`, `{"name": "grace", "via": "key"}`)
}

// startedRun is a run with the actor of its start.
func startedRun(id string) store.NewRun {
	r := newRun(id)
	r.Actor = `{"name": "starter of ` + id + `"}`
	return r
}

func (c *checker) send() {
	msg := c.message()
	c.agree("send", c.k.s.Send(c.k.ctx, msg), c.m.send(msg))
}

func (c *checker) create() {
	r := startedRun(c.runID())
	if rapid.Bool().Draw(c.T, "child") {
		r.ParentID, r.ParentRef = c.runID(), "call#1"
	}
	now := c.k.now()
	t := &store.Transition{
		RunID: r.ID, Create: &r, Worker: c.worker(), Epoch: 1, Seq: 1, At: now,
		Events: []store.Event{{At: now, Kind: store.Started, Data: r.Input, Actor: r.Actor}},
	}
	c.finish(t, nil, nil)
}

func (c *checker) advance() {
	id := c.runID()
	l, err := c.k.s.Load(c.k.ctx, id, 0)
	if errors.Is(err, store.ErrNotFound) {
		l.Run.ID = id
	} else {
		c.ok(err)
	}
	t := &store.Transition{RunID: id, Worker: l.Run.Worker, Epoch: l.Run.Epoch, After: l.Run.Events, At: c.k.now()}
	if t.Worker == "" || c.seldom("another worker") {
		t.Worker = c.worker()
	}
	if t.Claim = rapid.Bool().Draw(c.T, "claim"); t.Claim {
		t.Epoch++
	}
	if c.seldom("another epoch") {
		t.Epoch++
	}
	if c.seldom("another length") {
		t.After++
	}
	if c.seldom("guard") {
		t.NoMailBefore = saturate.Beyond
	}
	var took []int
	for i, msg := range l.Mail {
		if rapid.Bool().Draw(c.T, "take") {
			took = append(took, i)
			takes(t, []store.Message{msg})
		}
	}
	pulled := map[string]int{}
	for _, first := range l.Backlog {
		waiting := append([]store.Message{first}, c.k.backlog(id, first.Ref, first.ID)...)
		n := rapid.IntRange(0, len(waiting)).Draw(c.T, "pull")
		pulled[first.Ref] = n
		for _, msg := range waiting[:n] {
			t.Pulled = append(t.Pulled, msg.ID)
			t.Events = append(t.Events, store.Event{At: t.At, Kind: msg.Kind, Ref: msg.Ref, Data: msg.Data, OrStart: msg.OrStart, Actor: msg.Actor})
		}
	}
	for _, h := range c.m.hooks {
		if h.run != id || !c.seldom("defer or admit") {
			continue
		}
		if h.deferred {
			t.Admit = append(t.Admit, h.id)
		} else {
			t.Defer = append(t.Defer, h.id)
		}
	}
	for _, e := range l.Events {
		if e.Kind == store.PayloadReceived && c.seldom("unread") {
			t.Unread = append(t.Unread, store.Message{Kind: e.Kind, Ref: e.Ref, Data: e.Data, OrStart: e.OrStart, Actor: e.Actor, AcceptedAt: e.At})
		}
	}
	c.finish(t, took, pulled)
}

// finish draws the rest of a transition, and applies it.
func (c *checker) finish(t *store.Transition, took []int, pulled map[string]int) {
	pos := t.After + int64(len(t.Events))
	for range rapid.IntRange(0, 3).Draw(c.T, "effects") {
		t.Effects = append(t.Effects, c.effect(t.RunID, pos, t.Effects))
	}
	t.Status = pick(c, "status", store.Waiting, store.Waiting, store.Running, store.Running, store.Blocked, store.Completed, store.Failed, store.Failed)
	wake := pick(c, "wake", never, due, later)
	switch wake {
	case due:
		t.WakeAt = t.At
	case later:
		t.WakeAt = t.At.Add(1000 * time.Hour)
	}
	t.Keep = rapid.Bool().Draw(c.T, "keep")
	t.TookAny = rapid.Bool().Draw(c.T, "took any")
	t.Mark = rapid.Bool().Draw(c.T, "mark")
	if t.Status == store.Blocked {
		t.BlockedBuild = pick(c, "blocked build", "b1", "b2")
	}
	unread := t.Unread
	if !t.Status.Ended() {
		t.Unread = nil
	} else if len(t.Events) == 0 {
		t.Events = append(t.Events, store.Event{At: t.At, Kind: store.RunFailed})
	}
	if t.Create == nil && t.Status == store.Running && rapid.Bool().Draw(c.T, "restart") {
		c.n++
		t.Restart = &store.Restart{Start: "next", Input: fmt.Append(nil, c.n), Canceled: rapid.Bool().Draw(c.T, "canceled"), Actor: c.actor()}
		t.Unread = unread
	}
	got, err := c.k.s.Apply(c.k.ctx, t)
	for i := range got {
		got[i].CreatedAt = time.Time{} // the model has no clock
		if carried := got[i].Carried; carried != nil {
			got[i].Carried = ofForm(carried.Webhook != nil) // its text may be another one
		}
	}
	want, wantErr := c.m.apply(t, took, pulled, wake)
	c.agree("apply", err, wantErr)
	if len(want) == 0 {
		want = nil
	}
	c.same("outcomes", got, want)
}

// ofForm is what an outcome shows of a hook that has another form.
func ofForm(web bool) *store.Hook {
	if web {
		return &store.Hook{Webhook: []byte("it is one")}
	}
	return &store.Hook{}
}

// effect draws one effect, after others of the same transition.
func (c *checker) effect(run string, pos int64, others []store.Effect) store.Effect {
	c.n++
	switch pick(c, "effect", store.OpenHook, store.OpenHook, store.CloseHook, store.StartRun, store.Send,
		store.Subscribe, store.Subscribe, store.Unsubscribe) {
	case store.OpenHook:
		e := c.k.opens(fmt.Sprint("h", c.n), c.token(), pos)
		switch pick(c, "form", 0, 0, 1, 2) {
		case 1:
			e.Hook.Webhook = []byte(`{"manual":true}`)
		case 2:
			e.Hook.Type, e.Hook.Subject = modelTopic, modelSubject
		}
		return e
	case store.CloseHook:
		e := closes("none", pos)
		for _, h := range c.m.hooks {
			if h.run == run && h.open {
				e.Hook.ID, e.Hook.Type, e.Hook.Subject = h.id, "", ""
				// The hook may have been adopted by this very transition, and listen since.
				if h.listens || slices.ContainsFunc(others, func(o store.Effect) bool { return o.Hook.Token == h.token && o.Hook.Subject != "" }) {
					e.Hook.Type, e.Hook.Subject = modelTopic, modelSubject
				}
			}
		}
		return e
	case store.StartRun:
		return store.Effect{Kind: store.StartRun, Run: startedRun(c.runID())}
	case store.Subscribe:
		return subscribe(pick(c, "ref", "1", "2", "3"), c.runID())
	case store.Unsubscribe:
		return unsubscribe(pick(c, "ref of", "1", "2", ""))
	default:
		msg := c.message()
		msg.Actor = ""
		return store.Effect{Kind: store.Send, Message: msg}
	}
}

func (c *checker) claim() {
	worker, build, limit := c.worker(), pick(c, "build", "b1", "b2", "b3"), pick(c, "limit", 1, 2, 100)
	got, err := c.k.s.Claim(c.k.ctx, store.Claim{Worker: worker, Build: build, Definitions: defs, Limit: limit, Now: c.k.now()})
	c.ok(err)
	c.claimed(got, c.m.claimable(worker, build), worker, limit)
}

// claimNamed claims some runs, of which only those that are free are to be had.
func (c *checker) claimNamed() {
	worker, build := c.worker(), pick(c, "build", "b1", "b2", "b3")
	named := []string{c.runID(), c.runID(), c.runID()}
	got, err := c.k.s.Claim(c.k.ctx, store.Claim{Worker: worker, Build: build, Definitions: defs, Now: c.k.now(), Runs: named})
	c.ok(err)
	want := slices.DeleteFunc(c.m.claimable(worker, build), func(id string) bool {
		return c.m.runs[id].worker != "" || !slices.Contains(named, id)
	})
	c.claimed(got, want, worker, len(named))
}

// claimed compares what was claimed with what was to be had.
func (c *checker) claimed(got store.Claimed, want []string, worker string, limit int) {
	claimed := ids(got.Runs)
	slices.Sort(claimed)
	if len(want) <= limit {
		c.same("claimed runs", claimed, want)
	} else if len(claimed) != limit || !got.More {
		c.Fatalf("claimed %v of %v, limit %d, more %v", claimed, want, limit, got.More)
	}
	for _, id := range claimed {
		if !slices.Contains(want, id) {
			c.Fatalf("claimed %s, which was not to be had", id)
		}
		c.m.claim(id, worker)
	}
}

func (c *checker) fence() {
	id, worker, epoch := c.runID(), c.worker(), rapid.Int64Range(0, 3).Draw(c.T, "epoch")
	if r := c.m.runs[id]; r != nil && !c.seldom("another epoch") {
		epoch = r.epoch
	}
	l, err := c.k.s.Fence(c.k.ctx, id, worker, epoch)
	c.agree("fence", err, c.m.fence(id, worker, epoch))
	if err == nil {
		now, err := c.k.s.Load(c.k.ctx, id, 0)
		c.ok(err)
		c.same("what the fence loaded", l, now)
	}
}

func (c *checker) terminate() {
	id, actor := c.runID(), c.actor()
	c.agree("terminate", c.k.s.Terminate(c.k.ctx, id, store.Event{At: c.k.now(), Kind: store.RunCanceled, Actor: actor}), c.m.terminate(id, actor))
}

// retry retries a run: mostly one that has failed, and from its present generation.
func (c *checker) retry() {
	id := c.runID()
	var failed []string
	for _, r := range c.m.sorted() {
		if r.status == store.Failed {
			failed = append(failed, r.id)
		}
	}
	if len(failed) > 0 && !c.seldom("any run") {
		id = pick(c, "failed run", failed...)
	}
	cut := store.Cut{RunID: id, From: 1, Actor: c.actor()}
	if r := c.m.runs[id]; r != nil {
		cut.Events = int64(len(r.events))
		cut.From = rapid.Int64Range(r.base+1, cut.Events+1).Draw(c.T, "from")
		if c.seldom("of an earlier generation") {
			cut.From = rapid.Int64Range(1, cut.Events+1).Draw(c.T, "from")
		}
		for pos := cut.From; pos <= cut.Events; pos++ {
			if r.events[pos-1].Kind == store.PayloadReceived {
				cut.Back = append(cut.Back, pos)
			}
		}
	}
	_, err := c.k.s.Retry(c.k.ctx, cut)
	c.agree("retry", err, c.m.retry(cut))
}

// fork forks a run at some position, with some of its hooks.
func (c *checker) fork() {
	f := store.Fork{Run: startedRun(c.runID()), Origin: store.Origin{RunID: c.runID(), Position: 1}, Data: []byte("d")}
	f.Run.Input = nil
	l, err := c.k.s.Load(c.k.ctx, f.Origin.RunID, 0)
	if !errors.Is(err, store.ErrNotFound) {
		c.ok(err)
		over, err := c.k.s.Generations(c.k.ctx, f.Origin.RunID)
		c.ok(err)
		all := append(over, store.Generation{Number: int(l.Run.Generation), Base: l.Run.Base, Last: l.Run.Events})
		g := rapid.SampledFrom(all).Draw(c.T, "generation")
		f.Generation, f.Base = g.Number, g.Base
		f.Origin.Position = rapid.Int64Range(g.Base, g.Last+1).Draw(c.T, "position")
		events, err := c.k.s.Journal(c.k.ctx, f.Origin.RunID, f.Origin.Position-1, 1)
		c.ok(err)
		if len(events) > 0 {
			f.Epoch, f.Seq = events[0].Epoch, events[0].Seq
		}
	}
	f.Origin.Prefix = []store.Ancestor{{RunID: f.Origin.RunID, Secret: l.Run.Secret, Last: f.Origin.Position}}
	tokens := map[string]bool{}
	for _, h := range c.m.hooks {
		if h.run != f.Origin.RunID || !rapid.Bool().Draw(c.T, "hook") {
			continue
		}
		fh := store.ForkedHook{ID: h.id, Unopened: rapid.Bool().Draw(c.T, "unopened")}
		if rapid.Bool().Draw(c.T, "token of its own") {
			c.n++
			fh.Token = fmt.Sprint("forked", c.n)
		}
		token := fh.Token
		if token == "" {
			token = h.token
		}
		if !tokens[token] {
			tokens[token] = true
			f.Hooks = append(f.Hooks, fh)
		}
	}
	_, err = c.k.s.Fork(c.k.ctx, f)
	c.agree("fork", err, c.m.fork(f))
}

func (c *checker) pruneGenerations() {
	pruned, more, err := c.k.s.PruneGenerations(c.k.ctx, c.k.now().Add(time.Minute), 1000)
	c.ok(err)
	c.same("pruned generations", []any{pruned, more}, []any{c.m.pruneGenerations(), false})
}

func (c *checker) unblock() {
	id := c.runID()
	c.agree("unblock", c.k.s.Unblock(c.k.ctx, id), c.m.unblock(id))
}

// pause pauses a run, or seldom all; or lets them go on, which is more frequent.
func (c *checker) pause() {
	id, seldom := c.runID(), c.seldom("of the workflow")
	switch paused := rapid.IntRange(0, 2).Draw(c.T, "pause") == 0; {
	case seldom && paused:
		c.ok(c.k.s.PauseWorkflow(c.k.ctx, "flow", store.Pause{Actor: "ada"}))
		c.m.paused = true
	case seldom || c.m.paused && !paused:
		c.ok(c.k.s.ResumeWorkflow(c.k.ctx, "flow"))
		c.m.paused = false
	case paused:
		c.agree("pause", c.k.s.Pause(c.k.ctx, id, store.Pause{Actor: "ada"}), c.m.pause(id))
	default:
		c.agree("resume", c.k.s.Resume(c.k.ctx, id, "bob"), c.m.resume(id, "bob"))
	}
}

func (c *checker) deposit() {
	d := store.Deposit{RunID: c.runID(), Worker: c.worker(), Release: rapid.Bool().Draw(c.T, "release")}
	if r := c.m.runs[d.RunID]; r != nil {
		d.Epoch = r.epoch
		if r.worker != "" && !c.seldom("another worker") {
			d.Worker = r.worker
		}
	}
	if c.seldom("another epoch") {
		d.Epoch++
	}
	for range rapid.IntRange(0, 2).Draw(c.T, "outcomes") {
		c.n++
		d.Outcomes = append(d.Outcomes, store.Message{
			Kind: pick(c, "outcome", store.StepCompleted, store.StepFailed, store.StepRetried),
			Ref:  pick(c, "step", "a#1", "b#1"), Data: fmt.Append(nil, c.n),
		})
	}
	c.agree("deposit", c.k.s.Deposit(c.k.ctx, d), c.m.deposit(d))
}

func (c *checker) renew(worker string) {
	c.ok(c.k.s.Renew(c.k.ctx, store.Lease{Worker: worker, For: 100 * time.Hour, Definitions: defs}))
	c.m.live[worker] = true
}

func (c *checker) lapse() {
	worker := c.worker()
	c.ok(c.k.s.Renew(c.k.ctx, store.Lease{Worker: worker, For: time.Microsecond, Definitions: defs}))
	c.k.pass(time.Millisecond)
	c.m.live[worker] = false
}

func (c *checker) release() {
	worker := c.worker()
	c.ok(c.k.s.Release(c.k.ctx, worker))
	c.m.release(worker)
}

// compare compares all that can be seen.
func (c *checker) compare() {
	if c.k.h.Check != nil {
		c.ok(c.k.h.Check())
	}
	for _, r := range c.m.sorted() {
		l, err := c.k.s.Load(c.k.ctx, r.id, 0)
		c.ok(err)
		wake := never
		switch {
		case l.Run.WakeAt.IsZero():
		case l.Run.WakeAt.After(c.k.now()):
			wake = later
		default:
			wake = due
		}
		c.same("run "+r.id, []any{
			l.Run.Status, l.Run.Worker, l.Run.Epoch, l.Run.Events, l.Run.Suspicion, l.Run.Crashes, l.Run.Mark, l.Run.BlockedBuild, wake, l.Run.EndedAt.IsZero(),
			l.Run.Generation, l.Run.Base, l.Run.Paused != nil,
		}, []any{
			r.status, r.worker, r.epoch, int64(len(r.events)), r.suspicion, r.crashes, r.mark, r.blocked, r.wake, !r.status.Ended(),
			r.generation, r.base, c.m.stopped(r),
		})
		var events []modelMessage
		for i, e := range l.Events {
			c.same("position", e.Position, r.base+int64(i)+1)
			events = append(events, plain(store.Message{Kind: e.Kind, Ref: e.Ref, Data: e.Data, OrStart: e.OrStart, Actor: e.Actor}))
		}
		c.list("events of "+r.id, events, r.events[r.base:])
		c.list("mail of "+r.id, plains(l.Mail), r.mail)
		var backlogs, waiting []modelMessage
		for _, msg := range c.k.backlogs(l) {
			backlogs = append(backlogs, plain(msg))
		}
		for _, h := range c.m.backlogs(r.id) {
			for _, mm := range h.backlog {
				mm.Ref = h.id
				waiting = append(waiting, mm)
			}
		}
		c.list("backlogs of "+r.id, backlogs, waiting)
		left, err := c.k.s.Mailbox(c.k.ctx, r.id, 1000)
		c.ok(err)
		want := slices.Concat(r.mail, waiting)
		if r.status.Ended() {
			want = slices.DeleteFunc(slices.Clone(r.unread), func(u modelMessage) bool { return u.Kind != store.PayloadReceived })
		}
		c.list("mailbox of "+r.id, plains(left), want)
		for _, g := range r.over {
			left, err := c.k.s.Unread(c.k.ctx, r.id, g.Number, 1000)
			c.ok(err)
			want := slices.DeleteFunc(slices.Clone(r.unread), func(u modelMessage) bool { return u.leftBy != g.Number || u.Kind != store.PayloadReceived })
			c.list(fmt.Sprintf("what generation %d of %s has left", g.Number, r.id), plains(left), want)
		}
	}
	hooks, err := c.k.s.Hooks(c.k.ctx, store.HookFilter{Limit: 1000})
	c.ok(err)
	got, want := []string{}, []string{}
	for _, h := range hooks {
		got = append(got, fmt.Sprintln(h.RunID, h.ID, h.Token, h.Webhook != nil, h.Reserved, h.Carried, h.OpenedPos, h.Subject != ""))
	}
	for _, h := range c.m.hooks {
		if h.open {
			want = append(want, fmt.Sprintln(h.run, h.id, h.token, h.web, h.reserved, h.carried, h.opened, h.listens))
		}
	}
	c.same("open hooks", got, want)
	runs, err := c.k.s.Runs(c.k.ctx, store.Filter{})
	c.ok(err)
	c.same("number of runs", len(runs), len(c.m.runs))
	counts := map[store.Status]int{}
	for _, r := range c.m.runs {
		counts[r.status]++
	}
	counted, err := c.k.s.Count(c.k.ctx, 1000)
	c.ok(err)
	for status, n := range counted {
		c.same("number of runs that are "+string(status), n, counts[status])
		delete(counts, status)
	}
	c.same("runs that are not counted", counts, map[store.Status]int{})
}

func (c *checker) list(what string, got, want []modelMessage) {
	c.Helper()
	want = slices.Clone(want)
	for i := range want {
		want[i].journaled, want[i].number, want[i].leftBy = false, 0, 0
	}
	for _, mail := range [][]modelMessage{got, want} {
		for i, mm := range mail {
			if mm.Kind == store.AwaitRefused && mm.Data != "" {
				mail[i].Data = "cycle" // which one is tested elsewhere
			}
		}
	}
	if !slices.Equal(got, want) {
		c.Fatalf("%s differ\nstore %+v\nmodel %+v", what, got, want)
	}
}

func plains(mail []store.Message) []modelMessage {
	var out []modelMessage
	for _, msg := range mail {
		out = append(out, plain(msg))
	}
	return out
}

func plain(msg store.Message) modelMessage {
	return modelMessage{Kind: msg.Kind, Ref: msg.Ref, Data: string(msg.Data), OrStart: orStartOf(msg.OrStart), Actor: msg.Actor}
}

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
			"unblock":   func(*rapid.T) { c.unblock() },
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
	r := newRun(c.runID())
	c.agree("start", c.k.s.Start(c.k.ctx, r), c.m.start(r))
}

func (c *checker) accept() {
	c.n++
	p := store.Payload{Token: c.token(), Data: fmt.Append(nil, c.n), Key: pick(c, "key", "", "", "k0", "k1"), KeepFor: long}
	if rapid.Bool().Draw(c.T, "or start") {
		r := newRun(c.runID())
		p.OrStart = &r
	}
	rec, err := c.k.s.Accept(c.k.ctx, p)
	run, duplicate, want := c.m.accept(p)
	c.agree("accept", err, want)
	c.same("receipt", []any{rec.Hook.RunID, rec.Duplicate}, []any{run, duplicate})
}

func (c *checker) message() store.Message {
	kind := pick(c, "kind", store.CancelRequested, store.Woken, store.ChildCompleted)
	return store.Message{RunID: c.runID(), Kind: kind, Ref: "x#1", Data: []byte("d")}
}

func (c *checker) send() {
	msg := c.message()
	c.agree("send", c.k.s.Send(c.k.ctx, msg), c.m.send(msg))
}

func (c *checker) create() {
	r := newRun(c.runID())
	if rapid.Bool().Draw(c.T, "child") {
		r.ParentID, r.ParentRef = c.runID(), "call#1"
	}
	now := c.k.now()
	t := &store.Transition{
		RunID: r.ID, Create: &r, Worker: c.worker(), Epoch: 1, Seq: 1, At: now,
		Events: []store.Event{{At: now, Kind: store.Started, Data: r.Input}},
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
			t.Events = append(t.Events, store.Event{At: t.At, Kind: msg.Kind, Ref: msg.Ref, Data: msg.Data, OrStart: msg.OrStart})
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
			t.Unread = append(t.Unread, store.Message{Kind: e.Kind, Ref: e.Ref, Data: e.Data, OrStart: e.OrStart, AcceptedAt: e.At})
		}
	}
	c.finish(t, took, pulled)
}

// finish draws the rest of a transition, and applies it.
func (c *checker) finish(t *store.Transition, took []int, pulled map[string]int) {
	pos := t.After + int64(len(t.Events))
	for range rapid.IntRange(0, 3).Draw(c.T, "effects") {
		t.Effects = append(t.Effects, c.effect(t.RunID, pos))
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
	if !t.Status.Ended() {
		t.Unread = nil
	} else if len(t.Events) == 0 {
		t.Events = append(t.Events, store.Event{At: t.At, Kind: store.RunFailed})
	}
	got, err := c.k.s.Apply(c.k.ctx, t)
	want, wantErr := c.m.apply(t, took, pulled, wake)
	c.agree("apply", err, wantErr)
	if len(want) == 0 {
		want = nil
	}
	c.same("outcomes", got, want)
}

func (c *checker) effect(run string, pos int64) store.Effect {
	c.n++
	switch pick(c, "effect", store.OpenHook, store.OpenHook, store.CloseHook, store.StartRun, store.Send) {
	case store.OpenHook:
		return c.k.opens(fmt.Sprint("h", c.n), c.token(), pos)
	case store.CloseHook:
		id := "none"
		for _, h := range c.m.hooks {
			if h.run == run && h.open {
				id = h.id
			}
		}
		return closes(id, pos)
	case store.StartRun:
		return store.Effect{Kind: store.StartRun, Run: newRun(c.runID())}
	default:
		return store.Effect{Kind: store.Send, Message: c.message()}
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
	id := c.runID()
	c.agree("terminate", c.k.s.Terminate(c.k.ctx, id, store.Event{At: c.k.now(), Kind: store.RunCanceled}), c.m.terminate(id))
}

func (c *checker) retry() {
	id := c.runID()
	cut := store.Cut{RunID: id, From: 1}
	if r := c.m.runs[id]; r != nil {
		cut.Events = int64(len(r.events))
		cut.From = rapid.Int64Range(1, cut.Events+1).Draw(c.T, "from")
		for pos := cut.From; pos <= cut.Events; pos++ {
			if r.events[pos-1].Kind == store.PayloadReceived {
				cut.Back = append(cut.Back, pos)
			}
		}
	}
	_, err := c.k.s.Retry(c.k.ctx, cut)
	c.agree("retry", err, c.m.retry(cut))
}

func (c *checker) unblock() {
	id := c.runID()
	c.agree("unblock", c.k.s.Unblock(c.k.ctx, id), c.m.unblock(id))
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
		}, []any{
			r.status, r.worker, r.epoch, int64(len(r.events)), r.suspicion, r.crashes, r.mark, r.blocked, r.wake, !r.status.Ended(),
		})
		var events []modelMessage
		for i, e := range l.Events {
			c.same("position", e.Position, int64(i)+1)
			events = append(events, plain(store.Message{Kind: e.Kind, Ref: e.Ref, Data: e.Data, OrStart: e.OrStart}))
		}
		c.list("events of "+r.id, events, r.events)
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
	}
	hooks, err := c.k.s.Hooks(c.k.ctx, store.HookFilter{Limit: 1000})
	c.ok(err)
	got, want := []string{}, []string{}
	for _, h := range hooks {
		got = append(got, fmt.Sprintln(h.RunID, h.ID, h.Token, h.Reserved, h.OpenedPos))
	}
	for _, h := range c.m.hooks {
		if h.open {
			want = append(want, fmt.Sprintln(h.run, h.id, h.token, h.reserved, h.opened))
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
		want[i].journaled, want[i].number = false, 0
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
	m := modelMessage{Kind: msg.Kind, Ref: msg.Ref, Data: string(msg.Data)}
	if msg.OrStart != nil {
		m.OrStart = msg.OrStart.ID
	}
	return m
}

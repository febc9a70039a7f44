package storetest

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/store"
)

// kit makes tests short: its methods fail the test when the store does.
type kit struct {
	*testing.T
	h *Harness
	s store.Store
	// leased are the workers that have had a lease.
	leased map[string]bool
	ctx    context.Context //nolint:containedctx // of one test
}

const (
	short = 500 * time.Millisecond // leases and receipts that are to lapse
	long  = time.Hour              // those that are not
)

var defs = []store.Definition{{Workflow: "flow", Version: 1}}

func (k *kit) now() time.Time { return k.s.Now().UTC().Truncate(time.Microsecond) }

func (k *kit) pass(d time.Duration) { k.h.Advance(d + 10*time.Millisecond) }

func (k *kit) ok(err error) {
	k.Helper()
	if err != nil {
		k.Fatalf("unexpected error: %v", err)
	}
}

func (k *kit) fails(err, want error) {
	k.Helper()
	if !errors.Is(err, want) {
		k.Fatalf("error is %v, want %v", err, want)
	}
}

// large spares cmp to compare large data that is the same byte by byte, by reflection.
var large = cmp.FilterValues(func(a, b []byte) bool { return len(a) > 1000 && bytes.Equal(a, b) }, cmp.Ignore())

func (k *kit) same(what string, got, want any) {
	k.Helper()
	if d := cmp.Diff(want, got, large); d != "" {
		k.Fatalf("%s differs (-want +got):\n%s", what, d)
	}
}

func newRun(id string) store.NewRun {
	return store.NewRun{ID: id, Workflow: "flow", Version: 1, Input: []byte(`"in"`), Secret: []byte("secret")}
}

func (k *kit) start(id string) {
	k.Helper()
	k.ok(k.s.Start(k.ctx, newRun(id)))
}

// begin is the transition that creates a run: started, then waiting and free.
func (k *kit) begin(id string, effects ...store.Effect) *store.Transition {
	r := newRun(id)
	now := k.now()
	return &store.Transition{
		RunID: id, Worker: "w1", Epoch: 1, Seq: 1, Create: &r, At: now, Status: store.Waiting,
		Events:  []store.Event{{At: now, Kind: store.Started, Data: r.Input}},
		Effects: effects,
	}
}

// then is a transition of a run as it is now, by worker w1, with an event of each kind.
func (k *kit) then(id string, status store.Status, kinds ...store.Kind) *store.Transition {
	k.Helper()
	r := k.load(id).Run
	now := k.now()
	t := &store.Transition{
		RunID: id, Worker: "w1", Epoch: r.Epoch, Seq: r.Events + 100, After: r.Events,
		At: now, Status: status, Version: 1,
	}
	for _, kind := range kinds {
		t.Events = append(t.Events, store.Event{At: now, Kind: kind})
	}
	return t
}

func (k *kit) apply(t *store.Transition) []store.Outcome {
	k.Helper()
	o, err := k.s.Apply(k.ctx, t)
	k.ok(err)
	if len(o) != len(t.Effects) {
		k.Fatalf("%d outcomes for %d effects", len(o), len(t.Effects))
	}
	return o
}

func (k *kit) refused(t *store.Transition, want error) {
	k.Helper()
	before, err := k.s.Load(k.ctx, t.RunID, 0)
	if !errors.Is(err, store.ErrNotFound) {
		k.ok(err)
	}
	_, err = k.s.Apply(k.ctx, t)
	k.fails(err, want)
	after, err := k.s.Load(k.ctx, t.RunID, 0)
	if !errors.Is(err, store.ErrNotFound) {
		k.ok(err)
	}
	k.same("run after a refusal", after, before)
}

// park creates a run that waits on a hook for each token.
func (k *kit) park(id string, tokens ...string) {
	k.Helper()
	var effects []store.Effect
	for _, token := range tokens {
		effects = append(effects, k.opens(id+"/"+token, token, 1))
	}
	for _, o := range k.apply(k.begin(id, effects...)) {
		if o.Conflict != "" {
			k.Fatalf("token is taken by %s", o.Conflict)
		}
	}
}

func (k *kit) opens(id, token string, pos int64) store.Effect {
	return store.Effect{Kind: store.OpenHook, Hook: store.Hook{ID: id, Token: token, OpenedPos: pos, CreatedAt: k.now()}}
}

func closes(id string, pos int64) store.Effect {
	return store.Effect{Kind: store.CloseHook, Hook: store.Hook{ID: id, ClosedPos: pos}}
}

func (k *kit) load(id string) store.Loaded {
	k.Helper()
	l, err := k.s.Load(k.ctx, id, 0)
	k.ok(err)
	if int64(len(l.Events)) != l.Run.Events-l.Run.Base {
		k.Fatalf("run %s has %d events, its head says %d, %d of them before its generation", id, len(l.Events), l.Run.Events, l.Run.Base)
	}
	for i, e := range l.Events {
		if e.Position != l.Run.Base+int64(i)+1 {
			k.Fatalf("event %d of run %s has position %d", i, id, e.Position)
		}
	}
	for i, m := range l.Mail {
		if m.RunID != id || (i > 0 && m.ID <= l.Mail[i-1].ID) {
			k.Fatalf("mailbox of %s is out of order: %+v", id, l.Mail)
		}
	}
	return l
}

func (k *kit) accept(token, data string) store.Receipt {
	k.Helper()
	r, err := k.s.Accept(k.ctx, store.Payload{Token: token, Data: []byte(data)})
	k.ok(err)
	return r
}

func (k *kit) orStart(token, data, runID string) store.Receipt {
	k.Helper()
	r := newRun(runID)
	rec, err := k.s.Accept(k.ctx, store.Payload{Token: token, Data: []byte(data), OrStart: &r})
	k.ok(err)
	return rec
}

// mail is what is in a mailbox and in the backlogs behind it: kinds, and the data of
// payloads.
func (k *kit) mail(id string) []string {
	k.Helper()
	l := k.load(id)
	return texts(append(l.Mail, k.backlogs(l)...))
}

// backlogs are the payloads in all backlogs of a run.
func (k *kit) backlogs(l store.Loaded) []store.Message {
	k.Helper()
	var all []store.Message
	for _, first := range l.Backlog {
		all = append(append(all, first), k.backlog(l.Run.ID, first.Ref, first.ID)...)
	}
	return all
}

// backlog are the payloads in the backlog of a hook, after the one with an ID.
func (k *kit) backlog(run, hook string, after int64) []store.Message {
	k.Helper()
	waiting, more, err := k.s.Backlog(k.ctx, run, hook, after, 1000)
	k.ok(err)
	if more {
		k.Fatalf("there are more than 1000 payloads in the backlog of %s", hook)
	}
	for i, m := range waiting {
		if m.RunID != run || m.Ref != hook || m.ID <= after || i > 0 && m.ID <= waiting[i-1].ID {
			k.Fatalf("backlog of %s is out of order: %+v", hook, waiting)
		}
	}
	return waiting
}

func texts(mail []store.Message) []string {
	out := []string{}
	for _, m := range mail {
		if m.Kind == store.PayloadReceived {
			out = append(out, string(m.Data))
		} else {
			out = append(out, string(m.Kind))
		}
	}
	return out
}

// takes takes messages in: all of the mailbox if there is no more to say.
func takes(t *store.Transition, mail []store.Message) *store.Transition {
	for _, m := range mail {
		t.Took = append(t.Took, m.ID)
		t.Events = append(t.Events, store.Event{At: t.At, Kind: m.Kind, Ref: m.Ref, Data: m.Data, OrStart: m.OrStart, Actor: m.Actor})
	}
	return t
}

func (k *kit) claim(worker string, limit int) store.Claimed {
	k.Helper()
	return k.claimAt(worker, limit, k.now())
}

func (k *kit) claimAt(worker string, limit int, now time.Time) store.Claimed {
	k.Helper()
	if !k.leased[worker] {
		k.lease(worker, long)
	}
	c, err := k.s.Claim(k.ctx, store.Claim{Worker: worker, Build: "b1", Definitions: defs, Limit: limit, Now: now})
	k.ok(err)
	return c
}

// fence fences off an epoch of a run, as worker w1.
func (k *kit) fence(id string, epoch int64) store.Loaded {
	k.Helper()
	l, err := k.s.Fence(k.ctx, id, "w1", epoch)
	k.ok(err)
	return l
}

func ids(runs []store.Run) []string {
	out := []string{}
	for _, r := range runs {
		out = append(out, r.ID)
	}
	return out
}

func (k *kit) claims(c store.Claimed, want ...string) {
	k.Helper()
	if want == nil {
		want = []string{}
	}
	k.same("claimed runs", ids(c.Runs), want)
}

func (k *kit) lease(worker string, d time.Duration) {
	k.Helper()
	k.leased[worker] = true
	k.ok(k.s.Renew(k.ctx, store.Lease{Worker: worker, For: d, Build: "b1", Definitions: defs}))
}

// mailbox is what Mailbox returns, as mail returns it.
func (k *kit) mailbox(id string) []string {
	k.Helper()
	m, err := k.s.Mailbox(k.ctx, id, 1000)
	k.ok(err)
	return texts(m)
}

func (k *kit) hooks(id string) []string {
	k.Helper()
	hs, err := k.s.Hooks(k.ctx, store.HookFilter{RunID: id, Limit: 1000})
	k.ok(err)
	out := []string{}
	for _, h := range hs {
		out = append(out, h.ID)
	}
	return out
}

// open reports which run has the token.
func (k *kit) owner(token string) string {
	k.Helper()
	h, err := k.s.Hook(k.ctx, token)
	if errors.Is(err, store.ErrNotFound) {
		return ""
	}
	k.ok(err)
	return h.RunID
}

// fail ends run r as failed, one event after what it has.
func (k *kit) fail() {
	k.Helper()
	k.apply(k.then("r", store.Failed, store.RunFailed))
}

package storetest

import (
	"github.com/tenter-dev/tenter/store"
)

// forkOf is a fork of a run as it is now, up to a position.
func (k *kit) forkOf(origin, id string, position int64, hooks ...store.ForkedHook) store.Fork {
	k.Helper()
	l := k.load(origin)
	f := store.Fork{
		Run:        store.NewRun{ID: id, Workflow: "flow", Version: 2, Secret: []byte("other"), Trace: "trace"},
		Origin:     store.Origin{RunID: origin, Position: position, Step: "a#1", Prefix: []store.Ancestor{{RunID: origin, Secret: []byte("secret"), Last: position}}},
		Generation: int(l.Run.Generation), Base: l.Run.Base,
		Hooks: hooks, Data: []byte("why"),
	}
	if i := position - l.Run.Base - 1; i >= 0 && i < int64(len(l.Events)) {
		f.Epoch, f.Seq = l.Events[i].Epoch, l.Events[i].Seq
	}
	return f
}

// forks makes a fork.
func (k *kit) forks(f store.Fork) {
	k.Helper()
	_, err := k.s.Fork(k.ctx, f)
	k.ok(err)
}

// notForked makes a fork that is to be refused, and returns the hook that has a token.
func (k *kit) notForked(f store.Fork, want error) store.Hook {
	k.Helper()
	h, err := k.s.Fork(k.ctx, f)
	k.fails(err, want)
	if f.Run.ID != f.Origin.RunID {
		_, err = k.s.Load(k.ctx, f.Run.ID, 0)
		k.fails(err, store.ErrNotFound)
	}
	return h
}

// request sends a request to a webhook.
func (k *kit) request(token, data string) {
	k.Helper()
	_, err := k.s.Accept(k.ctx, store.Payload{Token: token, Data: []byte(data), Request: "q"})
	k.ok(err)
}

var forkTests = []test{
	{"copies the journal up to a position", func(k *kit) {
		k.park("r")
		t := k.then("r", store.Waiting)
		t.Events = []store.Event{
			{At: t.At, Kind: store.StepCompleted, Ref: "a#1", Data: []byte("1"), Asked: "step b#1"},
			{At: t.At, Kind: store.StepCompleted, Ref: "b#1", Data: []byte("2")},
		}
		k.apply(t)
		k.ok(k.s.Send(k.ctx, store.Message{RunID: "r", Kind: store.CancelRequested}))
		before := k.load("r")
		f := k.forkOf("r", "f", 2)
		k.forks(f)
		l := k.load("f")
		k.same("run", l.Run, store.Run{
			ID: "f", Workflow: "flow", Version: 2, Status: store.Running, Secret: []byte("other"), Trace: "trace",
			CreatedAt: l.Run.CreatedAt, UpdatedAt: l.Run.CreatedAt, Epoch: before.Run.Epoch, Events: 2, Origin: &f.Origin,
		})
		k.same("events", l.Events, before.Events[:2])
		k.same("mail", l.Mail, []store.Message{{ID: l.Mail[0].ID, RunID: "f", Kind: store.Forked, Ref: "r", Data: []byte("why"), AcceptedAt: l.Run.CreatedAt}})
		k.same("origin", k.load("r"), before)
		r, err := k.s.Run(k.ctx, "f")
		k.ok(err)
		k.same("origin of the head", r.Origin, &f.Origin)
	}},
	{"goes on by itself", func(k *kit) {
		k.park("r")
		k.apply(k.then("r", store.Waiting, store.TimerFired))
		k.forks(k.forkOf("r", "f", 1))
		k.lease("w1", long)
		c, err := k.s.Claim(k.ctx, store.Claim{Worker: "w1", Definitions: []store.Definition{{Workflow: "flow", Version: 2}}, Limit: 10, Now: k.now()})
		k.ok(err)
		k.claims(c, "f")
		k.same("claimed", c.Runs[0].Origin.RunID, "r")
		t := takes(k.then("f", store.Failed, store.RunFailed), k.load("f").Mail)
		k.apply(t)
		k.same("lengths", []int64{k.load("f").Run.Events, k.load("r").Run.Events}, []int64{3, 2})
		_, err = k.s.Retry(k.ctx, store.Cut{RunID: "f", Events: 3, From: 1})
		k.fails(err, store.ErrConflict) // it can't lose what it has from its origin
		_, err = k.s.Retry(k.ctx, store.Cut{RunID: "f", Events: 3, From: 2})
		k.ok(err)
	}},
	{"has what it has when its origin is gone", func(k *kit) {
		k.park("r", "tok")
		k.forks(k.forkOf("r", "f", 1, store.ForkedHook{ID: "r/tok", Token: "new"}))
		k.apply(k.then("r", store.Completed, store.RunCompleted))
		pruned, _, err := k.s.Prune(k.ctx, k.now().Add(long), 1000)
		k.ok(err)
		k.same("pruned", pruned, 1)
		k.same("events", len(k.load("f").Events), 1)
		k.same("owner", k.owner("new"), "f")
		runs, err := k.s.Runs(k.ctx, store.Filter{ForkedFrom: "r"})
		k.ok(err)
		k.same("forks", ids(runs), []string{"f"})
	}},
	{"has hooks with tokens of its own", func(k *kit) {
		e := k.opens("r/tok", "tok", 1)
		e.Hook.Type, e.Hook.Metadata, e.Hook.Webhook = "approval", []byte(`{"a": 1}`), []byte(`{"verify": "v"}`)
		k.apply(k.begin("r", e))
		k.request("tok", "stays")
		t := k.then("r", store.Waiting, store.TimerFired)
		t.Effects = []store.Effect{closes("r/tok", 2)} // after the position
		k.apply(t)
		k.forks(k.forkOf("r", "f", 1, store.ForkedHook{ID: "r/tok", Token: "new"}))
		h, err := k.s.Hook(k.ctx, "new")
		k.ok(err)
		k.same("hook", h, store.Hook{
			ID: "r/tok", RunID: "f", Token: "new", Type: "approval", Metadata: []byte(`{"a": 1}`), Webhook: []byte(`{"verify": "v"}`),
			CreatedAt: e.Hook.CreatedAt, OpenedPos: 1,
		})
		k.request("new", "1")
		k.same("mail", k.mail("f"), []string{"forked", "1"})
		k.same("mail of the origin", k.mail("r"), []string{"stays"})
		k.same("mail's hook", k.load("f").Mail[1].Ref, "r/tok")
	}},
	{"takes over tokens that nobody has", func(k *kit) {
		k.park("r", "mine", "tok")
		f := k.forkOf("r", "f", 1, store.ForkedHook{ID: "r/mine", Token: "new"}, store.ForkedHook{ID: "r/tok"})
		h := k.notForked(f, store.ErrExists)
		k.same("owner", h.RunID+" "+h.ID, "r r/tok")
		k.same("owner of what it would have had", k.owner("new"), "")
		k.apply(k.then("r", store.Completed, store.RunCompleted))
		f = k.forkOf("r", "f", 1, f.Hooks...)
		k.forks(f)
		k.same("owners", k.owner("new")+k.owner("tok"), "ff")
		k.same("hooks", k.hooks("f"), []string{"r/mine", "r/tok"})
	}},
	{"has reservations again that its origin had", func(k *kit) {
		k.orStart("tok", "1", "r")
		k.claims(k.claim("w1", 1), "r")
		t := takes(k.then("r", store.Waiting), k.load("r").Mail) // 1 and 2
		t.Keep = true
		k.apply(t)
		t = k.then("r", store.Completed, store.HookClaimed, store.RunCompleted)
		t.Effects = []store.Effect{k.opens("r.h1", "tok", 3)}
		k.apply(t)
		k.forks(k.forkOf("r", "f", 2, store.ForkedHook{ID: "r.h0", Unopened: true}))
		h, err := k.s.Hook(k.ctx, "tok")
		k.ok(err)
		k.same("hook", []any{h.ID, h.RunID, h.Reserved, h.Carried, h.OpenedPos}, []any{"r.h0", "f", true, false, int64(0)})
		t = k.then("f", store.Waiting)
		t.Effects = []store.Effect{k.opens("f.h1", "tok", 2)}
		k.same("adopted", k.apply(t)[0].HookID, "r.h0")
		k.same("successors", k.load("f").Events[1].OrStart, (*store.NewRun)(nil))
	}},
	{"has carried hooks again that its origin had", func(k *kit) {
		k.park("r", "tok")
		k.apply(k.restarts("again", journaled("r/tok", "1", k.now())))
		k.apply(takes(k.then("r", store.Waiting), k.load("r").Mail))
		t := k.then("r", store.Completed, store.HookClaimed, store.RunCompleted)
		t.Effects = []store.Effect{k.opens("r/2", "tok", 5)}
		k.apply(t)
		k.forks(k.forkOf("r", "f", 4, store.ForkedHook{ID: "r/tok", Unopened: true}))
		h, err := k.s.Hook(k.ctx, "tok")
		k.ok(err)
		k.same("hook", []any{h.ID, h.RunID, h.Reserved, h.Carried}, []any{"r/tok", "f", false, true})
	}},
	{"continues the generation", func(k *kit) {
		k.park("r")
		k.apply(k.restarts("again"))
		k.apply(takes(k.then("r", store.Waiting), k.load("r").Mail)) // 3
		k.notForked(k.forkOf("r", "f", 2), store.ErrConflict)
		k.forks(k.forkOf("r", "f", 3))
		l := k.load("f")
		k.same("generation", []any{l.Run.Generation, l.Run.Base, l.Run.Events, len(l.Events)}, []any{int32(1), int64(2), int64(3), 1})
		over, err := k.s.Generations(k.ctx, "f")
		k.ok(err)
		k.same("generations that are over", len(over), 0)
		t := takes(k.then("f", store.Running, store.Restarted), l.Mail)
		t.Restart = &store.Restart{Start: "next"}
		k.apply(t)
		l = k.load("f")
		k.same("generation", []any{l.Run.Generation, l.Run.Base, l.Run.Origin.Position}, []any{int32(2), int64(5), int64(3)})
	}},
	{"continues a generation that is over", func(k *kit) {
		k.park("r", "tok")
		t := k.restarts("again")
		k.apply(t) // 2
		k.apply(takes(k.then("r", store.Waiting), k.load("r").Mail))
		adopts := k.then("r", store.Waiting, store.HookClaimed)
		adopts.Effects = []store.Effect{k.opens("r/2", "tok", 4)}
		k.apply(adopts) // 4
		k.apply(k.restarts("and again"))
		k.apply(takes(k.then("r", store.Waiting), k.load("r").Mail)) // 6
		earlier := func(id string, generation int, base, position int64, hooks ...store.ForkedHook) store.Fork {
			f := k.forkOf("r", id, position, hooks...)
			f.Generation, f.Base = generation, base
			events, err := k.s.Journal(k.ctx, "r", position-1, 1)
			k.ok(err)
			f.Epoch, f.Seq = events[0].Epoch, events[0].Seq
			return f
		}
		before := k.load("r")
		for _, wrong := range []store.Fork{earlier("f", 0, 2, 1), earlier("f", 1, 0, 1), earlier("f", 0, 0, 3), earlier("f", 1, 2, 2), earlier("f", 3, 5, 6), earlier("f", 2, 2, 6)} {
			k.notForked(wrong, store.ErrConflict)
		}
		k.forks(earlier("first", 0, 0, 1, store.ForkedHook{ID: "r/tok", Token: "first"}))
		k.forks(earlier("second", 1, 2, 4, store.ForkedHook{ID: "r/tok", Token: "second"}))
		for id, want := range map[string][]any{"first": {int32(0), int64(0), int64(1), 1}, "second": {int32(1), int64(2), int64(4), 2}} {
			l := k.load(id)
			k.same("generation", []any{l.Run.Generation, l.Run.Base, l.Run.Events, len(l.Events)}, want)
			k.same("owner", k.owner(id), id)
		}
		k.same("origin", k.load("r"), before)
		k.apply(takes(k.then("first", store.Failed, store.RunFailed), k.load("first").Mail))
		_, err := k.s.Retry(k.ctx, store.Cut{RunID: "first", Events: k.load("first").Run.Events, From: 2})
		k.ok(err)
		k.same("owner after a retry", k.owner("first"), "first")
		_, _, err = k.s.PruneGenerations(k.ctx, k.now().Add(long), 1000)
		k.ok(err)
		f := k.forkOf("r", "late", 1)
		f.Generation, f.Base = 0, 0
		k.notForked(f, store.ErrConflict)
	}},
	{"refuses what is not as its caller saw it", func(k *kit) {
		k.notForked(store.Fork{Run: newRun("f"), Origin: store.Origin{RunID: "r", Position: 1}}, store.ErrNotFound)
		k.park("r")
		k.fail() // 2
		k.notForked(k.forkOf("r", "f", 3), store.ErrConflict)
		k.notForked(k.forkOf("r", "f", 0), store.ErrConflict)
		k.notForked(k.forkOf("r", "f", 1, store.ForkedHook{ID: "none", Token: "new"}), store.ErrConflict)
		f := k.forkOf("r", "f", 2)
		_, err := k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 2, From: 2})
		k.ok(err)
		k.apply(k.then("r", store.Waiting, store.TimerFired)) // 2 again
		k.notForked(f, store.ErrConflict)
		k.forks(k.forkOf("r", "f", 2))
	}},
	{"refuses an ID that is taken", func(k *kit) {
		k.park("r", "tok")
		k.start("f")
		before := k.load("f")
		h, err := k.s.Fork(k.ctx, k.forkOf("r", "f", 1, store.ForkedHook{ID: "r/tok", Token: "new"}))
		k.fails(err, store.ErrExists)
		k.same("hook", h, store.Hook{})
		k.same("run", k.load("f"), before)
		k.same("owner", k.owner("new"), "")
		k.notForked(k.forkOf("r", "r", 1), store.ErrExists)
	}},
	{"lists the forks of a run", func(k *kit) {
		k.park("r")
		k.park("other")
		for _, id := range []string{"a", "b", "c"} {
			k.forks(k.forkOf("r", id, 1))
		}
		k.forks(k.forkOf("a", "fork of a fork", 1))
		list := func(f store.Filter) []string {
			f.ForkedFrom = "r"
			runs, err := k.s.Runs(k.ctx, f)
			k.ok(err)
			return ids(runs)
		}
		k.same("forks", list(store.Filter{}), []string{"c", "b", "a"})
		k.same("forks", list(store.Filter{Limit: 1}), []string{"c"})
		k.same("forks", list(store.Filter{Prefix: "b"}), []string{"b"})
		k.same("forks", list(store.Filter{Status: store.Waiting}), []string{})
		k.same("forks", list(store.Filter{Workflow: "flow"}), []string{"c", "b", "a"})
	}},
	{"signals the fork", func(k *kit) {
		k.park("r")
		signals := make(chan store.Signal, 1000)
		defer k.s.Watch(func(s store.Signal) { signals <- s })()
		k.forks(k.forkOf("r", "f", 1))
		k.signal(signals, func(s store.Signal) bool { return has(s.Mail, "f") })
	}},
	{"is imported as it was exported", func(k *kit) {
		a := k.archiver()
		k.park("r", "tok")
		k.forks(k.forkOf("r", "f", 1, store.ForkedHook{ID: "r/tok", Token: "new"}))
		want := renamed(k.export("f"), "other")
		_, err := a.Import(k.ctx, []store.Archive{want})
		k.ok(err)
		k.same("archive", sameAnew(k.export("other")), sameAnew(want))
		runs, err := k.s.Runs(k.ctx, store.Filter{ForkedFrom: "r"})
		k.ok(err)
		k.same("forks", len(runs), 2)
	}},
}

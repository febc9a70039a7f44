package storetest

import (
	"time"

	"github.com/tenter-dev/tenter/store"
)

// restarts is the transition that ends the generation of run r as it is now.
func (k *kit) restarts(input string, unread ...store.Message) *store.Transition {
	k.Helper()
	t := k.then("r", store.Running, store.Restarted)
	t.Keep, t.WakeAt, t.Unread = true, t.At, unread
	t.Restart = &store.Restart{Start: "next", Input: []byte(input)}
	return t
}

func journaled(hook, data string, at time.Time) store.Message {
	return store.Message{Kind: store.PayloadReceived, Ref: hook, Data: []byte(data), AcceptedAt: at}
}

var restartTests = []test{
	{"begins the next generation with its input", func(k *kit) {
		k.park("r", "tok")
		before := k.load("r").Run
		t := k.restarts("again")
		t.Version = 2
		t.Executing = []store.Attempt{{RunID: "r", Step: "a#1", Attempt: 1, StartedAt: k.now(), Worker: "w1"}}
		k.apply(t)
		l := k.load("r")
		after := before
		after.Status, after.Worker, after.UpdatedAt, after.WakeAt = store.Running, "w1", t.At, t.WakeAt
		after.Epoch, after.Events, after.Generation, after.Base, after.Version = before.Epoch+1, 2, 1, 2, 2
		k.same("run", l.Run, after)
		k.same("events", len(l.Events), 0)
		k.same("mail", l.Mail, []store.Message{{ID: l.Mail[0].ID, RunID: "r", Kind: store.Started, Ref: "next", Data: []byte("again"), AcceptedAt: t.At}})
		all, err := k.s.Journal(k.ctx, "r", 0, 100)
		k.ok(err)
		k.same("journal of all generations", len(all), 2)
		over, err := k.s.Generations(k.ctx, "r")
		k.ok(err)
		k.same("generations", over, []store.Generation{{Number: 0, EndedAt: t.At, Base: 0, Last: 2}})
		k.refused(t, store.ErrFenced)
		attempts, err := k.s.Executing(k.ctx, "r")
		k.ok(err)
		k.same("attempts", len(attempts), 0)
	}},
	{"lets the hooks go along, with what waits for them", func(k *kit) {
		k.park("r", "t1", "t2")
		k.accept("t1", "2")
		k.accept("t2", "4")
		at := k.now().Add(-time.Hour)
		k.apply(k.restarts("", journaled("r/t1", "1", at), journaled("r/t2", "3", at)))
		k.same("mail", k.mail("r"), []string{"started", "1", "3", "2", "4"})
		k.same("time", k.load("r").Mail[1].AcceptedAt.Equal(at.Truncate(time.Microsecond)), true)
		h, err := k.s.Hook(k.ctx, "t1")
		k.ok(err)
		k.same("hook", []any{h.ID, h.Carried, h.Reserved}, []any{"r/t1", true, false})
		k.accept("t1", "5")
		t := k.then("r", store.Waiting)
		t.Effects = []store.Effect{k.opens("r/again", "t1", 3)}
		o := k.apply(t)[0]
		k.same("outcome", []any{o.HookID, o.CreatedAt, o.Conflict}, []any{"r/t1", h.CreatedAt, ""})
		k.same("repeat", k.apply(k.repeat(t))[0], o)
		h, err = k.s.Hook(k.ctx, "t1")
		k.ok(err)
		k.same("hook", []any{h.Carried, h.OpenedPos}, []any{false, int64(3)})
		k.same("mail", k.mail("r"), []string{"started", "1", "3", "2", "4", "5"})
	}},
	{"puts what the journal has in front of a backlog", func(k *kit) {
		k.park("r", "tok")
		k.accept("tok", "2")
		k.accept("tok", "3")
		t := k.then("r", store.Waiting)
		t.Defer = []string{"r/tok"}
		k.apply(t)
		k.accept("tok", "4")
		k.apply(k.restarts("", journaled("r/tok", "1", k.now())))
		k.same("mail", texts(k.load("r").Mail), []string{"started"})
		k.same("with backlogs", k.mail("r"), []string{"started", "1", "2", "3", "4"})
		k.apply(takes(k.restarts(""), k.load("r").Mail)) // the next generation has not opened it either
		k.same("unread", k.mail("r"), []string{"started"})
		k.same("owner", k.owner("tok"), "")
	}},
	{"closes what the generation before has carried and this one has not opened", func(k *kit) {
		k.park("r", "t1", "t2")
		k.apply(k.restarts(""))
		k.accept("t1", "1")
		k.accept("t2", "2")
		t := k.then("r", store.Running)
		t.Effects = []store.Effect{k.opens("r/again", "t2", 3)}
		k.apply(t)
		k.apply(k.restarts(""))
		k.same("owners", k.owner("t1")+k.owner("t2"), "r")
		k.same("mail", k.mail("r"), []string{"started", "started", "2"})
		k.ok(k.s.Terminate(k.ctx, "r", store.Event{At: k.now(), Kind: store.RunCanceled}))
		k.same("unread", k.mailbox("r"), []string{"1", "2"})
	}},
	{"starts successors with what came for closed hooks with OrStart", func(k *kit) {
		k.park("r", "closed", "open")
		k.orStart("closed", "1", "s1")
		k.accept("closed", "plain")
		k.orStart("open", "2", "s2")
		t := k.restarts("")
		t.TookAny = true
		t.Effects = []store.Effect{closes("r/closed", 2)}
		k.apply(t)
		k.same("mail of the successor", k.mail("s1"), []string{"started", "1"})
		k.same("mail", k.mail("r"), []string{"started", "2"})
		k.same("owners", k.owner("closed")+k.owner("open"), "s1r")
		_, err := k.s.Load(k.ctx, "s2", 0)
		k.fails(err, store.ErrNotFound)
	}},
	{"leaves a reservation a reservation", func(k *kit) {
		k.orStart("tok", "1", "r")
		k.claims(k.claim("w1", 1), "r")
		mail := k.load("r").Mail
		k.apply(takes(k.restarts("", journaled("r.h0", "1", mail[1].AcceptedAt)), mail))
		h, err := k.s.Hook(k.ctx, "tok")
		k.ok(err)
		k.same("hook", []any{h.Reserved, h.Carried}, []any{true, false})
		k.same("mail", k.mail("r"), []string{"started", "1"})
	}},
	{"leaves what came for a reservation that it has closed", func(k *kit) {
		k.orStart("tok", "1", "r")
		k.claims(k.claim("w1", 1), "r")
		t := k.restarts("")
		t.TookAny = true
		t.Effects = []store.Effect{closes("r.h0", 2), k.opens("h", "tok", 2)}
		k.same("outcome", k.apply(t)[1].HookID, "h")
		k.same("mail", k.mail("r"), []string{"started", "started"})
		k.same("mailbox", k.mailbox("r"), []string{"started", "started"})
		k.ok(k.s.Terminate(k.ctx, "r", store.Event{At: k.now(), Kind: store.RunCanceled}))
		k.same("unread", k.mailbox("r"), []string{"1"})
	}},
	{"hands an order to cancel on, and drops those to wake and to try again", func(k *kit) {
		k.park("r", "tok")
		k.ok(k.s.Send(k.ctx, store.Message{RunID: "r", Kind: store.Woken}))
		k.ok(k.s.Send(k.ctx, store.Message{RunID: "r", Kind: store.RetryNow}))
		k.ok(k.s.Send(k.ctx, store.Message{RunID: "r", Kind: store.ChildCompleted, Ref: "c#1"}))
		t := k.restarts("", journaled("r/tok", "1", k.now()))
		t.Restart.Canceled = true
		k.apply(t)
		k.same("mail", k.mail("r"), []string{"started", "cancel_requested", "1", "child_completed"})
	}},
	{"gives a carried token to no other form of hook", func(k *kit) {
		k.apply(k.begin("r", store.Effect{Kind: store.OpenHook, Hook: store.Hook{ID: "h", Token: "tok", Type: "a", Webhook: []byte(`{"verify":"v"}`), OpenedPos: 1, CreatedAt: k.now()}}))
		k.apply(k.restarts(""))
		for _, other := range []store.Hook{
			{Type: "b", Webhook: []byte(`{"verify":"v"}`)},
			{Type: "a"},
			{Type: "a", Webhook: []byte(`{"verify":"w"}`)},
			{Type: "a", Webhook: []byte(`{}`)},
		} {
			other.ID, other.Token, other.OpenedPos, other.CreatedAt = "again", "tok", 3, k.now()
			t := k.then("r", store.Waiting)
			t.Effects = []store.Effect{{Kind: store.OpenHook, Hook: other}}
			o := k.apply(t)[0]
			if o.Carried == nil || o.HookID != "" || o.Conflict != "r" {
				k.Fatalf("outcome for %+v: %+v", other, o)
			}
			k.same("carried", []any{o.Carried.Type, o.Carried.Webhook != nil}, []any{"a", true})
		}
		t := k.then("r", store.Waiting)
		t.Effects = []store.Effect{{Kind: store.OpenHook, Hook: store.Hook{
			ID: "again", Token: "tok", Type: "a", Webhook: []byte(`{"manual":true,"verify":"v"}`), OpenedPos: 3, CreatedAt: k.now(),
		}}}
		k.same("hook", k.apply(t)[0].HookID, "h")
	}},
	{"retries the present generation alone", func(k *kit) {
		k.park("r", "tok")
		k.apply(k.restarts("again"))
		t := takes(k.then("r", store.Running), k.load("r").Mail)
		t.Effects = []store.Effect{k.opens("r/again", "tok", 3)}
		k.apply(t)
		k.accept("tok", "1")
		k.fail()
		_, err := k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 4, From: 2})
		k.fails(err, store.ErrConflict)
		_, err = k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 4, From: 3, Back: []int64{3}})
		k.ok(err)
		k.same("mail", k.mail("r"), []string{"started", "1", "retried"})
		h, err := k.s.Hook(k.ctx, "tok")
		k.ok(err)
		k.same("hook", []any{h.ID, h.Carried}, []any{"r/tok", true})
		l := k.load("r")
		k.same("run", []any{l.Run.Generation, l.Run.Base, l.Run.Events}, []any{int32(1), int64(2), int64(2)})
	}},
	{"prunes generations that ended before a time, unless the next one has not begun", func(k *kit) {
		k.park("r", "t1", "t2")
		t := k.restarts("")
		t.Effects = []store.Effect{closes("r/t1", 2)}
		k.accept("t1", "unread")
		k.apply(t)
		k.pruneGenerations(0)
		k.apply(takes(k.then("r", store.Running), k.load("r").Mail))
		n, _, err := k.s.PruneGenerations(k.ctx, t.At, 100)
		k.ok(err)
		k.same("pruned before its end", n, 0)
		k.pruneGenerations(1)
		k.pruneGenerations(0)
		all, err := k.s.Journal(k.ctx, "r", 0, 100)
		k.ok(err)
		k.same("journal", []any{len(all), all[0].Position}, []any{1, int64(3)})
		over, err := k.s.Generations(k.ctx, "r")
		k.ok(err)
		k.same("generations", len(over), 0)
		k.same("owner", k.owner("t2"), "r")
		k.apply(k.then("r", store.Completed, store.RunCompleted))
		k.same("unread", k.mailbox("r"), []string{})
		k.pruneGenerations(0)
		n, _, err = k.s.Prune(k.ctx, k.now().Add(time.Minute), 100)
		k.ok(err)
		k.same("pruned runs", n, 1)
	}},
	{"leaves what the journal has of closed hooks", func(k *kit) {
		k.park("r", "t1", "t2")
		k.accept("t1", "2")
		t := k.restarts("", journaled("r/t1", "1", k.now()), journaled("r/t2", "on", k.now()))
		t.Effects = []store.Effect{closes("r/t1", 2)}
		k.apply(t)
		k.same("mail", k.mail("r"), []string{"started", "on"})
		k.ok(k.s.Terminate(k.ctx, "r", store.Event{At: k.now(), Kind: store.RunCanceled}))
		k.same("unread", k.mailbox("r"), []string{"1", "2", "on"})
	}},
	{"reads what each generation has left unread", func(k *kit) {
		k.park("r", "t1", "t2", "t3", "t4")
		unread := func(generation, limit int) []string {
			k.Helper()
			m, err := k.s.Unread(k.ctx, "r", generation, limit)
			k.ok(err)
			return texts(m)
		}
		k.accept("t1", "2")
		k.accept("t1", "3")
		t := k.restarts("", journaled("r/t1", "1", k.now()), journaled("r/t2", "carried", k.now()))
		t.Effects = []store.Effect{closes("r/t1", 2)}
		k.apply(t)
		k.same("unread of the first", unread(0, 100), []string{"1", "2", "3"})
		k.same("a page of it", unread(0, 2), []string{"1", "2"})
		k.same("of the present one", unread(1, 100), []string{})
		t = k.then("r", store.Running)
		t.Effects = []store.Effect{k.opens("r/again", "t3", 3), k.opens("r/last", "t4", 3)}
		k.apply(takes(t, k.load("r").Mail[:1]))
		k.apply(k.restarts("")) // t2 is not carried on
		k.apply(takes(k.then("r", store.Running), k.load("r").Mail))
		k.apply(k.restarts("")) // nor t3 and t4, which are empty
		k.apply(takes(k.then("r", store.Running), k.load("r").Mail))
		k.same("of each", [][]string{unread(0, 100), unread(1, 100), unread(2, 100), unread(3, 100), unread(4, 100)},
			[][]string{{"1", "2", "3"}, {"carried"}, {}, {}, {}})
		l := k.load("r")
		n, _, err := k.s.PruneGenerations(k.ctx, k.now().Add(time.Minute), 1)
		k.ok(err)
		k.same("pruned", n >= 1, true)
		k.same("of one that was pruned", unread(0, 100), []string{})
		k.same("of one that was not", len(unread(1, 100)) <= 1, true)
		k.same("the run", k.load("r").Run, l.Run)
		m, err := k.s.Unread(k.ctx, "nobody", 0, 100)
		k.ok(err)
		k.same("of no run", len(m), 0)
	}},
	{"keeps what the present generation has left unread when older ones are pruned", func(k *kit) {
		left := func() []string {
			k.Helper()
			m, err := k.s.Unread(k.ctx, "r", 1, 100)
			k.ok(err)
			return texts(m)
		}
		k.park("r", "t1", "t2")
		k.accept("t1", "1")
		t := k.restarts("")
		t.Effects = []store.Effect{closes("r/t1", 2)}
		k.apply(t)
		k.again()
		k.apply(k.restarts("")) // leaves nothing
		k.pruneGenerations(1)
		k.again()
		k.accept("t2", "2")
		k.fail()
		k.fails(k.s.Send(k.ctx, store.Message{RunID: "r", Kind: store.ChildCompleted, Ref: "c#1"}), store.ErrFenced)
		k.same("unread", k.mailbox("r"), []string{"2"})
		k.same("unread of the one without", left(), []string{})
		k.pruneGenerations(1)
		k.same("unread after that", k.mailbox("r"), []string{"2"})
		l := k.load("r")
		_, err := k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: l.Run.Events, From: l.Run.Events})
		k.ok(err)
		k.same("mail", k.mail("r"), []string{"2", "child_completed", "retried"})
	}},
	{"retries without what earlier generations have left unread", func(k *kit) {
		k.park("r", "t1", "t2")
		k.accept("t1", "old")
		t := k.restarts("")
		t.Effects = []store.Effect{closes("r/t1", 2)}
		k.apply(t)
		k.again()
		k.accept("t2", "new")
		retry := func() {
			k.Helper()
			k.fail()
			k.same("unread of the run", k.mailbox("r"), []string{"old", "new"})
			l := k.load("r")
			_, err := k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: l.Run.Events, From: l.Run.Events})
			k.ok(err)
			k.same("mail", k.mail("r"), []string{"new", "retried"})
			m, err := k.s.Unread(k.ctx, "r", 0, 100)
			k.ok(err)
			k.same("unread of the generation before", texts(m), []string{"old"})
		}
		retry()
		k.apply(k.then("r", store.Waiting))
		retry()
	}},
	{"prunes links with the hooks that they are for", func(k *kit) {
		k.park("r", "t1", "t2")
		k.does("r", k.links("l1", "r/t1", "ada", long, false), k.links("l2", "r/t2", "ada", long, false), k.links("l3", "r/t1", "eve", long, false))
		k.same("state", k.answer("l3", "1"), store.LinkOpen)
		t := k.restarts("")
		t.Effects = []store.Effect{closes("r/t1", t.After+1)}
		k.apply(t)
		k.again()
		k.same("state", k.link("l1").State, store.LinkClosed)
		k.pruneGenerations(1)
		k.same("links of the run", k.linkIDs(store.LinkFilter{RunID: "r", Limit: 100}), []string{"l2"})
		k.same("links to ada", k.linkIDs(store.LinkFilter{Addressee: "ada", Limit: 100}), []string{"l2"})
		_, err := k.s.Link(k.ctx, "l1")
		k.fails(err, store.ErrNotFound)
	}},
	{"lists no generations of a run that is not there", func(k *kit) {
		over, err := k.s.Generations(k.ctx, "r")
		k.ok(err)
		k.same("generations", len(over), 0)
	}},
}

// again begins the present generation of run r, which opens t2 again.
func (k *kit) again() {
	k.Helper()
	t := takes(k.then("r", store.Waiting), k.load("r").Mail)
	t.Effects = []store.Effect{k.opens("r/again", "t2", t.After+1)}
	k.apply(t)
}

// pruneGenerations deletes as many generations as are expected, and no more.
func (k *kit) pruneGenerations(want int) {
	k.Helper()
	n, more, err := k.s.PruneGenerations(k.ctx, k.now().Add(time.Minute), 100)
	k.ok(err)
	k.same("pruned", []any{n, more}, []any{want, false})
}

// repeat is a transition with the same effects on the run as it is now.
func (k *kit) repeat(t *store.Transition) *store.Transition {
	k.Helper()
	again := k.then(t.RunID, t.Status)
	again.Effects = t.Effects
	return again
}

package storetest

import (
	"fmt"
	"math"

	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

// deferred parks a run with a hook whose payloads go to its backlog, with so many there:
// "1", "2", and so on.
func (k *kit) deferred(id, token string, n int) {
	k.Helper()
	k.park(id, token)
	if n == 0 {
		return
	}
	k.accept(token, "1")
	t := k.then(id, store.Waiting)
	t.Defer = []string{id + "/" + token}
	k.apply(t)
	for i := 2; i <= n; i++ {
		k.accept(token, fmt.Sprint(i))
	}
}

func (k *kit) waiting(hook string) []string {
	k.Helper()
	return texts(k.backlog("r", hook, math.MinInt64))
}

// pulls takes messages in that are in a backlog.
func pulls(t *store.Transition, waiting []store.Message) *store.Transition {
	for _, m := range waiting {
		t.Pulled = append(t.Pulled, m.ID)
		t.Events = append(t.Events, store.Event{At: t.At, Kind: m.Kind, Ref: m.Ref, Data: m.Data, OrStart: m.OrStart, Actor: m.Actor})
	}
	return t
}

var backlogTests = []test{
	{"has the payloads of a hook that was deferred, and no others", func(k *kit) {
		k.park("r", "t1", "t2")
		for _, data := range []string{"1", "2", "3"} {
			k.accept("t1", data)
			k.accept("t2", "other "+data)
		}
		k.ok(k.s.Send(k.ctx, store.Message{RunID: "r", Kind: store.CancelRequested}))
		t := takes(k.then("r", store.Waiting), k.load("r").Mail[:1])
		t.Defer = []string{"r/t1"}
		k.apply(t)
		l := k.load("r")
		k.same("mailbox", texts(l.Mail), []string{"other 1", "other 2", "other 3", "cancel_requested"})
		k.same("first", texts(l.Backlog), []string{"2"})
		k.same("backlog", k.waiting("r/t1"), []string{"2", "3"})
		k.same("none", k.waiting("r/t2"), []string{})
		k.same("Mailbox", k.mailbox("r"), []string{"other 1", "other 2", "other 3", "cancel_requested", "2", "3"})
		m := k.backlog("r", "r/t1", math.MinInt64)[0]
		k.same("message", []any{m.RunID, m.Ref, m.Kind, m.Deferred, m.AcceptedAt.IsZero()}, []any{"r", "r/t1", store.PayloadReceived, true, false})
		all, err := k.s.Mailbox(k.ctx, "r", 10)
		k.ok(err)
		k.same("deferred", []bool{all[0].Deferred, all[3].Deferred, all[4].Deferred, all[5].Deferred}, []bool{false, false, true, true})
	}},
	{"gets what is accepted from then on, without a word to the run", func(k *kit) {
		k.deferred("r", "tok", 1)
		before := k.load("r").Run
		r := k.orStart("tok", "2", "s")
		k.same("receipt", []any{r.Hook.ID, r.Hook.RunID, r.Started}, []any{"r/tok", "r", false})
		k.accept("tok", "3")
		k.same("run", k.load("r").Run, before)
		k.same("backlog", k.waiting("r/tok"), []string{"1", "2", "3"})
		k.claims(k.claimAt("w1", 10, saturate.Beyond)) // it has nothing to do
	}},
	{"comes in pages", func(k *kit) {
		k.deferred("r", "tok", 5)
		page, more, err := k.s.Backlog(k.ctx, "r", "r/tok", math.MinInt64, 2)
		k.ok(err)
		k.same("page", texts(page), []string{"1", "2"})
		k.same("more", more, true)
		page, more, err = k.s.Backlog(k.ctx, "r", "r/tok", page[1].ID, 3)
		k.ok(err)
		k.same("page", texts(page), []string{"3", "4", "5"})
		k.same("more", more, false)
		page, more, err = k.s.Backlog(k.ctx, "none", "r/tok", math.MinInt64, 3)
		k.ok(err)
		k.same("none", []any{len(page), more}, []any{0, false})
		mail, err := k.s.Mailbox(k.ctx, "r", 3)
		k.ok(err)
		k.same("Mailbox", texts(mail), []string{"1", "2", "3"})
	}},
	{"gives what is pulled, once", func(k *kit) {
		k.deferred("r", "tok", 3)
		waiting := k.backlog("r", "r/tok", math.MinInt64)
		k.apply(pulls(k.then("r", store.Waiting), waiting[:2]))
		k.same("backlog", k.waiting("r/tok"), []string{"3"})
		k.refused(pulls(k.then("r", store.Waiting), waiting[1:]), store.ErrConflict)
		k.accept("tok", "4")
		k.same("backlog", k.waiting("r/tok"), []string{"3", "4"})
	}},
	{"goes back to the mailbox when its hook is admitted", func(k *kit) {
		k.deferred("r", "tok", 3)
		t := pulls(k.then("r", store.Waiting), k.backlog("r", "r/tok", math.MinInt64)[:1])
		t.Admit = []string{"r/tok"}
		k.apply(t)
		k.same("mailbox", texts(k.load("r").Mail), []string{"2", "3"})
		k.same("backlog", k.waiting("r/tok"), []string{})
		k.accept("tok", "4")
		k.same("mailbox", texts(k.load("r").Mail), []string{"2", "3", "4"})
		k.claims(k.claim("w1", 10), "r")
	}},
	{"signals what it gives back to a run that is owned, also while others begin", func(k *kit) {
		k.deferred("r", "t1", 1)
		waiting := k.backlog("r", "r/t1", math.MinInt64)
		k.accept("t1", "2")
		open := k.then("r", store.Waiting)
		open.Effects = []store.Effect{k.opens("r/t2", "t2", 1)}
		k.apply(open)
		for _, data := range []string{"other 1", "other 2", "other 3"} {
			k.accept("t2", data)
		}
		k.claims(k.claim("w1", 10), "r")
		signals := make(chan store.Signal, 1000)
		defer k.s.Watch(func(s store.Signal) { signals <- s })()
		t := pulls(k.then("r", store.Running), waiting)
		t.Keep, t.Defer, t.Admit = true, []string{"r/t2"}, []string{"r/t1"}
		k.apply(t)
		k.signal(signals, func(s store.Signal) bool { return has(s.Mail, "r") })
		k.same("mailbox", texts(k.load("r").Mail), []string{"2"})
		k.same("backlog", k.waiting("r/t2"), []string{"other 1", "other 2", "other 3"})
	}},
	{"is not counted by NoMailBefore, until it ends", func(k *kit) {
		k.deferred("r", "tok", 2)
		guard := func() *store.Transition {
			t := k.then("r", store.Waiting, store.TimerFired)
			t.NoMailBefore = saturate.Beyond
			return t
		}
		k.apply(guard())
		t := pulls(guard(), k.backlog("r", "r/tok", math.MinInt64)[:1])
		t.Admit = []string{"r/tok"}
		k.refused(t, store.ErrConflict)
		t = pulls(guard(), k.backlog("r", "r/tok", math.MinInt64))
		t.Admit = []string{"r/tok"}
		k.apply(t)
		k.accept("tok", "3")
		k.refused(guard(), store.ErrConflict)
		t = guard()
		t.Defer = []string{"r/tok"}
		k.apply(t)
		k.same("backlog", k.waiting("r/tok"), []string{"3"})
	}},
	{"is recorded as unread when its run ends, or is terminated", func(k *kit) {
		k.deferred("r", "tok", 3)
		k.deferred("s", "other", 3)
		k.apply(k.then("r", store.Completed, store.RunCompleted))
		k.ok(k.s.Terminate(k.ctx, "s", store.Event{At: k.now(), Kind: store.RunCanceled}))
		for _, id := range []string{"r", "s"} {
			l := k.load(id)
			k.same("mail", []any{len(l.Mail), len(l.Backlog)}, []any{0, 0})
			k.same("unread", k.mailbox(id), []string{"1", "2", "3"})
		}
		m, err := k.s.Mailbox(k.ctx, "r", 10)
		k.ok(err)
		k.same("hook", m[2].Ref, "r/tok")
	}},
	{"begins with the end of its run, which passes what it has", func(k *kit) {
		k.deferred("r", "t1", 1)
		waiting := k.backlog("r", "r/t1", math.MinInt64)
		open := k.then("r", store.Waiting)
		open.Effects = []store.Effect{k.opens("r/t2", "t2", 1)}
		k.apply(open)
		k.accept("t2", "plain")
		k.orStart("t2", "1", "s")
		k.orStart("t2", "2", "other")
		end := func() *store.Transition {
			t := k.then("r", store.Completed, store.RunCompleted)
			t.NoMailBefore, t.TookAny = saturate.Beyond, true
			return t
		}
		k.refused(end(), store.ErrConflict)
		t := pulls(end(), waiting)
		t.Defer, t.Admit = []string{"r/t2"}, []string{"r/t1"}
		k.apply(t)
		k.same("unread", k.mailbox("r"), []string{"plain"})
		k.same("successor", k.mail("s"), []string{"started", "1", "2"})
	}},
	{"comes back with a retry", func(k *kit) {
		k.deferred("r", "tok", 3)
		k.fail()
		_, err := k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 2, From: 2})
		k.ok(err)
		k.same("mail", k.mail("r"), []string{"1", "2", "3", "retried"})
		k.accept("tok", "4")
		k.same("mail", k.mail("r"), []string{"1", "2", "3", "retried", "4"})
	}},
	{"is handed over to one successor after the other, in order, and what came without OrStart stays", func(k *kit) {
		k.orStart("tok", "1", "r1")
		k.claims(k.claim("w1", 1), "r1")
		t := takes(k.then("r1", store.Running), k.load("r1").Mail)
		t.Effects, t.Keep = []store.Effect{k.opens("h", "tok", 1)}, true
		k.apply(t)
		k.orStart("tok", "2", "r2")
		t = k.then("r1", store.Waiting)
		t.Defer = []string{"r1.h0"}
		k.apply(t)
		k.accept("tok", "plain")
		k.orStart("tok", "3", "r3")
		k.orStart("tok", "4", "r4")
		end := k.then("r1", store.Completed, store.RunCompleted)
		end.TookAny = true
		k.apply(end)
		k.same("unread", k.mailbox("r1"), []string{"plain"})
		k.same("first", k.mail("r2"), []string{"started", "2", "3", "4"})
		k.orStart("tok", "5", "r5")
		k.claims(k.claim("w1", 10), "r2")
		t = takes(k.then("r2", store.Running), k.load("r2").Mail)
		t.Effects, t.Keep = []store.Effect{k.opens("h", "tok", 1)}, true
		k.same("adopted", k.apply(t)[0].HookID, "r2.h0")
		waiting := k.backlog("r2", "r2.h0", math.MinInt64)
		k.same("waiting", texts(waiting), []string{"2", "3", "4", "5"})
		end = pulls(k.then("r2", store.Completed, store.RunCompleted), waiting[:2])
		end.TookAny = true
		end.Unread = []store.Message{payload("r2.h0", "3", "r3")} // pulled, and not read
		k.apply(end)
		k.same("second", k.mail("r3"), []string{"started", "3", "4", "5"})
		end = pulls(k.then("r3", store.Completed, store.RunCompleted), k.backlog("r3", "r3.h0", math.MinInt64)[:2])
		end.TookAny = true
		end.Unread = []store.Message{payload("r3.h0", "4", "r4")}
		k.apply(end)
		k.same("third", k.mail("r4"), []string{"started", "4", "5"})
		k.same("nothing stays", append(k.mailbox("r2"), k.mailbox("r3")...), []string{})
		k.same("owner", k.owner("tok"), "r4")
	}},
	{"is whole in an archive", func(k *kit) {
		a, ok := k.s.(store.Archiver)
		if !ok {
			k.Skip("the store has no archives")
		}
		k.deferred("r", "tok", 3)
		archive, err := a.Export(k.ctx, "r")
		k.ok(err)
		k.same("mail", texts(archive.Mail), []string{"1", "2", "3"})
		k.ok(k.s.Terminate(k.ctx, "r", store.Event{At: k.now(), Kind: store.RunCanceled}))
		k.pass(short)
		_, _, err = k.s.Prune(k.ctx, k.now(), 1000)
		k.ok(err)
		_, err = a.Import(k.ctx, []store.Archive{archive})
		k.ok(err)
		k.same("mail", k.mail("r"), []string{"1", "2", "3"})
		k.accept("tok", "4")
		k.same("mail", k.mail("r"), []string{"1", "2", "3", "4"})
	}},
	{"is loaded apart from the mailbox, of which the beginning is loaded", func(k *kit) {
		k.park("r", "tok")
		for i := range store.MailPage + 1 {
			k.ok(k.s.Send(k.ctx, store.Message{RunID: "r", Kind: store.ChildCompleted, Ref: fmt.Sprint(i)}))
		}
		l := k.load("r")
		k.same("loaded", []any{len(l.Mail), l.More}, []any{store.MailPage, true})
		k.apply(takes(k.then("r", store.Waiting), l.Mail[:1]))
		l = k.load("r")
		k.same("loaded", []any{len(l.Mail), l.More}, []any{store.MailPage, false})
	}},
}

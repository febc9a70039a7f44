package storetest

import (
	"time"

	"github.com/tenter-dev/tenter/store"
)

var retryTests = []test{
	{"cuts the journal and puts messages back", func(k *kit) {
		k.park("r", "tok")
		for _, s := range []string{"1", "2"} {
			k.orStart("tok", s, "next")
		}
		mail := k.load("r").Mail
		k.apply(takes(k.then("r", store.Waiting), mail[:1]))                 // position 2
		cut := takes(k.then("r", store.Running, store.TimerFired), mail[1:]) // 3 and 4
		k.apply(cut)
		k.accept("tok", "3")
		k.ok(k.s.Send(k.ctx, store.Message{RunID: "r", Kind: store.ChildCompleted, Ref: "c#1"}))
		k.ok(k.s.Send(k.ctx, store.Message{RunID: "r", Kind: store.CancelRequested}))
		t := k.then("r", store.Failed, store.RunFailed) // 5
		t.Unread = []store.Message{{Kind: store.PayloadReceived, Ref: "r/tok", Data: []byte("2")}}
		t.Suspicion, t.Mark, t.Crashes = 1, true, 1
		k.apply(t)
		k.same("unread", k.mailbox("r"), []string{"2", "3"})
		_, err := k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 5, From: 3, Back: []int64{4}})
		k.ok(err)
		l := k.load("r")
		k.same("run", l.Run, store.Run{
			ID: "r", Workflow: "flow", Version: 1, Status: store.Running, Secret: []byte("secret"),
			CreatedAt: l.Run.CreatedAt, UpdatedAt: l.Run.UpdatedAt, Epoch: 2, Events: 2,
		})
		// What was in the mailbox is there again, what was in the journal once only.
		k.same("mail", texts(l.Mail), []string{"2", "3", "child_completed", "retried"})
		next := newRun("next")
		k.same("payload", l.Mail[0], store.Message{
			ID: l.Mail[0].ID, RunID: "r", Kind: store.PayloadReceived, Ref: "r/tok", Data: []byte("2"), AcceptedAt: cut.At, OrStart: &next,
		})
		k.same("mailbox", k.mailbox("r"), texts(l.Mail))
		k.same("owner", k.owner("tok"), "r")
		k.claims(k.claim("w2", 10), "r")
		u := takes(k.then("r", store.Waiting), l.Mail)
		u.Worker = "w2"
		k.apply(u)
		k.same("events", k.load("r").Run.Events, int64(6))
	}},
	{"reopens the hooks that were open at the cut", func(k *kit) {
		k.park("r", "before", "across", "end") // opened at 1
		step := func(effects ...store.Effect) {
			t := k.then("r", store.Waiting, store.TimerFired)
			t.Effects = effects
			k.apply(t)
		}
		step(closes("r/before", 2))                                      // 2
		step(closes("r/across", 3), k.opens("after", "other", 3))        // 3
		step(k.opens("again", "across", 4), k.opens("late", "later", 4)) // 4
		k.fail()                                                         // 5
		k.same("hooks", k.hooks("r"), []string{})
		_, err := k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 5, From: 3})
		k.ok(err)
		k.same("hooks", k.hooks("r"), []string{"r/across", "r/end"})
		h, err := k.s.Hook(k.ctx, "across")
		k.ok(err)
		k.same("closed", []any{h.ClosedAt, h.ClosedPos}, []any{time.Time{}, int64(0)})
		k.same("owners", k.owner("before")+k.owner("other")+k.owner("later"), "")
		k.accept("end", "1")
		// The cut part can be written again.
		k.claims(k.claim("w1", 10), "r")
		t := takes(k.then("r", store.Waiting), k.load("r").Mail)
		t.Effects = []store.Effect{k.opens("after", "other", 3)}
		k.same("outcome", k.apply(t), []store.Outcome{{HookID: "after"}})
	}},
	{"lets a reservation that an earlier generation had opened be carried again", func(k *kit) {
		opens := func() *store.Transition {
			t := takes(k.then("r", store.Running), k.load("r").Mail)
			e := k.opens("r/again", "tok", t.After+1)
			e.Hook.Type, e.Hook.Subject = "a", "s"
			t.Keep, t.Effects = true, []store.Effect{e}
			return t
		}
		k.orStart("tok", "1", "r")
		k.claims(k.claim("w1", 1), "r")
		k.apply(opens())
		k.apply(k.restarts("again"))
		k.apply(opens())
		k.fail()
		l := k.load("r")
		_, err := k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: l.Run.Events, From: l.Run.Base + 1})
		k.ok(err)
		h, err := k.s.Hook(k.ctx, "tok")
		k.ok(err)
		k.same("hook", []any{h.ID, h.Carried, h.Reserved, h.Type, h.Subject}, []any{"r.h0", true, false, "a", "s"})
		_, err = k.s.Accept(k.ctx, store.Payload{Token: "tok", Type: new("b")})
		k.fails(err, store.ErrMismatch)
		k.apply(k.restarts("and again")) // and has not opened it
		k.same("owner", k.owner("tok"), "")
	}},
	{"lets a reservation that a fork has opened be one again", func(k *kit) {
		k.orStart("tok", "1", "r")
		k.claims(k.claim("w1", 1), "r")
		k.apply(takes(k.then("r", store.Waiting), k.load("r").Mail))
		k.apply(k.then("r", store.Completed, store.RunCompleted))
		k.forks(k.forkOf("r", "f", 2, store.ForkedHook{ID: "r.h0", Unopened: true}))
		t := takes(k.then("f", store.Running), k.load("f").Mail)
		t.Effects = []store.Effect{k.opens("f.h1", "tok", 3)}
		k.same("outcome", k.apply(t)[0].HookID, "r.h0")
		k.apply(k.then("f", store.Failed, store.RunFailed))
		_, err := k.s.Retry(k.ctx, store.Cut{RunID: "f", Events: 4, From: 3})
		k.ok(err)
		h, err := k.s.Hook(k.ctx, "tok")
		k.ok(err)
		k.same("hook", []any{h.ID, h.RunID, h.Reserved, h.Carried}, []any{"r.h0", "f", true, false})
	}},
	{"changes nothing if a token has another owner", func(k *kit) {
		k.park("r", "free", "tok")
		k.accept("tok", "1")
		k.fail()
		k.park("other", "tok")
		before := k.load("r")
		h, err := k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 2, From: 2})
		k.fails(err, store.ErrExists)
		k.same("hook", h.RunID+" "+h.ID, "other other/tok")
		k.same("run", k.load("r"), before)
		k.same("unread", k.mailbox("r"), []string{"1"})
		k.same("owner", k.owner("free"), "")
		k.apply(k.then("other", store.Completed, store.RunCompleted))
		_, err = k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 2, From: 2})
		k.ok(err)
		k.same("hooks", k.hooks("r"), []string{"r/free", "r/tok"})
	}},
	{"refuses a run that has not failed, or has moved on", func(k *kit) {
		cut := store.Cut{RunID: "r", Events: 1, From: 1}
		_, err := k.s.Retry(k.ctx, cut)
		k.fails(err, store.ErrNotFound)
		k.park("r")
		_, err = k.s.Retry(k.ctx, cut)
		k.fails(err, store.ErrConflict)
		k.fail()
		_, err = k.s.Retry(k.ctx, cut)
		k.fails(err, store.ErrConflict)
		cut.Events = 2
		_, err = k.s.Retry(k.ctx, cut)
		k.ok(err)
		_, err = k.s.Retry(k.ctx, cut)
		k.fails(err, store.ErrConflict)
		k.park("done")
		k.apply(k.then("done", store.Completed, store.RunCompleted))
		_, err = k.s.Retry(k.ctx, store.Cut{RunID: "done", Events: 2, From: 2})
		k.fails(err, store.ErrConflict)
	}},
	{"the result of a child that came meanwhile is there", func(k *kit) {
		k.park("r")
		k.fail()
		k.fails(k.s.Send(k.ctx, store.Message{RunID: "r", Kind: store.ChildCompleted, Ref: "a#1", Data: []byte("1")}), store.ErrFenced)
		m := store.Message{RunID: "r", Kind: store.ChildFailed, Ref: "b#1", Data: []byte("2")}
		k.apply(k.begin("child", store.Effect{Kind: store.Send, Message: m}))
		k.same("unread", k.mailbox("r"), []string{})
		_, err := k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 2, From: 2})
		k.ok(err)
		k.same("mail", k.mail("r"), []string{"child_completed", "child_failed", "retried"})
	}},
	{"can be done again", func(k *kit) {
		k.park("r")
		for i := range 3 {
			k.fail()
			_, err := k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 2, From: 2})
			k.ok(err)
			k.same("epoch", k.load("r").Run.Epoch, int64(i+2))
		}
	}},
}

var unblockTests = []test{
	{"makes a blocked run claimable by every build", func(k *kit) {
		k.fails(k.s.Unblock(k.ctx, "r"), store.ErrNotFound)
		t := k.begin("r")
		t.Status, t.BlockedBuild, t.BlockedReason, t.WakeAt = store.Blocked, "b1", "diverged", k.now().Add(long)
		k.apply(t)
		k.claims(k.claim("w1", 10))
		k.ok(k.s.Unblock(k.ctx, "r"))
		c := k.claim("w1", 10)
		k.claims(c, "r")
		k.same("blocked", c.Runs[0].BlockedBuild+c.Runs[0].BlockedReason, "")
		k.fails(k.s.Unblock(k.ctx, "r"), store.ErrConflict)
	}},
}

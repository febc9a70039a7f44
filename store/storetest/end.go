package storetest

import (
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

func payload(hook, data, runID string) store.Message {
	r := newRun(runID)
	return store.Message{Kind: store.PayloadReceived, Ref: hook, Data: []byte(data), OrStart: &r}
}

var endTests = []test{
	{"closes the hooks, empties the mailbox and records what was not read", func(k *kit) {
		k.park("r", "t1", "t2")
		k.accept("t1", "2")
		k.ok(k.s.Send(k.ctx, store.Message{RunID: "r", Kind: store.CancelRequested}))
		k.accept("t2", "3")
		t := k.then("r", store.Completed, store.RunCompleted)
		t.WakeAt = t.At
		t.Unread = []store.Message{{Kind: store.PayloadReceived, Ref: "r/t1", Data: []byte("1"), AcceptedAt: t.At}}
		k.apply(t)
		l := k.load("r")
		k.same("run", []any{l.Run.Status, l.Run.EndedAt, l.Run.Worker, len(l.Mail)}, []any{store.Completed, t.At, "", 0})
		k.same("unread", k.mailbox("r"), []string{"1", "2", "3"})
		k.same("hooks", k.hooks("r"), []string{})
		k.same("owner", k.owner("t1")+k.owner("t2"), "")
		m, err := k.s.Mailbox(k.ctx, "r", 1000)
		k.ok(err)
		k.same("hook and run", m[2].Ref+" "+m[2].RunID, "r/t2 r")
	}},
	{"keeps a run and its mailbox while it has not ended", func(k *kit) {
		k.park("r", "tok")
		k.accept("tok", "1")
		k.apply(k.then("r", store.Blocked))
		k.same("mail", k.mail("r"), []string{"1"})
		k.same("mailbox", k.mailbox("r"), []string{"1"})
	}},
	{"starts a successor with the unread payloads of OrStart", func(k *kit) {
		k.orStart("tok", "1", "r1")
		k.orStart("tok", "3", "r3")
		k.accept("tok", "plain")
		k.orStart("tok", "4", "r4")
		k.claims(k.claim("w1", 1), "r1")
		mail := k.load("r1").Mail
		k.same("mail", texts(mail), []string{"started", "1", "3", "plain", "4"})
		t := takes(k.then("r1", store.Running), mail[:2])
		t.Keep = true
		t.Effects = []store.Effect{k.opens("h", "tok", 1)}
		k.apply(t)
		end := k.then("r1", store.Completed, store.RunCompleted)
		end.TookAny = true
		end.Unread = []store.Message{payload("r1.h0", "2", "r2")} // taken into the journal, never read
		k.apply(end)
		k.same("unread", k.mailbox("r1"), []string{"plain"})
		k.same("mail", k.mail("r2"), []string{"started", "2", "3", "4"})
		h, err := k.s.Hook(k.ctx, "tok")
		k.ok(err)
		k.same("hook", []any{h.ID, h.RunID, h.Reserved}, []any{"r2.h0", "r2", true})
		l := k.load("r2")
		k.same("mailbox", texts(l.Mail), []string{"started"})
		for _, m := range k.backlogs(l) {
			if m.Ref != "r2.h0" || m.OrStart == nil {
				k.Fatalf("message is %+v", m)
			}
		}
		for _, id := range []string{"r3", "r4"} {
			_, err := k.s.Load(k.ctx, id, 0)
			k.fails(err, store.ErrNotFound)
		}
		k.claims(k.claim("w1", 10), "r2")
	}},
	{"gives a successor requests, or what was not one", func(k *kit) {
		request := func(hook, data, next string) {
			r := newRun(next)
			r.Webhook = []byte(`{}`)
			_, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Hook: hook, Data: []byte(data), Request: data, OrStart: &r})
			k.ok(err)
		}
		k.park("r", "tok")
		k.orStart("tok", "1", "s1")
		t := k.then("r", store.Waiting)
		e := k.opens("h", "tok", 1)
		e.Hook.Webhook = []byte(`{}`)
		t.Effects = []store.Effect{closes("r/tok", 1), e}
		k.apply(t)
		request("h", "2", "s2")
		journaled := payload("h", "3", "s3")
		journaled.OrStart.Webhook = []byte(`{}`)
		end := k.then("r", store.Completed, store.RunCompleted)
		end.TookAny = true
		end.Unread = []store.Message{journaled, payload("r/tok", "4", "s4")}
		k.apply(end)
		k.same("mail of the successor", k.mail("s3"), []string{"started", "3", "2"})
		k.same("unread", k.mailbox("r"), []string{"4", "1"})
		h, err := k.s.Hook(k.ctx, "tok")
		k.ok(err)
		k.same("hook", []any{h.ID, h.Webhook != nil}, []any{"s3.h0", true})
	}},
	{"starts one successor for each token", func(k *kit) {
		k.park("r", "t1", "t2")
		k.orStart("t1", "a", "s1")
		k.orStart("t2", "b", "s2")
		end := k.then("r", store.Failed, store.RunFailed)
		end.TookAny = true
		k.apply(end)
		k.same("mail", k.mail("s1"), []string{"started", "a"})
		k.same("mail", k.mail("s2"), []string{"started", "b"})
		k.same("owners", k.owner("t1")+k.owner("t2"), "s1s2")
	}},
	{"starts no successor if the run took nothing", func(k *kit) {
		k.orStart("tok", "1", "r1")
		k.orStart("tok", "2", "r2")
		k.apply(k.then("r1", store.Failed, store.RunFailed))
		k.same("unread", k.mailbox("r1"), []string{"1", "2"})
		k.same("owner", k.owner("tok"), "")
		_, err := k.s.Load(k.ctx, "r2", 0)
		k.fails(err, store.ErrNotFound)
	}},
	{"leaves payloads unread if the ID of the successor is taken", func(k *kit) {
		k.start("taken")
		k.park("r", "tok")
		k.orStart("tok", "1", "taken")
		k.orStart("tok", "2", "free")
		end := k.then("r", store.Completed, store.RunCompleted)
		end.TookAny = true
		k.apply(end)
		k.same("unread", k.mailbox("r"), []string{"1", "2"})
		k.same("mail", k.mail("taken"), []string{"started"})
		k.same("owner", k.owner("tok"), "")
	}},
	{"leaves payloads unread if another run has the token by now", func(k *kit) {
		k.park("r", "tok")
		k.orStart("tok", "1", "next")
		t := k.then("r", store.Waiting)
		t.Effects = []store.Effect{closes("r/tok", 1)}
		k.apply(t)
		k.park("other", "tok")
		end := k.then("r", store.Completed, store.RunCompleted)
		end.TookAny = true
		k.apply(end)
		k.same("unread", k.mailbox("r"), []string{"1"})
		k.same("mail", k.mail("other"), []string{})
		k.same("owner", k.owner("tok"), "other")
	}},
}

var terminateTests = []test{
	{"ends a run whatever state it is in", func(k *kit) {
		k.lease("w1", long)
		t := k.begin("r", k.opens("h", "tok", 1))
		t.Keep, t.WakeAt = true, k.now()
		t.Executing = []store.Attempt{{RunID: "r", Step: "a#1", Attempt: 1, StartedAt: k.now(), Worker: "w1"}}
		k.apply(t)
		k.accept("tok", "1")
		late := k.then("r", store.Running, store.TimerFired)
		now := k.now()
		k.ok(k.s.Terminate(k.ctx, "r", store.Event{At: now, Kind: store.RunCanceled, Data: []byte("gone")}))
		l := k.load("r")
		k.same("run", l.Run, store.Run{
			ID: "r", Workflow: "flow", Version: 1, Status: store.Canceled, Secret: []byte("secret"),
			CreatedAt: t.At, UpdatedAt: now, EndedAt: now, Epoch: 2, Events: 2,
		})
		k.same("event", l.Events[1], store.Event{Position: 2, At: now, Kind: store.RunCanceled, Data: []byte("gone"), Epoch: 2})
		k.same("unread", k.mailbox("r"), []string{"1"})
		k.same("mail", len(l.Mail), 0)
		k.same("owner", k.owner("tok"), "")
		a, err := k.s.Executing(k.ctx, "r")
		k.ok(err)
		k.same("attempts", len(a), 0)
		k.refused(late, store.ErrFenced)
		k.claims(k.claimAt("w2", 10, saturate.Beyond))
	}},
	{"refuses no run and one that has ended", func(k *kit) {
		e := store.Event{At: k.now(), Kind: store.RunCanceled}
		k.fails(k.s.Terminate(k.ctx, "r", e), store.ErrNotFound)
		k.park("r")
		k.ok(k.s.Terminate(k.ctx, "r", e))
		k.fails(k.s.Terminate(k.ctx, "r", e), store.ErrFenced)
		k.same("events", k.load("r").Run.Events, int64(2))
	}},
	{"tells the children and the parent", func(k *kit) {
		k.park("p")
		for _, id := range []string{"r", "c1", "c2", "cc"} {
			t := k.begin(id)
			t.Create.ParentID, t.Create.ParentRef = map[string]string{"r": "p", "c1": "r", "c2": "r", "cc": "c1"}[id], id+"#1"
			k.apply(t)
		}
		k.apply(k.then("c2", store.Completed, store.RunCompleted))
		k.ok(k.s.Terminate(k.ctx, "r", store.Event{At: k.now(), Kind: store.RunCanceled, Data: []byte("why")}))
		m := k.load("p").Mail
		if len(m) != 1 || m[0].Kind != store.ChildFailed || m[0].Ref != "r#1" || string(m[0].Data) != "why" {
			k.Fatalf("mail of the parent is %+v", m)
		}
		k.same("mail", k.mail("c1"), []string{"cancel_requested"})
		k.same("mail", k.mail("c2"), []string{})
		k.same("mail", k.mail("cc"), []string{})
	}},
}

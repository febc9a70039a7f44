package storetest

import (
	"github.com/tenter-dev/tenter/store"
)

// archiver is the store, if runs can be copied out of and into it.
func (k *kit) archiver() store.Archiver {
	a, ok := k.s.(store.Archiver)
	if !ok {
		k.Skip("the store is not a store.Archiver")
	}
	return a
}

// export is the archive of a run.
func (k *kit) export(id string) store.Archive {
	k.Helper()
	a, err := k.archiver().Export(k.ctx, id)
	k.ok(err)
	return a
}

// renamed is the archive of a run under another ID, with tokens of its own.
func renamed(a store.Archive, id string) store.Archive {
	a.Run.ID = id
	hooks := make([]store.ArchivedHook, len(a.Hooks))
	for i, h := range a.Hooks {
		h.Hook.RunID = id
		h.Hook.Token += " of " + id
		hooks[i] = h
	}
	a.Hooks = hooks
	return a
}

// sameAnew removes what an import assigns again.
func sameAnew(a store.Archive) store.Archive {
	a.Run.Worker = ""
	for i := range a.Mail {
		a.Mail[i].ID, a.Mail[i].RunID = int64(i), ""
	}
	for i := range a.Unread {
		a.Unread[i].Message.RunID = ""
	}
	for i := range a.Receipts {
		a.Receipts[i].RunID = ""
	}
	for i := range a.Responses {
		a.Responses[i].RunID = ""
	}
	return a
}

var archiveTests = []test{
	{"what is imported is what was exported", func(k *kit) {
		a := k.archiver()
		_, err := a.Export(k.ctx, "r")
		k.fails(err, store.ErrNotFound)

		traced := k.begin("r", k.opens("r/open", "open", 1), k.opens("r/closed", "closed", 1), k.opens("r/again", "again", 1))
		traced.Create.Trace = "00-run"
		k.apply(traced)
		k.orStart("open", "\x00\xff bytes", "next")
		k.ok(k.s.Send(k.ctx, store.Message{RunID: "r", Kind: store.CancelRequested}))
		t := takes(k.then("r", store.Waiting), k.load("r").Mail[:1])
		t.Events[0].Asked = "step a#1\nsleep 1 until x"
		t.Effects = []store.Effect{closes("r/closed", 2)}
		t.WakeAt = k.now().Add(long)
		k.apply(t)
		_, err = k.s.Accept(k.ctx, store.Payload{Token: "open", Data: []byte("2"), Key: "key", KeepFor: long, Request: "q0", Trace: "00-payload"})
		k.ok(err)
		response := k.response("q", "r/respond 1", "body")
		response.RunID = "r"
		k.ok(k.s.Respond(k.ctx, response))
		first := k.export("r")
		k.same("shape", []int{len(first.Events), len(first.Mail), len(first.Hooks), len(first.Receipts), len(first.Responses)}, []int{2, 2, 3, 1, 1})

		other := renamed(first, "other")
		// A receipt and a response are found by names of their own, and those are taken.
		other.Receipts, other.Responses = nil, nil
		taken, err := a.Import(k.ctx, []store.Archive{other})
		k.ok(err)
		k.same("taken", taken, "")
		k.same("archive", sameAnew(k.export("other")), sameAnew(other))
		k.same("mail", k.mail("other"), k.mail("r"))
		k.same("hooks", k.hooks("other"), k.hooks("r"))
		k.same("owner", k.owner("open of other"), "other")

		// It goes on: what is sent comes after what was there.
		k.accept("open of other", "3")
		k.same("mail", k.mail("other"), []string{"cancel_requested", "2", "3"})
		k.claims(k.claim("w2", 10), "other", "r")
		u := takes(k.then("other", store.Waiting), k.load("other").Mail)
		u.Worker = "w2"
		k.apply(u)
	}},
	{"keeps what retries have cut, and what was never taken", func(k *kit) {
		a := k.archiver()
		k.park("r", "tok")
		k.orStart("tok", "1", "next")
		k.fail()
		_, err := k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 2, From: 2})
		k.ok(err)
		k.apply(k.then("r", store.Failed, store.RunFailed))
		want := renamed(k.export("r"), "other")
		k.same("shape", []int{len(want.Cuts), len(want.Unread), len(want.Hooks)}, []int{1, 1, 1})
		_, err = a.Import(k.ctx, []store.Archive{want})
		k.ok(err)
		k.same("archive", sameAnew(k.export("other")), sameAnew(want))
		k.same("unread", string(k.export("other").Unread[0].Message.Data), "1")
		k.claims(k.claim("w2", 10))
	}},
	{"a run that had a worker is free, and suspected as after a crash", func(k *kit) {
		a := k.archiver()
		t := k.begin("r")
		t.Keep, t.WakeAt, t.Status, t.Mark, t.Suspicion = true, t.At, store.Running, true, 2
		k.apply(t)
		_, err := a.Import(k.ctx, []store.Archive{renamed(k.export("r"), "other")})
		k.ok(err)
		r := k.load("other").Run
		k.same("run", []any{r.Worker, r.Mark, r.Suspicion, r.Crashes, r.Epoch}, []any{"", false, int32(3), int32(1), int64(1)})
		k.lease("w1", long)
		k.claims(k.claim("w2", 10), "other")
	}},
	{"refuses what is there, and writes nothing then", func(k *kit) {
		a := k.archiver()
		k.park("r", "tok")
		k.park("parent", "other")
		r, parent := k.export("r"), k.export("parent")
		taken, err := a.Import(k.ctx, []store.Archive{renamed(r, "new"), r})
		k.fails(err, store.ErrExists)
		k.same("taken", taken, "r")
		_, err = k.s.Run(k.ctx, "new")
		k.fails(err, store.ErrNotFound)

		child := renamed(parent, "child")
		child.Hooks[0].Hook.Token = "tok"
		taken, err = a.Import(k.ctx, []store.Archive{renamed(r, "new"), child})
		k.fails(err, store.ErrConflict)
		k.same("taken", taken, "tok")
		_, err = k.s.Run(k.ctx, "new")
		k.fails(err, store.ErrNotFound)

		taken, err = a.Import(k.ctx, []store.Archive{renamed(r, "new"), renamed(r, "new")})
		k.fails(err, store.ErrExists)
		k.same("taken", taken, "new")
		twice := renamed(parent, "twice")
		twice.Hooks[0].Hook.Token = "tok of new"
		taken, err = a.Import(k.ctx, []store.Archive{renamed(r, "new"), twice})
		k.fails(err, store.ErrConflict)
		k.same("taken", taken, "tok of new")

		// Closed hooks are in nobody's way.
		k.ok(k.s.Terminate(k.ctx, "r", store.Event{At: k.now(), Kind: store.RunCanceled}))
		ended := k.export("r")
		ended.Run.ID = "new"
		_, err = a.Import(k.ctx, []store.Archive{ended})
		k.ok(err)
	}},
	{"of several imports of the same run at once one succeeds", func(k *kit) {
		a := k.archiver()
		k.park("r", "tok")
		other := renamed(k.export("r"), "other")
		const several = 8
		errs := make(chan error, several)
		for range several {
			go func() {
				_, err := a.Import(k.ctx, []store.Archive{other})
				errs <- err
			}()
		}
		imported := 0
		for range several {
			if err := <-errs; err == nil {
				imported++
			} else {
				k.fails(err, store.ErrExists)
			}
		}
		k.same("imported", imported, 1)
		k.same("archive", sameAnew(k.export("other")), sameAnew(other))
	}},
	{"keeps receipts and responses that are there", func(k *kit) {
		a := k.archiver()
		k.park("r", "tok")
		_, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Data: []byte("1"), Key: "key", KeepFor: long})
		k.ok(err)
		_, err = a.Import(k.ctx, []store.Archive{renamed(k.export("r"), "other")})
		k.ok(err)
		rec, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Data: []byte("1"), Key: "key", KeepFor: long})
		k.ok(err)
		k.same("receipt", []any{rec.Duplicate, rec.Hook.RunID}, []any{true, "r"})
	}},
	{"a transactional step stays executed", func(k *kit) {
		a := k.archiver()
		k.park("r")
		other := renamed(k.export("r"), "other")
		other.Mail = []store.Message{{ID: 7, Kind: store.StepCompleted, Ref: "b#1", Data: []byte("1"), AcceptedAt: k.now()}}
		other.TxSteps = []store.DoneTxStep{{Step: "a#1"}, {Step: "b#1", Completed: true, Message: 7}, {Step: "c#1", Completed: true, Message: 3}}
		_, err := a.Import(k.ctx, []store.Archive{other})
		k.ok(err)
		got := k.export("other")
		k.same("steps", got.TxSteps, []store.DoneTxStep{
			{Step: "a#1"}, {Step: "b#1", Completed: true, Message: got.Mail[0].ID}, {Step: "c#1", Completed: true},
		})
	}},
	{"signals runs that have something to do", func(k *kit) {
		a := k.archiver()
		k.start("r")
		signals := make(chan store.Signal, 1000)
		defer k.s.Watch(func(s store.Signal) { signals <- s })()
		_, err := a.Import(k.ctx, []store.Archive{renamed(k.export("r"), "other")})
		k.ok(err)
		k.signal(signals, func(s store.Signal) bool { return has(s.Mail, "other") })
		k.claims(k.claim("w1", 10), "other", "r")
	}},
}

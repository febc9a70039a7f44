package storetest

import "github.com/tenter-dev/tenter/store"

var hookTests = []test{
	{"has at most one open hook for a token", func(k *kit) {
		k.park("a", "tok")
		o := k.apply(k.begin("b", k.opens("hb", "tok", 1), k.opens("hc", "other", 1)))
		k.same("outcomes", o, []store.Outcome{{Conflict: "a"}, {HookID: "hc"}})
		k.same("owner", k.owner("tok"), "a")
		k.same("owner", k.owner("other"), "b")
		k.same("journal of b", k.load("b").Run.Events, int64(1)) // it committed either way
	}},
	{"takes a claim that is held already for a success", func(k *kit) {
		k.park("a", "tok")
		t := k.then("a", store.Waiting)
		t.Effects = []store.Effect{k.opens("a/tok", "tok", 1)}
		k.same("outcomes", k.apply(t), []store.Outcome{{HookID: "a/tok"}})
		k.same("hooks", k.hooks("a"), []string{"a/tok"})
	}},
	{"returns the open hook of a token", func(k *kit) {
		h := store.Hook{ID: "h", Token: "tok", Type: "approval", Metadata: []byte(`{"who":"me"}`), OpenedPos: 1, CreatedAt: k.now()}
		k.apply(k.begin("r", store.Effect{Kind: store.OpenHook, Hook: h}))
		got, err := k.s.Hook(k.ctx, "tok")
		k.ok(err)
		h.RunID = "r"
		k.same("hook", got, h)
		_, err = k.s.Hook(k.ctx, "TOK")
		k.fails(err, store.ErrNotFound)
	}},
	{"frees the token with the close, and refuses payloads from then on", func(k *kit) {
		k.park("a", "tok")
		k.accept("tok", "1")
		t := k.then("a", store.Waiting)
		t.Effects = []store.Effect{closes("a/tok", 1)}
		k.apply(t)
		_, err := k.s.Accept(k.ctx, store.Payload{Token: "tok"})
		k.fails(err, store.ErrNotFound)
		k.same("mail", k.mail("a"), []string{"1"}) // what was accepted is still delivered
		k.park("b", "tok")
		k.accept("tok", "2")
		k.same("mail", k.mail("a"), []string{"1"})
		k.same("mail", k.mail("b"), []string{"2"})
		t = k.then("a", store.Waiting)
		t.Effects = []store.Effect{closes("a/tok", 1), closes("nothing", 1)}
		k.apply(t) // closing again does nothing
		k.same("owner", k.owner("tok"), "b")
	}},
	{"gives a released token to another run of the same batch or later", func(k *kit) {
		k.park("a", "tok")
		k.apply(k.then("a", store.Completed, store.RunCompleted))
		k.same("outcome", k.apply(k.begin("b", k.opens("h", "tok", 1))), []store.Outcome{{HookID: "h"}})
	}},
}

var acceptTests = []test{
	{"puts a payload in the mailbox of the run that has the token", func(k *kit) {
		h := store.Hook{ID: "h", Token: "tok", Type: "approval", Metadata: []byte(`{}`), OpenedPos: 1, CreatedAt: k.now()}
		k.apply(k.begin("r", store.Effect{Kind: store.OpenHook, Hook: h}))
		rec := k.accept("tok", "yes")
		h.RunID = "r"
		k.same("receipt", rec, store.Receipt{Hook: h})
		m := k.load("r").Mail[0]
		k.same("message", m, store.Message{ID: m.ID, RunID: "r", Kind: store.PayloadReceived, Ref: "h", Data: []byte("yes"), AcceptedAt: m.AcceptedAt})
	}},
	{"refuses an unknown token", func(k *kit) {
		_, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Key: "k", KeepFor: long})
		k.fails(err, store.ErrNotFound)
		k.park("r", "tok")
		rec, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Key: "k", KeepFor: long})
		k.ok(err)
		k.same("duplicate", rec.Duplicate, false) // a refused payload uses up no key
	}},
	{"refuses a hook of another type", func(k *kit) {
		h := store.Hook{ID: "h", Token: "tok", Type: "approval", OpenedPos: 1, CreatedAt: k.now()}
		k.apply(k.begin("r", store.Effect{Kind: store.OpenHook, Hook: h}))
		for _, typ := range []string{"", "other"} {
			rec, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Type: &typ, Key: "k", KeepFor: long})
			k.fails(err, store.ErrMismatch)
			k.same("hook", rec.Hook.ID, "h")
		}
		k.same("mail", k.mail("r"), []string{})
		typ := "approval"
		rec, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Type: &typ, Key: "k", KeepFor: long})
		k.ok(err)
		k.same("duplicate", rec.Duplicate, false)
	}},
	{"OrStart starts a run with a reserved hook", func(k *kit) {
		rec := k.orStart("tok", "1", "r")
		k.same("started", rec.Started, true)
		k.same("hook", rec.Hook.ID+" "+rec.Hook.RunID+" "+rec.Hook.Token, "r.h0 r tok")
		rec = k.orStart("tok", "2", "r2")
		k.same("started", rec.Started, false)
		k.same("run", rec.Hook.RunID, "r")
		k.same("mail", k.mail("r"), []string{"started", "1", "2"})
		_, err := k.s.Load(k.ctx, "r2", 0)
		k.fails(err, store.ErrNotFound)
		m := k.load("r").Mail
		r, r2 := newRun("r"), newRun("r2")
		k.same("or start", m[1].OrStart, &r)
		k.same("or start", m[2].OrStart, &r2)
		h, err := k.s.Hook(k.ctx, "tok")
		k.ok(err)
		k.same("reserved", h.Reserved, true)
	}},
	{"a reserved hook is closed by a run that ends without an event", func(k *kit) {
		k.orStart("tok", "1", "r")
		k.claims(k.claim("w1", 10), "r")
		k.apply(k.then("r", store.Completed))
		k.same("owner", k.owner("tok"), "")
		hs, err := k.s.Hooks(k.ctx, store.HookFilter{})
		k.ok(err)
		k.same("open hooks", len(hs), 0)
	}},
	{"OrStart with the ID of a run is refused", func(k *kit) {
		k.start("r")
		r := newRun("r")
		_, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", OrStart: &r, Key: "k", KeepFor: long})
		k.fails(err, store.ErrExists)
		k.same("owner", k.owner("tok"), "")
		k.same("mail", k.mail("r"), []string{"started"})
	}},
	{"a request starts a run with a reserved webhook, which the run adopts", func(k *kit) {
		r := newRun("r")
		r.Webhook = []byte(`{"manual": true}`)
		request := store.Payload{Token: "tok", Data: []byte("1"), Request: "q1", OrStart: &r, Key: "k", KeepFor: long}
		rec, err := k.s.Accept(k.ctx, request)
		k.ok(err)
		want := store.Hook{ID: "r.h0", RunID: "r", Token: "tok", Webhook: r.Webhook, Reserved: true, CreatedAt: rec.Hook.CreatedAt}
		k.same("receipt", rec, store.Receipt{Hook: want, Started: true})
		h, err := k.s.Hook(k.ctx, "tok")
		k.ok(err)
		k.same("hook", h, want)
		m := k.load("r").Mail
		k.same("mail", texts(m), []string{"started", "1"})
		k.same("or start", m[1].OrStart, &r)

		rec, err = k.s.Accept(k.ctx, request)
		k.ok(err)
		k.same("repeat", []any{rec.Duplicate, rec.Started, rec.Request, string(rec.Hook.Webhook)}, []any{true, false, "q1", string(r.Webhook)})
		_, err = k.s.Accept(k.ctx, store.Payload{Token: "tok"})
		k.fails(err, store.ErrMismatch) // a payload is not a request
		next := newRun("r2")
		next.Webhook = r.Webhook
		request = store.Payload{Token: "tok", Data: []byte("2"), Request: "q2", OrStart: &next, Key: "k2", KeepFor: long}
		rec, err = k.s.Accept(k.ctx, request)
		k.fails(err, store.ErrMismatch) // the hook has a say in how it is taken
		k.same("hook", rec.Hook, want)
		request.Hook = "r.h0"
		rec, err = k.s.Accept(k.ctx, request)
		k.ok(err)
		k.same("started", []any{rec.Started, rec.Duplicate}, []any{false, false})

		k.claims(k.claim("w1", 10), "r")
		t := takes(k.then("r", store.Waiting), k.load("r").Mail[:1])
		t.Effects = []store.Effect{k.opens("h1", "tok", 1)}
		o := k.apply(t)[0]
		k.same("outcome for a plain hook", []any{o.HookID, o.Carried != nil && o.Carried.Webhook != nil}, []any{"", true})
		t = k.then("r", store.Waiting)
		e := k.opens("h1", "tok", 1)
		e.Hook.Webhook = []byte(`{"call":true,"manual":true}`)
		t.Effects = []store.Effect{e}
		o = k.apply(t)[0]
		k.same("outcome for a call", []any{o.HookID, o.Carried != nil && o.Carried.Webhook != nil}, []any{"", true})
		t = k.then("r", store.Waiting)
		e = k.opens("h2", "tok", 1)
		e.Hook.Webhook = []byte(`{"verify":"them"}`)
		t.Effects = []store.Effect{e}
		k.same("outcome", k.apply(t)[0].HookID, "r.h0")
		h, err = k.s.Hook(k.ctx, "tok")
		k.ok(err)
		k.same("hook", []any{h.Reserved, string(h.Webhook)}, []any{false, string(e.Hook.Webhook)})
		mail := k.load("r").Mail
		k.same("mail", texts(mail), []string{"1", "2"})

		end := takes(k.then("r", store.Completed, store.RunCompleted), mail[:1])
		end.TookAny = true
		k.apply(end)
		h, err = k.s.Hook(k.ctx, "tok")
		k.ok(err)
		k.same("hook of the successor", []any{h.ID, h.Reserved, string(h.Webhook)}, []any{"r2.h0", true, string(r.Webhook)})
	}},
	{"a webhook does not adopt what is reserved for payloads", func(k *kit) {
		k.orStart("tok", "1", "r")
		r := newRun("r2")
		r.Webhook = []byte(`{}`)
		rec, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Request: "q", OrStart: &r})
		k.fails(err, store.ErrMismatch)
		k.same("hook", []any{rec.Hook.ID, rec.Hook.Webhook == nil}, []any{"r.h0", true})
		k.claims(k.claim("w1", 10), "r")
		t := takes(k.then("r", store.Waiting), k.load("r").Mail[:1])
		e := k.opens("h1", "tok", 1)
		e.Hook.Webhook = []byte(`{}`)
		t.Effects = []store.Effect{e}
		o := k.apply(t)[0]
		k.same("outcome", []any{o.HookID, o.Carried != nil && o.Carried.Webhook == nil}, []any{"", true})
		k.same("hook", k.owner("tok"), "r")
	}},
	{"the run's first claim adopts the reservation, others conflict", func(k *kit) {
		rec := k.orStart("tok", "1", "r")
		k.same("outcome", k.apply(k.begin("x", k.opens("hx", "tok", 1))), []store.Outcome{{Conflict: "r"}})
		typ := "chat"
		_, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Type: &typ, Data: []byte("2")})
		k.ok(err) // the type is decided by the run
		k.claims(k.claim("w1", 10), "r")
		t := takes(k.then("r", store.Waiting), k.load("r").Mail[:1])
		e := k.opens("h1", "tok", 1)
		e.Hook.Type, e.Hook.Metadata = "chat", []byte(`{"a":1}`)
		t.Effects = []store.Effect{e, k.opens("h2", "tok", 1)}
		reserved, err := k.s.Hook(k.ctx, "tok")
		k.ok(err)
		k.same("outcomes", k.apply(t), []store.Outcome{{HookID: "r.h0", CreatedAt: reserved.CreatedAt}, {Conflict: "r"}})
		// A run that crashed before it took the outcomes in claims again.
		t = k.then("r", store.Waiting)
		t.Effects = []store.Effect{k.opens("h2", "tok", 1), e}
		k.same("outcomes of a repeat", k.apply(t), []store.Outcome{{Conflict: "r"}, {HookID: "r.h0", CreatedAt: reserved.CreatedAt}})
		h, err := k.s.Hook(k.ctx, "tok")
		k.ok(err)
		k.same("hook", h, store.Hook{
			ID: "r.h0", RunID: "r", Token: "tok", Type: "chat", Metadata: []byte(`{"a":1}`), CreatedAt: rec.Hook.CreatedAt, OpenedPos: 1,
		})
		k.same("mail", k.mail("r"), []string{"1", "2"})
		other := "other"
		_, err = k.s.Accept(k.ctx, store.Payload{Token: "tok", Type: &other})
		k.fails(err, store.ErrMismatch)
	}},
	{"a known key returns its receipt", func(k *kit) {
		h := store.Hook{ID: "h", Token: "tok", Type: "t", Metadata: []byte(`1`), OpenedPos: 1, CreatedAt: k.now()}
		k.apply(k.begin("r", store.Effect{Kind: store.OpenHook, Hook: h}))
		send := func(token, key string) store.Receipt {
			rec, err := k.s.Accept(k.ctx, store.Payload{Token: token, Key: key, KeepFor: long, Data: []byte(key)})
			k.ok(err)
			return rec
		}
		k.same("duplicate", send("tok", "k1").Duplicate, false)
		k.same("receipt", send("tok", "k1"), store.Receipt{
			Duplicate: true, Hook: store.Hook{ID: "h", RunID: "r", Token: "tok", Type: "t", Metadata: []byte(`1`), CreatedAt: h.CreatedAt},
		})
		k.same("duplicate", send("tok", "k2").Duplicate, false)
		k.park("b", "tok2")
		k.same("duplicate", send("tok2", "k1").Duplicate, false) // keys are the token's
		k.same("mail", k.mail("r"), []string{"k1", "k2"})

		// A wrong type does not matter any more, nor does the end of the run.
		typ := "other"
		rec, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Key: "k1", KeepFor: long, Type: &typ})
		k.ok(err)
		k.same("duplicate", rec.Duplicate, true)
		k.apply(k.then("r", store.Completed, store.RunCompleted))
		k.same("run", send("tok", "k1").Hook.RunID, "r")
		_, err = k.s.Accept(k.ctx, store.Payload{Token: "tok", Key: "k3", KeepFor: long})
		k.fails(err, store.ErrNotFound)

		// Nor that another run has the token.
		k.park("c", "tok")
		rec = send("tok", "k1")
		k.same("receipt", []any{rec.Duplicate, rec.Hook.RunID}, []any{true, "r"})
		k.same("duplicate", send("tok", "k3").Duplicate, false)
		k.same("mail", k.mail("c"), []string{"k3"})
	}},
	{"a repeated OrStart starts nothing", func(k *kit) {
		send := func() store.Receipt {
			r := newRun("r")
			rec, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Key: "k", KeepFor: long, OrStart: &r})
			k.ok(err)
			return rec
		}
		k.same("started", send().Started, true)
		rec := send()
		k.same("receipt", []any{rec.Started, rec.Duplicate, rec.Hook.ID}, []any{false, true, "r.h0"})
		k.ok(k.s.Terminate(k.ctx, "r", store.Event{At: k.now(), Kind: store.RunCanceled}))
		k.same("duplicate", send().Duplicate, true)
	}},
	{"a receipt expires", func(k *kit) {
		k.park("r", "tok")
		for i, want := range []bool{false, true, false} {
			rec, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Key: "k", KeepFor: short})
			k.ok(err)
			if i == 1 && !rec.Duplicate {
				k.Skip("the clock is too fast")
			}
			k.same("duplicate", rec.Duplicate, want)
			if i == 1 {
				k.pass(short)
			}
		}
	}},
}

package storetest

import (
	"bytes"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/store"
)

var odd = []string{
	"ü 日本語 🎣", `it's "quoted" \ ; -- DROP TABLE x`, "%_*?[a]", "a\nb\tc", " spaces ", strings.Repeat("long/", 2048),
}

var dataTests = []test{
	{"keeps payloads byte for byte", func(k *kit) {
		k.park("r", "tok")
		all := make([]byte, 256)
		for i := range all {
			all[i] = byte(i)
		}
		payloads := [][]byte{nil, {}, []byte(`{"a":"ü"}`), []byte("a\x00b"), {0xff, 0xfe}, {0}, all, bytes.Repeat([]byte("0123456789abcdef"), 5<<16)}
		for _, p := range payloads {
			_, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Data: p})
			k.ok(err)
		}
		mail := k.load("r").Mail
		k.apply(takes(k.then("r", store.Waiting), mail))
		events := k.load("r").Events[1:]
		for i, p := range payloads {
			if !bytes.Equal(mail[i].Data, p) || !bytes.Equal(events[i].Data, p) {
				k.Fatalf("payload %d was changed", i)
			}
		}
	}},
	{"keeps odd names and tokens apart", func(k *kit) {
		for i, s := range odd {
			r := newRun("run " + s)
			r.Workflow = s
			k.ok(k.s.Start(k.ctx, r))
			k.fails(k.s.Start(k.ctx, r), store.ErrExists)
			k.park("hook "+s, "tok "+s)
			k.park("case "+s, strings.ToUpper("tok "+s)+"!")
			rec, err := k.s.Accept(k.ctx, store.Payload{Token: "tok " + s, Key: s, KeepFor: long, Data: []byte(s)})
			k.ok(err)
			k.same("receipt", []any{rec.Hook.RunID, rec.Hook.Token, rec.Duplicate}, []any{"hook " + s, "tok " + s, false})
			rec, err = k.s.Accept(k.ctx, store.Payload{Token: "tok " + s, Key: s, KeepFor: long})
			k.ok(err)
			k.same("duplicate", rec.Duplicate, true)
			rs, err := k.s.Runs(k.ctx, store.Filter{Workflow: s})
			k.ok(err)
			k.same("runs", ids(rs), []string{"run " + s})
			c, err := k.s.Claim(k.ctx, store.Claim{Worker: "w " + s, Definitions: []store.Definition{{Workflow: s, Version: 1}}, Limit: 9, Now: k.now()})
			k.ok(err)
			k.claims(c, "run "+s)
			hs, err := k.s.Hooks(k.ctx, store.HookFilter{})
			k.ok(err)
			k.same("hooks", len(hs), 2*(i+1))
		}
	}},
	{"keeps microseconds", func(k *kit) {
		at := time.Date(2031, 2, 28, 23, 59, 59, 999999000, time.UTC)
		t := k.begin("r")
		t.At, t.WakeAt = at, at.Add(time.Microsecond)
		t.Events[0].At = at.In(time.FixedZone("x", 3600)).Add(999 * time.Nanosecond)
		k.apply(t)
		l := k.load("r")
		k.same("times", []time.Time{l.Run.CreatedAt, l.Run.WakeAt, l.Events[0].At}, []time.Time{at, at.Add(time.Microsecond), at})
		k.claims(k.claimAt("w1", 1, at))
		k.claims(k.claimAt("w1", 1, at.Add(time.Microsecond)), "r")
	}},
	{"keeps runs to start with a message and an event", func(k *kit) {
		k.park("r", "tok")
		next := newRun("n")
		next.Input = []byte{0, 0xff, '"'}
		_, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", OrStart: &next})
		k.ok(err)
		mail := k.load("r").Mail
		k.same("of the message", mail[0].OrStart, &next)
		k.apply(takes(k.then("r", store.Waiting), mail))
		k.same("of the event", k.load("r").Events[1].OrStart, &next)
	}},
	{"keeps who sent messages", func(k *kit) {
		const ada = `{"via": "key", "name": "ada \u0000 ✓"}`
		by := func(who string) string { return ada + who }
		r := newRun("r")
		r.Actor = by("1")
		k.ok(k.s.Start(k.ctx, r))
		k.apply(takes(k.then("r", store.Waiting), k.load("r").Mail))
		t := k.then("r", store.Waiting, store.TimerFired)
		t.Effects = []store.Effect{k.opens("r", "tok", 2)}
		k.apply(t)
		next := newRun("next")
		next.Actor = by("2")
		for _, p := range []store.Payload{
			{Token: "tok", Actor: by("3"), OrStart: &next},
			{Token: "other", Actor: by("4"), OrStart: &next},
			{Token: "tok"},
		} {
			_, err := k.s.Accept(k.ctx, p)
			k.ok(err)
		}
		k.ok(k.s.Send(k.ctx, store.Message{RunID: "r", Kind: store.Woken, Actor: by("5")}))
		k.same("of the mailbox", actors(k.load("r").Mail), []string{by("3"), "", by("5")})
		k.same("of a run that a payload has started", actors(k.load("next").Mail), []string{by("2"), by("4")})
		k.apply(takes(k.then("r", store.Waiting), k.load("r").Mail[:1]))
		journaled := []string{}
		for _, e := range k.load("r").Events {
			journaled = append(journaled, e.Actor)
		}
		k.same("of the journal", journaled, []string{by("1"), "", by("3")})
		k.ok(k.s.Terminate(k.ctx, "r", store.Event{At: k.now(), Kind: store.RunCanceled, Actor: by("6")}))
		events, err := k.s.Journal(k.ctx, "r", 3, 10)
		k.ok(err)
		k.same("of the end", events[0].Actor, by("6"))
	}},
	{"keeps the traces of runs and of messages", func(k *kit) {
		const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 vendor=a,other=b"
		free := newRun("free")
		free.Trace = trace + "1"
		k.ok(k.s.Start(k.ctx, free))
		child := newRun("child")
		child.Trace = trace + "2"
		t := k.begin("born", store.Effect{Kind: store.StartRun, Run: child}, k.opens("born", "tok", 1))
		t.Create.Trace = trace + "3"
		k.apply(t)
		_, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Trace: trace + "4"})
		k.ok(err)
		next := newRun("next")
		next.Trace = trace + "5"
		_, err = k.s.Accept(k.ctx, store.Payload{Token: "other", OrStart: &next, Trace: trace + "6"})
		k.ok(err)
		k.start("none")
		for id, want := range map[string]string{"free": "1", "child": "2", "born": "3", "next": "5"} {
			k.same("trace of "+id, k.load(id).Run.Trace, trace+want)
		}
		k.same("none", k.load("none").Run.Trace, "")
		k.same("of the payload", k.load("born").Mail[0].Trace, trace+"4")
		k.same("of the first payload", k.load("next").Mail[1].Trace, trace+"6")
		claimed := map[string]string{}
		for _, r := range k.claim("w1", 10).Runs {
			claimed[r.ID] = r.Trace
		}
		k.same("claimed", claimed, map[string]string{
			"free": trace + "1", "child": trace + "2", "born": trace + "3", "next": trace + "5", "none": "",
		})
	}},
}

// actors are the senders of messages.
func actors(mail []store.Message) []string {
	all := []string{}
	for _, m := range mail {
		all = append(all, m.Actor)
	}
	return all
}

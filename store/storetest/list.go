package storetest

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/store"
)

var listTests = []test{
	{"lists runs newest first, page by page", func(k *kit) {
		for i := range 7 {
			k.park(fmt.Sprintf("r%d", i))
		}
		page := func(f store.Filter) []string {
			k.Helper()
			rs, err := k.s.Runs(k.ctx, f)
			k.ok(err)
			return ids(rs)
		}
		k.same("all", page(store.Filter{}), []string{"r6", "r5", "r4", "r3", "r2", "r1", "r0"})
		k.same("page", page(store.Filter{Limit: 3}), []string{"r6", "r5", "r4"})
		after := func(id string) store.RunCursor {
			r := k.load(id).Run
			return r.Cursor()
		}
		k.same("page", page(store.Filter{Limit: 3, Before: after("r4")}), []string{"r3", "r2", "r1"})
		k.same("page", page(store.Filter{Limit: 3, Before: after("r1")}), []string{"r0"})
		k.same("page", page(store.Filter{Limit: 3, Before: after("r0")}), []string{})
	}},
	{"lists runs of a status, a workflow, a parent", func(k *kit) {
		k.start("running")
		k.park("waiting")
		for _, s := range []store.Status{store.Blocked, store.Completed, store.Failed, store.Canceled} {
			k.park(string(s))
			k.apply(k.then(string(s), s))
		}
		for _, s := range []store.Status{store.Running, store.Waiting, store.Blocked, store.Completed, store.Failed, store.Canceled} {
			for _, f := range []store.Filter{{Status: s}, {Status: s, Workflow: "flow"}, {Status: s, Limit: 1}} {
				rs, err := k.s.Runs(k.ctx, f)
				k.ok(err)
				k.same("runs", ids(rs), []string{string(s)})
			}
		}
		t := k.begin("child")
		t.Create.Workflow, t.Create.ParentID, t.Create.ParentRef = "other", "running", "x#1"
		k.apply(t)
		for _, f := range []store.Filter{{Workflow: "other"}, {ParentID: "running"}, {ParentID: "running", Status: store.Waiting}} {
			rs, err := k.s.Runs(k.ctx, f)
			k.ok(err)
			k.same("runs", ids(rs), []string{"child"})
			k.same("run", rs[0], k.load("child").Run)
		}
		rs, err := k.s.Runs(k.ctx, store.Filter{ParentID: "child"})
		k.ok(err)
		k.same("runs", len(rs), 0)
	}},
	{"lists runs by what all fields of a filter ask for, page by page", func(k *kit) {
		at := k.now()
		var all []store.Run
		for i := range 40 {
			r := newRun(fmt.Sprintf("%c-%02d", "abc"[i%3], (i*7)%40)) // IDs are not in the order of time
			r.Workflow = []string{"flow", "other", "rare"}[min(i%8, 2)]
			if i%5 == 0 && i > 0 {
				r.ParentID, r.ParentRef = all[0].ID, fmt.Sprint(i)
			}
			t := k.begin(r.ID)
			t.Create, t.At = &r, at.Add(time.Duration(i/2)*time.Second) // two each have the same time
			t.Status = []store.Status{store.Waiting, store.Completed, store.Failed, store.Waiting}[i%4]
			k.apply(t)
			all = append(all, k.load(r.ID).Run)
		}
		for i := range 150 {
			f := store.Filter{Limit: 1 + i%9}
			pick := func(n int, set func()) {
				if i/3%n == 0 {
					set()
				}
			}
			pick(2, func() { f.Status = []store.Status{store.Waiting, store.Failed, store.Blocked}[i%3] })
			pick(4, func() { f.Open = true })
			pick(3, func() { f.Workflow = []string{"flow", "rare", "none"}[i%3] })
			pick(5, func() { f.ParentID = all[0].ID })
			pick(4, func() { f.Prefix = []string{"a", "b-0", "c-", "a-2"}[i%4] })
			pick(7, func() { f.Since = at.Add(time.Duration(i%20) * time.Second) })
			pick(6, func() { f.Until = at.Add(time.Duration(i%25) * time.Second) })
			var want []store.Run
			for _, r := range all {
				if (f.Status == "" || r.Status == f.Status) && (!f.Open || !r.Status.Ended()) && (f.Workflow == "" || r.Workflow == f.Workflow) && (f.ParentID == "" || r.ParentID == f.ParentID) &&
					strings.HasPrefix(r.ID, f.Prefix) && !r.CreatedAt.Before(f.Since) && (f.Until.IsZero() || r.CreatedAt.Before(f.Until)) {
					want = append(want, r)
				}
			}
			slices.SortFunc(want, func(r, s store.Run) int {
				if f.Prefix != "" {
					return strings.Compare(s.ID, r.ID)
				}
				return cmp.Or(s.CreatedAt.Compare(r.CreatedAt), strings.Compare(s.ID, r.ID))
			})
			for {
				got, err := k.s.Runs(k.ctx, f)
				k.ok(err)
				n := min(f.Limit, len(want))
				k.same(fmt.Sprintf("runs of %+v", f), ids(got), ids(want[:n]))
				if n == 0 {
					break
				}
				want, f.Before = want[n:], got[n-1].Cursor()
			}
		}
	}},
	{"goes on with a list of runs whose last one was deleted", func(k *kit) {
		for i := range 6 {
			t := k.begin(fmt.Sprint("r", i))
			t.Status = store.Completed
			t.Create.ParentID, t.Create.ParentRef = "p", fmt.Sprint(i)
			k.apply(t)
		}
		filters := []store.Filter{{}, {Status: store.Completed}, {Prefix: "r"}, {ParentID: "p"}}
		for i := range filters {
			filters[i].Limit = 2
			rs, err := k.s.Runs(k.ctx, filters[i])
			k.ok(err)
			k.same("page", ids(rs), []string{"r5", "r4"})
			filters[i].Before = rs[1].Cursor()
		}
		n, _, err := k.s.Prune(k.ctx, k.now().Add(time.Hour), 4) // all but the first two
		k.ok(err)
		k.same("pruned", n, 4)
		t := k.begin("r1x")
		t.At, t.Status, t.Create.ParentID, t.Create.ParentRef = k.now().Add(-time.Hour), store.Completed, "p", "x"
		k.apply(t) // it follows the cursor
		for _, f := range filters {
			rs, err := k.s.Runs(k.ctx, f)
			k.ok(err)
			k.same(fmt.Sprintf("the page after one that is gone, %+v", f), ids(rs), []string{"r1x"})
		}
	}},
	{"finds what begins with any text", func(k *kit) {
		for _, id := range []string{"é", "éa", "ê", "e", "\uD7FF", "\uD7FFx", "\uE000", "\U0010FFFF", "\U0010FFFFz", "a%_", "a%", "A%"} {
			k.park(id, id)
		}
		for prefix, want := range map[string][]string{
			"é": {"é", "éa"}, "\uD7FF": {"\uD7FF", "\uD7FFx"}, "\U0010FFFF": {"\U0010FFFF", "\U0010FFFFz"}, "a%": {"a%", "a%_"}, "a_": {}, "x": {},
		} {
			rs, err := k.s.Runs(k.ctx, store.Filter{Prefix: prefix})
			k.ok(err)
			got := ids(rs)
			slices.Reverse(got)
			k.same("runs", got, want)
			hs, err := k.s.Hooks(k.ctx, store.HookFilter{Prefix: prefix})
			k.ok(err)
			k.same("tokens", tokens(hs), want)
		}
	}},
	{"counts runs up to a limit", func(k *kit) {
		for i := range 9 {
			t := k.begin(fmt.Sprint(i))
			t.Create.Workflow = fmt.Sprint("flow", i%3)
			t.Status = []store.Status{store.Waiting, store.Completed, store.Waiting, store.Failed}[i%4]
			k.apply(t)
		}
		k.start("new")
		for limit, want := range map[int]map[store.Status]int{
			100: {store.Running: 1, store.Waiting: 5, store.Completed: 2, store.Failed: 2},
			5:   {store.Running: 1, store.Waiting: 5, store.Completed: 2, store.Failed: 2},
			2:   {store.Running: 1, store.Waiting: 2, store.Completed: 2, store.Failed: 2},
		} {
			got, err := k.s.Count(k.ctx, limit)
			k.ok(err)
			maps.DeleteFunc(got, func(_ store.Status, n int) bool { return n == 0 })
			k.same("counts", got, want)
		}
	}},
	{"lists open hooks in the order in which they were opened", func(k *kit) {
		k.park("b", "z", "a", "m")
		k.park("a", "x")
		t := k.then("b", store.Waiting)
		t.Effects = []store.Effect{closes("b/a", 1), k.opens("b/0", "new", 1)}
		k.apply(t)
		k.same("hooks", k.hooks("b"), []string{"b/z", "b/m", "b/0"})
		k.same("hooks", k.hooks("a"), []string{"a/x"})
		k.same("hooks", k.hooks(""), []string{"b/z", "b/m", "a/x", "b/0"})
		hs, err := k.s.Hooks(k.ctx, store.HookFilter{Limit: 2})
		k.ok(err)
		k.same("hooks", len(hs), 2)
		k.same("hooks", k.hooks("nobody"), []string{})
	}},
	{"lists open hooks by what all fields of a filter ask for, page by page", func(k *kit) {
		var all []store.Hook
		for i := range 30 {
			id := fmt.Sprint("r", i%7)
			if i < 7 {
				k.park(id)
			}
			e := k.opens(fmt.Sprint("h", i), fmt.Sprintf("%c:%02d", "xyz"[i%3], (i*11)%30), 1)
			e.Hook.Type = []string{"", "approval", "chat"}[i/2%3]
			t := k.then(id, store.Waiting)
			t.Effects = []store.Effect{e}
			k.apply(t)
			e.Hook.RunID = id
			all = append(all, e.Hook)
		}
		for i := range 60 {
			f := store.HookFilter{Limit: 1 + i%6}
			if i%2 == 0 {
				f.Type = []string{"approval", "chat", "none"}[i/2%3]
			}
			if i%3 == 0 {
				f.Prefix = []string{"x:", "y:0", "none", "z"}[i/3%4]
			}
			if i%5 == 0 {
				f.RunID = fmt.Sprint("r", i/5%8)
			}
			var want []store.Hook
			for _, h := range all {
				if (f.Type == "" || h.Type == f.Type) && (f.RunID == "" || h.RunID == f.RunID) && strings.HasPrefix(h.Token, f.Prefix) {
					want = append(want, h)
				}
			}
			if f.Prefix != "" {
				slices.SortFunc(want, func(g, h store.Hook) int { return strings.Compare(g.Token, h.Token) })
			}
			for {
				got, err := k.s.Hooks(k.ctx, f)
				k.ok(err)
				n := min(f.Limit, len(want))
				k.same(fmt.Sprintf("tokens of %+v", f), tokens(got), tokens(want[:n]))
				if n == 0 {
					break
				}
				want, f.After, f.From = want[n:], got[n-1].Number, got[n-1].Token+"\x01"
			}
		}
	}},
	{"goes on with a list of hooks whose last one was closed or deleted", func(k *kit) {
		k.park("a", "x:1")
		k.park("b", "x:2", "x:3")
		k.park("c", "x:4")
		hs, err := k.s.Hooks(k.ctx, store.HookFilter{Limit: 2})
		k.ok(err)
		k.same("tokens", tokens(hs), []string{"x:1", "x:2"})
		rest := func(want ...string) {
			k.Helper()
			for _, f := range []store.HookFilter{{After: hs[1].Number}, {Prefix: "x:", From: "x:2\x01"}, {Prefix: "x", From: "x:3"}} {
				got, err := k.s.Hooks(k.ctx, f)
				k.ok(err)
				k.same(fmt.Sprintf("tokens of %+v", f), tokens(got), want)
			}
		}
		rest("x:3", "x:4")
		t := k.then("b", store.Waiting)
		t.Effects = []store.Effect{closes(hs[1].ID, 1)}
		k.apply(t)
		rest("x:3", "x:4")
		k.apply(k.then("b", store.Completed))
		n, _, err := k.s.Prune(k.ctx, k.now().Add(time.Hour), 100)
		k.ok(err)
		k.same("pruned", n, 1)
		rest("x:4")
	}},
	{"reads a journal page by page", func(k *kit) {
		_, err := k.s.Journal(k.ctx, "nobody", 0, 1)
		k.fails(err, store.ErrNotFound)
		k.start("r")
		events, err := k.s.Journal(k.ctx, "r", 0, 1)
		k.ok(err)
		k.same("events", len(events), 0)
		k.claim("w1", 1)
		t := k.then("r", store.Waiting)
		for i := range 10 {
			t.Events = append(t.Events, store.Event{
				At: t.At, Kind: store.StepCompleted, Ref: fmt.Sprint("s#", i), Asked: "step", Data: bytes.Repeat([]byte("x"), store.PageSize/4),
			})
		}
		k.apply(t)
		all := k.load("r").Events
		page := func(after int64, limit int, want []store.Event) {
			k.Helper()
			got, err := k.s.Journal(k.ctx, "r", after, limit)
			k.ok(err)
			k.same("events", got, want)
		}
		page(0, 2, all[:2])
		page(2, 2, all[2:4])
		page(8, 100, all[8:])
		page(1, 100, all[1:5]) // these have a page of data
		page(10, 1, nil)
		page(11, 1, nil)
	}},
	{"reads a mailbox, up to a limit", func(k *kit) {
		_, err := k.s.Mailbox(k.ctx, "nobody", 1)
		k.fails(err, store.ErrNotFound)
		k.park("r", "tok")
		for i := range 8 {
			k.accept("tok", fmt.Sprint(i)+strings.Repeat(" ", store.PageSize/4))
		}
		k.ok(k.s.Send(k.ctx, store.Message{RunID: "r", Kind: store.CancelRequested}))
		mail := k.load("r").Mail
		for range 2 {
			for limit, n := range map[int]int{2: 2, 100: 4} {
				got, err := k.s.Mailbox(k.ctx, "r", limit)
				k.ok(err)
				k.same("messages", texts(got), texts(mail[:n]))
			}
			if len(mail) == 9 { // and the same of what is unread
				k.apply(k.then("r", store.Failed, store.RunFailed))
				mail = mail[:8]
			}
		}
	}},
	{"lists workers", func(k *kit) {
		k.lease("w2", long)
		k.ok(k.s.Renew(k.ctx, store.Lease{Worker: "w1", For: short, Build: "b2", LinkKeys: []string{"old", "new"}}))
		k.pass(short)
		ws, err := k.s.Workers(k.ctx)
		k.ok(err)
		k.same("number of workers", len(ws), 2)
		for _, w := range ws {
			if d := w.LeaseUntil.Sub(w.RenewedAt); d != short && d != long {
				k.Fatalf("%s has a lease for %v", w.Name, d)
			}
		}
		ws[0].LeaseUntil, ws[0].RenewedAt, ws[1].LeaseUntil, ws[1].RenewedAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		k.same("workers", ws, []store.WorkerInfo{{Name: "w1", Build: "b2", LinkKeys: []string{"old", "new"}}, {Name: "w2", Build: "b1", Definitions: defs, Live: true}})
	}},
}

func tokens(hooks []store.Hook) []string {
	out := []string{}
	for _, h := range hooks {
		out = append(out, h.Token)
	}
	return out
}

var watchTests = []test{
	{"reports commits, until it is stopped", func(k *kit) {
		w, ok := k.s.(store.CommitWatcher)
		if !ok {
			k.Skip("the store is not a store.CommitWatcher")
		}
		commits := make(chan store.Commit, 1000)
		stop := w.WatchCommits(func(c store.Commit) { commits <- c })
		k.start("r")
		if c := <-commits; c.Operations != 1 || c.Took < 0 || c.Took > time.Minute {
			k.Errorf("the commit of a start: %+v", c)
		}
		k.fails(k.s.Start(k.ctx, newRun("r")), store.ErrExists)
		stop()
		for len(commits) > 0 {
			<-commits
		}
		k.start("r2")
		k.same("commits after the stop", len(commits), 0)
	}},
	{"signals messages and ends, until it is stopped", func(k *kit) {
		signals := make(chan store.Signal, 1000)
		stop := k.s.Watch(func(s store.Signal) { signals <- s })
		mail := func(id string) { k.Helper(); k.signal(signals, func(s store.Signal) bool { return has(s.Mail, id) }) }
		ended := func(id string) { k.Helper(); k.signal(signals, func(s store.Signal) bool { return has(s.Ended, id) }) }
		k.start("r")
		mail("r")
		k.park("p", "tok")
		k.accept("tok", "1")
		mail("p")
		k.ok(k.s.Send(k.ctx, store.Message{RunID: "p", Kind: store.Woken}))
		mail("p")
		k.orStart("new", "1", "n")
		mail("n")
		child := newRun("c")
		child.ParentID = "p"
		t := k.then("p", store.Waiting)
		t.Effects = []store.Effect{
			{Kind: store.StartRun, Run: child},
			{Kind: store.Send, Message: store.Message{RunID: "r", Kind: store.CancelRequested}},
		}
		k.apply(t)
		mail("c")
		k.apply(k.then("p", store.Failed, store.RunFailed))
		ended("p")
		_, err := k.s.Retry(k.ctx, store.Cut{RunID: "p", Events: 2, From: 2})
		k.ok(err)
		mail("p")
		k.ok(k.s.Terminate(k.ctx, "p", store.Event{At: k.now(), Kind: store.RunCanceled}))
		ended("p")
		stop()
		stop()
		for len(signals) > 0 {
			<-signals
		}
		k.start("unseen")
		k.same("signals", len(signals), 0)
	}},
	{"signals runs that were freed with messages left", func(k *kit) {
		k.park("r", "tok")
		k.accept("tok", "1")
		k.accept("tok", "2")
		hold := takes(k.then("r", store.Running), k.load("r").Mail[:1])
		hold.Keep = true
		k.apply(hold)
		signals := make(chan store.Signal, 1000)
		defer k.s.Watch(func(s store.Signal) { signals <- s })()
		k.apply(k.then("r", store.Waiting))
		k.signal(signals, func(s store.Signal) bool { return has(s.Mail, "r") })
	}},
	{"signals runs that were freed with something to do", func(k *kit) {
		t := k.begin("r")
		t.Keep, t.WakeAt = true, t.At
		k.apply(t)
		k.lease("w1", long)
		k.lease("w2", long)
		signals := make(chan store.Signal, 1000)
		defer k.s.Watch(func(s store.Signal) { signals <- s })()
		handOver := k.then("r", store.Running)
		handOver.WakeAt = handOver.At
		k.apply(handOver)
		k.signal(signals, func(s store.Signal) bool { return has(s.Mail, "r") })
		k.claims(k.claim("w2", 1), "r")
		k.ok(k.s.Release(k.ctx, "w2"))
		k.signal(signals, func(s store.Signal) bool { return s.All })
		k.claims(k.claim("w1", 1), "r")
		k.apply(k.then("r", store.Waiting)) // nothing to do: nobody has to know
		k.ok(k.s.Release(k.ctx, "w1"))      // others may have waited for it to say where it is
		k.signal(signals, func(s store.Signal) bool { return s.All })
	}},
	{"tells a process that awaits it what another process has ended or answered", func(k *kit) {
		if !k.s.Shared() {
			k.Skip("the database is not shared")
		}
		k.park("p", "tok")
		signals := make(chan store.Signal, 1000)
		defer k.s.Watch(func(s store.Signal) { signals <- s })()
		other := k.h.Open(k.T)
		done := k.s.Await()
		_, err := other.Apply(k.ctx, k.then("p", store.Completed, store.RunCompleted))
		k.ok(err)
		k.signal(signals, func(s store.Signal) bool { return has(s.Ended, "p") })
		k.ok(other.Respond(k.ctx, k.response("q", "step#1", "x")))
		k.signal(signals, func(s store.Signal) bool { return has(s.Responded, "q") })
		done()
		done()
	}},
	{"catches up on what signals would have said", func(k *kit) {
		k.start("new")
		k.park("p", "tok")
		k.accept("tok", "1")
		k.park("parked")
		k.park("ended")
		k.apply(k.then("ended", store.Completed, store.RunCompleted))
		k.ok(k.s.Respond(k.ctx, k.response("q", "step#1", "x")))
		all := []string{"p", "parked", "nobody", "ended", "new"}
		got, err := k.s.Resync(k.ctx, store.Signal{Mail: all, Ended: all, Responded: []string{"nobody", "q"}})
		k.ok(err)
		slices.Sort(got.Mail)
		k.same("signal", got, store.Signal{Mail: []string{"new", "p"}, Ended: []string{"ended"}, Responded: []string{"q"}})
		got, err = k.s.Resync(k.ctx, store.Signal{})
		k.ok(err)
		k.same("signal", got, store.Signal{})
	}},
	{"tells how runs have ended", func(k *kit) {
		k.park("parked", "tok")
		k.accept("tok", "1")
		for id, status := range map[string]store.Status{"good": store.Completed, "bad": store.Failed} {
			k.park(id)
			t := k.then(id, status, store.PayloadReceived, store.RunCompleted)
			t.Events[0].Data, t.Events[1].Data = []byte("payload"), []byte(id+" end")
			k.apply(t)
		}
		k.park("empty")
		k.apply(k.then("empty", store.Completed, store.RunCompleted))
		k.park("gone")
		k.ok(k.s.Terminate(k.ctx, "gone", store.Event{At: k.now(), Kind: store.RunCanceled, Data: []byte("terminated")}))
		got, err := k.s.Endings(k.ctx, []string{"gone", "good", "nobody", "no\xff\x00body", "bad", "parked", "empty", "good"})
		k.ok(err)
		slices.SortFunc(got, func(a, b store.Ending) int { return strings.Compare(a.RunID, b.RunID) })
		k.same("endings", slices.CompactFunc(got, func(a, b store.Ending) bool { return a.RunID == b.RunID }), []store.Ending{
			{RunID: "bad", Workflow: "flow", Status: store.Failed, Data: []byte("bad end")},
			{RunID: "empty", Workflow: "flow", Status: store.Completed},
			{RunID: "gone", Workflow: "flow", Status: store.Canceled, Data: []byte("terminated")},
			{RunID: "good", Workflow: "flow", Status: store.Completed, Data: []byte("good end")},
			{RunID: "parked", Workflow: "flow", Status: store.Waiting},
		})
		got, err = k.s.Endings(k.ctx, nil)
		k.ok(err)
		k.same("endings of no runs", len(got), 0)
	}},
	{"notices what another process does", func(k *kit) {
		if !k.s.Shared() {
			k.Skip("the database is not shared")
		}
		signals := make(chan store.Signal, 1000)
		defer k.s.Watch(func(s store.Signal) { signals <- s })()
		other := k.h.Open(k.T)
		k.ok(other.Start(k.ctx, newRun("r")))
		k.signal(signals, func(s store.Signal) bool { return has(s.Mail, "r") })
		k.same("mail", k.mail("r"), []string{"started"})
	}},
}

func has(list []string, id string) bool {
	return slices.Contains(list, id)
}

// signal waits for a signal that is as it should be, or says All.
func (k *kit) signal(signals <-chan store.Signal, fits func(store.Signal) bool) {
	k.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case s := <-signals:
			if s.All || fits(s) {
				return
			}
		case <-timeout:
			k.Fatal("no signal came")
		}
	}
}

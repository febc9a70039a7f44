package storetest

import (
	"fmt"
	"slices"
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
		k.same("page", page(store.Filter{Limit: 3, Before: "r4"}), []string{"r3", "r2", "r1"})
		k.same("page", page(store.Filter{Limit: 3, Before: "r1"}), []string{"r0"})
		k.same("page", page(store.Filter{Limit: 3, Before: "r0"}), []string{})
	}},
	{"lists runs of a status, a workflow, a parent", func(k *kit) {
		k.start("running")
		k.park("waiting")
		for _, s := range []store.Status{store.Blocked, store.Completed, store.Failed, store.Canceled} {
			k.park(string(s))
			k.apply(k.then(string(s), s))
		}
		for _, s := range []store.Status{store.Running, store.Waiting, store.Blocked, store.Completed, store.Failed, store.Canceled} {
			for _, f := range []store.Filter{{Status: s}, {Status: s, Workflow: "flow"}, {Status: s, Before: "zz", Limit: 1}} {
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
	{"lists open hooks in the order in which they were opened", func(k *kit) {
		k.park("b", "z", "a", "m")
		k.park("a", "x")
		t := k.then("b", store.Waiting)
		t.Effects = []store.Effect{closes("b/a", 1), k.opens("b/0", "new", 1)}
		k.apply(t)
		k.same("hooks", k.hooks("b"), []string{"b/z", "b/m", "b/0"})
		k.same("hooks", k.hooks("a"), []string{"a/x"})
		k.same("hooks", k.hooks(""), []string{"b/z", "b/m", "a/x", "b/0"})
		hs, err := k.s.Hooks(k.ctx, "", 2)
		k.ok(err)
		k.same("hooks", len(hs), 2)
		k.same("hooks", k.hooks("nobody"), []string{})
	}},
}

var watchTests = []test{
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
	{"tells who awaits it what another process has ended or answered", func(k *kit) {
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
		got, err := k.s.CatchUp(k.ctx, store.Signal{Mail: all, Ended: all, Responded: []string{"nobody", "q"}})
		k.ok(err)
		slices.Sort(got.Mail)
		k.same("signal", got, store.Signal{Mail: []string{"new", "p"}, Ended: []string{"ended"}, Responded: []string{"q"}})
		got, err = k.s.CatchUp(k.ctx, store.Signal{})
		k.ok(err)
		k.same("signal", got, store.Signal{})
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

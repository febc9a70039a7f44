package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

// due creates a run of a workflow with a WakeAt.
func (k *kit) due(id, workflow string, version int, at time.Time) {
	k.Helper()
	t := k.begin(id)
	t.Create.Workflow, t.Create.Version, t.WakeAt = workflow, version, at
	k.apply(t)
}

var claimTests = []test{
	{"claims a run that has a message", func(k *kit) {
		k.park("parked", "t1")
		k.park("r", "tok")
		k.start("new")
		k.claims(k.claim("w1", 10), "new")
		k.accept("tok", "1")
		c := k.claim("w2", 10)
		k.claims(c, "r")
		r := c.Runs[0]
		k.same("run", r, k.load("r").Run)
		k.same("owner", []any{r.Worker, r.Epoch, r.Suspicion}, []any{"w2", int64(2), int32(0)})
		k.claims(k.claim("w2", 10)) // they are owned now
		k.claims(k.claim("w1", 10))
	}},
	{"claims a run with a message whatever time the claimer has", func(k *kit) {
		k.start("r")
		k.claims(k.claimAt("w1", 10, k.now().Add(-long)), "r")
	}},
	{"claims a run whose WakeAt is due, and says when to look again", func(k *kit) {
		now := k.now()
		k.due("later", "flow", 1, now.Add(2*time.Hour))
		k.due("soon", "flow", 1, now.Add(time.Hour))
		k.due("due", "flow", 1, now)
		k.due("other", "other", 1, now.Add(time.Minute))
		c := k.claimAt("w1", 10, now)
		k.claims(c, "due")
		k.same("next", c.Next, now.Add(time.Hour))
		k.same("more", c.More, false)
		k.claims(k.claimAt("w1", 10, now.Add(time.Hour-time.Microsecond)))
		c = k.claimAt("w1", 10, now.Add(time.Hour))
		k.claims(c, "soon")
		k.same("next", c.Next, now.Add(2*time.Hour))
		c = k.claimAt("w1", 10, now.Add(3*time.Hour))
		k.claims(c, "later")
		k.same("next", c.Next, time.Time{})
	}},
	{"does not take a run before its time because the clock of the store is ahead", func(k *kit) {
		now := k.now()
		k.due("r", "flow", 1, now.Add(-time.Minute))
		c := k.claimAt("w1", 10, now.Add(-time.Hour))
		k.claims(c)
		k.same("next", c.Next, now.Add(-time.Minute))
	}},
	{"claims what fits the definitions", func(k *kit) {
		now := k.now()
		k.due("a1", "a", 1, now)
		k.due("a2", "a", 2, now)
		k.due("a0", "a", 0, now)
		k.due("b1", "b", 1, now)
		claim := func(defs ...store.Definition) []string {
			c, err := k.s.Claim(k.ctx, store.Claim{Worker: "w1", Definitions: defs, Limit: 10, Now: now})
			k.ok(err)
			got := ids(c.Runs)
			slices.Sort(got)
			return got
		}
		k.same("claimed", claim(), []string{})
		k.same("claimed", claim(store.Definition{Workflow: "c", Version: 1}), []string{})
		k.same("claimed", claim(store.Definition{Workflow: "a", Version: 1}, store.Definition{Workflow: "a", Version: 3}), []string{"a0", "a1"})
		k.same("version", k.load("a0").Run.Version, 0)
		k.same("claimed", claim(store.Definition{Workflow: "b", Version: 1}, store.Definition{Workflow: "a", Version: 2}), []string{"a2", "b1"})
	}},
	{"leaves runs alone that are blocked for this build", func(k *kit) {
		now := k.now()
		for _, build := range []string{"b0", "b1", "b2"} {
			t := k.begin("r" + build)
			t.Status, t.BlockedBuild, t.BlockedReason, t.WakeAt = store.Blocked, build, "diverged", now
			k.apply(t)
		}
		k.due("free", "flow", 1, now)
		got := ids(k.claim("w1", 10).Runs) // of build b1
		slices.Sort(got)
		k.same("claimed", got, []string{"free", "rb0", "rb2"})
		k.ok(k.s.Send(k.ctx, store.Message{RunID: "rb1", Kind: store.Woken}))
		c := k.claim("w1", 10)
		k.claims(c)
		k.same("next", c.Next, time.Time{})
		c, err := k.s.Claim(k.ctx, store.Claim{Worker: "w1", Build: "b9", Definitions: defs, Limit: 10, Now: now})
		k.ok(err)
		k.claims(c, "rb1")
	}},
	{"is patient with mail that others are about to take", func(k *kit) {
		now := k.now()
		k.lease("w1", long)
		k.due("timer", "flow", 1, now)
		k.park("young", "t")
		k.accept("t", "hello")
		patient := func(patience time.Duration) store.Claimed {
			c, err := k.s.Claim(k.ctx, store.Claim{Worker: "w1", Build: "b1", Definitions: defs, Limit: 10, Now: k.now(), Patience: patience})
			k.ok(err)
			return c
		}
		accepted := k.load("young").Mail[0].AcceptedAt
		c := patient(time.Hour)
		k.claims(c, "timer")
		if d := c.Next.Sub(accepted.Add(time.Hour)).Abs(); d > time.Minute {
			k.Errorf("next is %s, want an hour after %s", c.Next, accepted)
		}
		k.claims(patient(time.Microsecond), "young")
	}},
	{"gives a worker what it owns already if the answer to its claim got lost", func(k *kit) {
		now := k.now()
		k.due("r", "flow", 1, now)
		lost := k.claim("w1", 10)
		k.claims(lost, "r")
		k.claims(k.claim("w1", 10))
		again, err := k.s.Claim(k.ctx, store.Claim{Worker: "w1", Build: "b1", Definitions: defs, Limit: 10, Now: now, Again: true})
		k.ok(err)
		k.same("claimed", again.Runs, lost.Runs)
		k.same("owned", k.load("r").Run, lost.Runs[0])
	}},
	{"gives the oldest need first, and says if there may be more", func(k *kit) {
		now := k.now()
		for i, id := range []string{"c", "a", "d", "b"} {
			k.due(id, "flow", i%2, now.Add(-time.Duration(i)*time.Minute))
		}
		c := k.claimAt("w1", 2, now)
		k.claims(c, "b", "d")
		k.same("more", c.More, true)
		c = k.claimAt("w1", 3, now)
		k.claims(c, "a", "c")
		k.same("more", c.More, false)
		c = k.claimAt("w1", 0, now)
		k.claims(c)
	}},
	{"is fair between messages and times", func(k *kit) {
		now := k.now()
		k.park("mail", "tok")
		k.accept("tok", "1")
		k.due("old", "flow", 1, now.Add(-time.Hour))
		k.due("new", "flow", 1, now.Add(time.Hour))
		k.claims(k.claimAt("w1", 10, now.Add(2*time.Hour)), "old", "mail", "new")
	}},
	{"claims a run again when a message comes after it was freed", func(k *kit) {
		k.start("r")
		k.claims(k.claim("w1", 1), "r")
		k.apply(takes(k.then("r", store.Waiting), k.load("r").Mail))
		k.claims(k.claim("w1", 1))
		k.ok(k.s.Send(k.ctx, store.Message{RunID: "r", Kind: store.Woken}))
		k.claims(k.claim("w1", 1), "r")
		k.apply(k.then("r", store.Waiting)) // freed with the message still there
		k.claims(k.claim("w1", 1), "r")
		k.same("epoch", k.load("r").Run.Epoch, int64(3))
	}},
	{"claims those of some runs that are free, fit and have something to do", func(k *kit) {
		now := k.now()
		k.lease("dead", -long)
		k.lease("w1", long)
		k.due("lapsed", "flow", 1, now)
		k.claims(k.claim("dead", 1), "lapsed")
		k.park("parked", "t1")
		k.park("mail", "t2")
		k.accept("t2", "1")
		k.start("new")
		k.start("others") // it is not named
		k.due("due", "flow", 1, now)
		k.due("later", "flow", 1, now.Add(time.Hour))
		k.due("unfit", "other", 9, now)
		blocked := k.begin("blocked")
		blocked.Status, blocked.BlockedBuild, blocked.WakeAt = store.Blocked, "b1", now
		k.apply(blocked)
		ended := k.begin("ended")
		ended.Status, ended.WakeAt = store.Completed, now
		k.apply(ended)
		named := []string{"nobody", "lapsed", "parked", "mail", "new", "mail", "due", "later", "unfit", "blocked", "ended"}
		c, err := k.s.Claim(k.ctx, store.Claim{Worker: "w1", Build: "b1", Definitions: defs, Now: now, Runs: named})
		k.ok(err)
		slices.SortFunc(c.Runs, func(a, b store.Run) int { return cmp.Compare(a.ID, b.ID) })
		k.claims(c, "due", "mail", "new")
		for _, r := range c.Runs {
			k.same("run", r, k.load(r.ID).Run)
			k.same("owner", []any{r.Worker, r.Suspicion}, []any{"w1", int32(0)})
		}
		k.same("when to look again: one has an owner who is dead", c.Next.IsZero() || c.Next.After(k.now()), false)
		k.same("more, and busy", []any{c.More, len(c.Busy)}, []any{false, 0})
		again, err := k.s.Claim(k.ctx, store.Claim{Worker: "w1", Build: "b1", Definitions: defs, Now: now, Runs: named})
		k.ok(err)
		k.claims(again)
		named = []string{"new", "mail"}
		c, err = k.s.Claim(k.ctx, store.Claim{Worker: "w1", Build: "b1", Definitions: defs, Now: now, Runs: named})
		k.ok(err)
		k.same("when to look again for one's own", c.Next, time.Time{})
		k.lease("w2", 2*long)
		c, err = k.s.Claim(k.ctx, store.Claim{Worker: "w2", Build: "b1", Definitions: defs, Now: now, Runs: named})
		k.ok(err)
		k.claims(c)
		k.same("when to look again for another's: when its lease lapses", c.Next.After(k.now()) && c.Next.Before(k.now().Add(long+time.Second)), true)
	}},
	{"never claims a run that has ended", func(k *kit) {
		t := k.begin("r")
		t.Status, t.WakeAt = store.Completed, k.now()
		k.apply(t)
		k.claims(k.claimAt("w1", 10, saturate.Beyond))
	}},
	{"gives each run to one of many claimers", func(k *kit) {
		const runs, workers = 60, 6
		for i := range runs {
			k.start(fmt.Sprintf("r%02d", i))
		}
		for i := range workers {
			k.lease(fmt.Sprint("w", i), long)
		}
		got := make(chan string, 10*runs)
		k.all(workers, func(i int) {
			for {
				c, err := k.s.Claim(k.ctx, store.Claim{Worker: fmt.Sprint("w", i), Definitions: defs, Limit: 7, Now: k.now()})
				if err != nil || len(c.Runs) == 0 {
					k.check(err)
					return
				}
				for _, r := range c.Runs {
					got <- r.ID
				}
			}
		})
		close(got)
		seen := map[string]bool{}
		for id := range got {
			if seen[id] {
				k.Fatalf("run %s was given twice", id)
			}
			seen[id] = true
		}
		k.same("runs given", len(seen), runs)
	}},
}

var leaseTests = []test{
	{"runs of a live worker are left to it, those of a dead one are taken over", func(k *kit) {
		k.lease("dead", short)
		k.lease("live", long)
		for _, w := range []string{"dead", "live"} {
			t := k.begin("of-" + w)
			t.Worker, t.Keep, t.WakeAt, t.Status = w, true, k.now(), store.Running
			k.apply(t)
		}
		parked := k.begin("kept") // its owner waits for a message
		parked.Worker, parked.Keep = "dead", true
		k.apply(parked)
		k.pass(short)
		c := k.claim("w1", 10)
		k.claims(c, "of-dead")
		k.same("run", []any{c.Runs[0].Worker, c.Runs[0].Epoch, c.Runs[0].Suspicion, c.Runs[0].Crashes}, []any{"w1", int64(2), int32(1), int32(0)})
		if left := c.Next.Sub(k.now()); left <= 0 || left > long {
			k.Fatalf("look again in %v: want the lapse of the lease", left)
		}
		k.ok(k.s.Send(k.ctx, store.Message{RunID: "kept", Kind: store.Woken}))
		k.claims(k.claim("w1", 10), "kept")
	}},
	{"a lapsed lease that nobody took is renewed by its holder", func(k *kit) {
		k.lease("w1", short)
		t := k.begin("r")
		t.Keep, t.WakeAt = true, k.now()
		k.apply(t)
		k.pass(short)
		k.lease("w1", long)
		k.claims(k.claim("w2", 10))
		u := k.then("r", store.Running, store.TimerFired)
		u.Keep, u.WakeAt = true, k.now()
		k.apply(u)
	}},
	{"the holder writes as long as nobody took over", func(k *kit) {
		k.lease("w1", short)
		t := k.begin("r")
		t.Keep, t.WakeAt = true, k.now()
		k.apply(t)
		k.pass(short)
		u := k.then("r", store.Running, store.TimerFired)
		u.Keep, u.WakeAt = true, k.now()
		k.apply(u)
		late := k.then("r", store.Running, store.TimerFired)
		k.claims(k.claim("w2", 10), "r")
		k.refused(late, store.ErrFenced)
	}},
	{"counts suspicion, and crashes where a mark was left", func(k *kit) {
		k.lease("w1", short)
		t := k.begin("r")
		t.Keep, t.WakeAt, t.Mark, t.Suspicion, t.Crashes = true, k.now(), true, 2, 1
		t.Executing = []store.Attempt{{RunID: "r", Step: "a#1", Attempt: 1, StartedAt: k.now(), Worker: "w1"}}
		k.apply(t)
		k.pass(short)
		r := k.claim("w2", 10).Runs[0]
		k.same("counts", []int32{r.Suspicion, r.Crashes}, []int32{3, 2})
		k.same("mark", []bool{r.Mark, k.load("r").Run.Mark}, []bool{false, false})
		k.same("run", r, k.load("r").Run)
		a, err := k.s.Executing(k.ctx, "r")
		k.ok(err)
		k.same("attempts of the dead worker", len(a), 0)
	}},
	{"release frees the runs of a worker at once, without suspicion", func(k *kit) {
		k.lease("w1", long)
		t := k.begin("r")
		t.Keep, t.WakeAt, t.Mark = true, k.now(), true
		k.apply(t)
		t = k.begin("parked", k.opens("h", "tok", 1))
		t.Keep = true
		k.apply(t)
		k.lease("w3", long)
		t = k.begin("other")
		t.Worker, t.Keep, t.WakeAt = "w3", true, k.now()
		k.apply(t)
		k.claims(k.claim("w2", 10))
		k.ok(k.s.Release(k.ctx, "w1"))
		c := k.claim("w2", 10)
		k.claims(c, "r")
		k.same("counts", []int32{c.Runs[0].Suspicion, c.Runs[0].Crashes}, []int32{0, 0})
		k.same("owner", k.load("parked").Run.Worker, "")
		k.accept("tok", "1")
		k.claims(k.claim("w2", 10), "parked")
		k.same("owner", k.load("other").Run.Worker, "w3")
	}},
	{"a worker does not take its own runs", func(k *kit) {
		k.lease("w1", short)
		t := k.begin("r")
		t.Keep, t.WakeAt = true, k.now()
		k.apply(t)
		k.claims(k.claim("w1", 10))
		k.pass(short)
		k.claims(k.claim("w1", 10))
	}},
	{"a run that no live worker can execute is shown as blocked", func(k *kit) {
		r := newRun("r")
		r.Version = 2
		k.ok(k.s.Start(k.ctx, r))
		show := func(want store.Status) string {
			k.Helper()
			r, err := k.s.Run(k.ctx, "r")
			k.ok(err)
			k.same("status", r.Status, want)
			return r.BlockedReason
		}
		if show(store.Blocked) == "" {
			k.Fatal("no reason is given")
		}
		k.lease("w1", long) // has version 1
		show(store.Blocked)
		l := store.Lease{Worker: "w2", For: short, Definitions: []store.Definition{{Workflow: "flow", Version: 2}}}
		k.ok(k.s.Renew(k.ctx, l))
		show(store.Running)
		k.pass(short)
		show(store.Blocked)
		k.same("status as it is stored", k.load("r").Run.Status, store.Running)
		l.For = long
		k.ok(k.s.Renew(k.ctx, l))
		show(store.Running)
		k.ok(k.s.Release(k.ctx, "w2"))
		show(store.Blocked)
		k.ok(k.s.Terminate(k.ctx, "r", store.Event{At: k.now(), Kind: store.RunCanceled}))
		show(store.Canceled)
	}},
}

package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/tenter-dev/tenter/store"
)

func (k *kit) pause(id string) {
	k.Helper()
	k.ok(k.s.Pause(k.ctx, id, store.Pause{Actor: "ada", Why: "the bank is closed"}))
}

func (k *kit) resume(id string) {
	k.Helper()
	k.ok(k.s.Resume(k.ctx, id, "bob"))
}

func (k *kit) pauseWorkflow(name string) {
	k.Helper()
	k.ok(k.s.PauseWorkflow(k.ctx, name, store.Pause{Actor: "bob", Why: "a bad deploy"}))
}

func (k *kit) resumeWorkflow(name string) {
	k.Helper()
	k.ok(k.s.ResumeWorkflow(k.ctx, name))
}

// paused is by whom a run is shown to be paused.
func (k *kit) paused(id string) string {
	k.Helper()
	r, err := k.s.Run(k.ctx, id)
	k.ok(err)
	k.same("pause as it is loaded", k.load(id).Run.Paused, r.Paused)
	if r.Paused == nil {
		return ""
	}
	return r.Paused.Actor
}

// held parks run r, and has worker w1 own it.
func (k *kit) held() *store.Transition {
	k.Helper()
	k.park("r", "tok")
	k.lease("w1", long)
	k.accept("tok", "1")
	k.claims(k.claim("w1", 10), "r")
	t := takes(k.then("r", store.Running), k.load("r").Mail)
	t.Keep, t.WakeAt = true, t.At
	t.Executing = []store.Attempt{{RunID: "r", Step: "a#1", Attempt: 1, StartedAt: k.now(), Worker: "w1"}}
	k.apply(t)
	return t
}

func outcomes(kinds ...store.Kind) []store.Message {
	var all []store.Message
	for i, kind := range kinds {
		all = append(all, store.Message{Kind: kind, Ref: fmt.Sprintf("a#%d", i+1), Data: []byte("d")})
	}
	return all
}

var pauseTests = []test{
	{"holds a run up, as it is", func(k *kit) {
		k.park("r", "tok")
		before, from := k.load("r").Run, k.now()
		k.pause("r")
		after := k.load("r").Run
		if p := after.Paused; p == nil || p.At.Before(from) || p.At.After(k.now()) || p.Actor != "ada" || p.Why != "the bank is closed" || p.Workflow {
			k.Fatalf("pause is %+v", p)
		}
		first := *after.Paused
		after.Paused = nil
		k.same("run", after, before)
		k.refused(k.then("r", store.Waiting, store.TimerFired), store.ErrPaused)
		k.ok(k.s.Pause(k.ctx, "r", store.Pause{Actor: "eve"}))
		k.same("first pause", *k.load("r").Run.Paused, first)
		k.resume("r")
		k.same("pause", k.paused("r"), "")
		k.apply(k.then("r", store.Waiting, store.TimerFired))
		k.resume("r") // it is not paused
		mail := k.load("r").Mail
		k.same("mail", texts(mail), []string{"resumed"})
		k.same("by", mail[0].Actor, "bob")
	}},
	{"refuses a past epoch before it refuses a pause", func(k *kit) {
		k.park("r")
		k.pause("r")
		t := k.then("r", store.Waiting, store.TimerFired)
		t.Epoch++
		k.refused(t, store.ErrFenced)
		t.Epoch--
		t.After++
		k.refused(t, store.ErrPaused)
	}},
	{"is refused where there is no such run, or it has ended", func(k *kit) {
		k.fails(k.s.Pause(k.ctx, "none", store.Pause{}), store.ErrNotFound)
		k.fails(k.s.Resume(k.ctx, "none", ""), store.ErrNotFound)
		k.park("r")
		k.apply(k.then("r", store.Completed, store.RunCompleted))
		k.fails(k.s.Pause(k.ctx, "r", store.Pause{}), store.ErrFenced)
		k.fails(k.s.Resume(k.ctx, "r", ""), store.ErrFenced)
	}},
	{"lets messages come, and nobody claim", func(k *kit) {
		k.park("r", "tok")
		k.pause("r")
		k.accept("tok", "1")
		k.ok(k.s.Send(k.ctx, store.Message{RunID: "r", Kind: store.CancelRequested}))
		k.same("mail", k.mail("r"), []string{"1", "cancel_requested"})
		c := k.claim("w1", 10)
		k.claims(c)
		if !c.Next.IsZero() || c.More {
			k.Fatalf("a claim is to look again at %v, more %v", c.Next, c.More)
		}
		k.claims(k.claimNames("w1", "r"))
		k.resume("r")
		k.claims(k.claim("w1", 10), "r")
	}},
	{"lets a run be due that was when it was paused", func(k *kit) {
		k.start("r")
		k.pause("r")
		k.claims(k.claim("w1", 10))
		k.resume("r")
		k.claims(k.claimNames("w1", "r"), "r")
	}},
	{"lets a timer be due that was set before", func(k *kit) {
		t := k.begin("r")
		t.WakeAt = k.now().Add(short)
		k.apply(t)
		k.pause("r")
		k.pass(short)
		k.claims(k.claim("w1", 10))
		k.resume("r")
		k.claims(k.claim("w1", 10), "r")
	}},
	{"lets a blocked run be unblocked, and stay paused", func(k *kit) {
		t := k.begin("r")
		t.Status, t.BlockedBuild = store.Blocked, "b1"
		k.apply(t)
		k.pause("r")
		k.ok(k.s.Unblock(k.ctx, "r"))
		k.same("pause", k.paused("r"), "ada")
		k.claims(k.claim("w1", 10))
		k.resume("r")
		k.claims(k.claim("w1", 10), "r")
	}},
	{"lets a run be terminated", func(k *kit) {
		k.park("r", "tok")
		k.pause("r")
		k.accept("tok", "1")
		k.ok(k.s.Terminate(k.ctx, "r", store.Event{At: k.now(), Kind: store.RunCanceled}))
		k.same("unread", k.mailbox("r"), []string{"1"})
		k.same("pause", k.paused("r"), "")
	}},
	{"lets the owner deposit outcomes, once for each step", func(k *kit) {
		k.held()
		k.pause("r")
		epoch := k.load("r").Run.Epoch
		d := store.Deposit{RunID: "r", Worker: "w1", Epoch: epoch, Outcomes: outcomes(store.StepCompleted, store.StepFailed, store.StepRetried)}
		k.ok(k.s.Deposit(k.ctx, d))
		k.ok(k.s.Deposit(k.ctx, d))
		l := k.load("r")
		k.same("mail", texts(l.Mail), []string{"step_completed", "step_failed", "step_retried"})
		k.same("outcome", []any{l.Mail[2].Ref, string(l.Mail[2].Data), l.Run.Worker}, []any{"a#3", "d", "w1"})
		attempts, err := k.s.Executing(k.ctx, "r")
		k.ok(err)
		k.same("attempts", len(attempts), 0)
		d.Release = true
		k.ok(k.s.Deposit(k.ctx, d))
		k.same("owner", k.load("r").Run.Worker, "")
		k.claims(k.claim("w2", 10))
		k.resume("r")
		k.claims(k.claim("w2", 10), "r")
		k.same("mail", k.mail("r"), []string{"step_completed", "step_failed", "step_retried", "resumed"})
		k.fails(k.s.Deposit(k.ctx, d), store.ErrFenced)
		d.RunID = "none"
		k.fails(k.s.Deposit(k.ctx, d), store.ErrNotFound)
	}},
	{"lets nobody else deposit", func(k *kit) {
		k.held()
		k.pause("r")
		epoch := k.load("r").Run.Epoch
		k.fails(k.s.Deposit(k.ctx, store.Deposit{RunID: "r", Worker: "w2", Epoch: epoch, Release: true}), store.ErrFenced)
		k.fails(k.s.Deposit(k.ctx, store.Deposit{RunID: "r", Worker: "w1", Epoch: epoch - 1, Release: true}), store.ErrFenced)
		k.same("owner", k.load("r").Run.Worker, "w1")
	}},
	{"lets a run that is not paused be given up with something to do", func(k *kit) {
		k.held()
		epoch := k.load("r").Run.Epoch
		k.ok(k.s.Deposit(k.ctx, store.Deposit{RunID: "r", Worker: "w1", Epoch: epoch, Outcomes: outcomes(store.StepCompleted), Release: true}))
		k.claims(k.claim("w2", 10), "r")
	}},
	{"keeps the run of a dead worker until it is resumed", func(k *kit) {
		k.held()
		k.pause("r")
		k.lease("w1", short)
		k.pass(short)
		k.claims(k.claim("w2", 10))
		k.resume("r")
		c := k.claim("w2", 10)
		k.claims(c, "r")
		k.same("suspicion", c.Runs[0].Suspicion, int32(1))
	}},
	{"is known after the answer to a transition got lost", func(k *kit) {
		t := k.held()
		k.pause("r")
		l := k.fence("r", t.Epoch)
		if l.Run.Paused == nil || l.Run.Worker != "w1" || l.Run.Epoch != t.Epoch+1 {
			k.Fatalf("a fence returned %+v", l.Run)
		}
	}},
	{"is told to whoever executes the run", func(k *kit) {
		k.held()
		signals := make(chan store.Signal, 1000)
		defer k.s.Watch(func(s store.Signal) { signals <- s })()
		told := func(s store.Signal) bool { return has(s.Mail, "r") }
		k.pause("r")
		k.signal(signals, told)
		k.resume("r")
		k.signal(signals, told)
		k.pause("r")
		sig, err := k.s.Resync(k.ctx, store.Signal{Mail: []string{"r", "none"}})
		k.ok(err)
		k.same("resync", sig.Mail, []string{"r"})
	}},
	{"goes into an archive and out of it", func(k *kit) {
		k.park("r", "tok")
		k.pause("r")
		k.accept("tok", "1")
		archive := func() store.Archive {
			k.Helper()
			a := k.export("r")
			k.ok(k.s.Terminate(k.ctx, "r", store.Event{At: k.now(), Kind: store.RunCanceled}))
			_, _, err := k.s.Prune(k.ctx, k.now().Add(time.Hour), 1000)
			k.ok(err)
			return a
		}
		a := archive()
		_, err := k.archiver().Import(k.ctx, []store.Archive{a})
		k.ok(err)
		k.same("pause", k.load("r").Run.Paused, a.Run.Paused)
		k.claims(k.claim("w1", 10))
		k.resume("r")
		k.claims(k.claim("w1", 10), "r")

		// That of a workflow becomes the run's own.
		k.pauseWorkflow("flow")
		a = archive()
		k.resumeWorkflow("flow")
		_, err = k.archiver().Import(k.ctx, []store.Archive{a})
		k.ok(err)
		p := *k.load("r").Run.Paused
		k.same("pause", []any{p.At, p.Actor, p.Workflow}, []any{a.Run.Paused.At, "bob", false})
	}},
	{"holds all runs of a workflow up, those that start later too", func(k *kit) {
		k.park("r", "tok")
		k.owned("owned")
		k.start("old")
		from := k.now()
		k.pauseWorkflow("flow")
		k.ok(k.s.PauseWorkflow(k.ctx, "flow", store.Pause{Actor: "eve"}))
		k.same("pause", k.paused("r"), "bob")
		all, err := k.s.PausedWorkflows(k.ctx)
		k.ok(err)
		if len(all) != 1 || all[0].At.Before(from) || all[0].At.After(k.now()) {
			k.Fatalf("paused workflows are %+v", all)
		}
		k.same("paused workflow", all[0], store.PausedWorkflow{Workflow: "flow", Pause: store.Pause{At: all[0].At, Actor: "bob", Why: "a bad deploy", Workflow: true}})
		k.refused(k.then("r", store.Waiting, store.TimerFired), store.ErrPaused)
		k.refused(k.then("owned", store.Waiting, store.TimerFired), store.ErrPaused)
		k.refused(k.begin("born"), store.ErrPaused)
		k.start("new")
		k.accept("tok", "1")
		k.orStart("other", "2", "by payload")
		c := k.claim("w2", 10)
		k.claims(c)
		if !c.Next.IsZero() || c.More {
			k.Fatalf("a claim is to look again at %v, more %v", c.Next, c.More)
		}
		k.same("paused", c.Paused, []string{"flow"})
		k.claims(k.claimNames("w2", "r", "old", "new"))
		k.ok(k.s.Terminate(k.ctx, "old", store.Event{At: k.now(), Kind: store.RunCanceled}))
		k.same("pause of a run that has ended", k.paused("old"), "")
		k.resumeWorkflow("flow")
		c = k.claim("w2", 10)
		got := ids(c.Runs)
		slices.Sort(got)
		k.same("claimed", got, []string{"by payload", "new", "r"})
		k.same("paused", len(c.Paused), 0)
		k.apply(k.begin("born"))
	}},
	{"of a workflow leaves others alone", func(k *kit) {
		k.pauseWorkflow("other")
		k.start("r")
		k.claims(k.claim("w1", 10), "r")
		k.apply(takes(k.then("r", store.Waiting), k.load("r").Mail))
		k.apply(k.begin("born"))
		k.resumeWorkflow("another")
		k.same("pause", k.paused("r"), "")
	}},
	{"of a run and of its workflow are apart", func(k *kit) {
		k.start("r")
		k.pauseWorkflow("flow")
		k.pause("r")
		k.same("pause", k.paused("r"), "ada")
		k.resume("r")
		k.same("pause", k.paused("r"), "bob")
		k.claims(k.claim("w1", 10))
		k.resume("r") // it is not paused itself
		k.pause("r")
		k.resumeWorkflow("flow")
		k.resumeWorkflow("flow")
		k.same("pause", k.paused("r"), "ada")
		k.claims(k.claim("w1", 10))
	}},
	{"of a workflow goes on for a run that is retried", func(k *kit) {
		k.park("r")
		k.fail()
		k.pauseWorkflow("flow")
		_, err := k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 2, From: 2})
		k.ok(err)
		k.claims(k.claim("w1", 10))
		k.refused(k.then("r", store.Waiting, store.TimerFired), store.ErrPaused)
		k.resumeWorkflow("flow")
		k.claims(k.claim("w1", 10), "r")
	}},
	{"of a workflow is kept where several processes write", func(k *kit) {
		other := k.h.Open(k.T)
		k.park("r")
		k.apply(k.then("r", store.Waiting, store.TimerFired)) // this process knows that nothing is paused
		k.ok(other.PauseWorkflow(k.ctx, "flow", store.Pause{}))
		k.refused(k.then("r", store.Waiting, store.TimerFired), store.ErrPaused)
		k.refused(k.begin("born"), store.ErrPaused)
		k.ok(other.ResumeWorkflow(k.ctx, "flow"))
		k.apply(k.then("r", store.Waiting, store.TimerFired))
	}},
	{"of a workflow is told to all", func(k *kit) {
		signals := make(chan store.Signal, 1000)
		defer k.s.Watch(func(s store.Signal) { signals <- s })()
		told := func(s store.Signal) bool { return s.All }
		k.pauseWorkflow("flow")
		k.signal(signals, told)
		k.resumeWorkflow("flow")
		k.signal(signals, told)
	}},
	{"can be listed", func(k *kit) {
		for _, id := range []string{"r1", "r2", "r3", "r4"} {
			k.park(id)
		}
		k.pause("r2")
		k.pause("r4")
		k.list(store.Filter{Paused: true}, "r4", "r2")
		k.list(store.Filter{Paused: true, Workflow: "flow", Status: store.Waiting, Limit: 1}, "r4")
		k.list(store.Filter{Paused: true, Status: store.Completed})
		k.list(store.Filter{Paused: true, Prefix: "r"}, "r4", "r2")
		k.list(store.Filter{Paused: true, Prefix: "r3"})
		k.apply(k.then("r3", store.Completed, store.RunCompleted))
		k.pauseWorkflow("flow")
		k.list(store.Filter{Paused: true}, "r4", "r2", "r1")
		k.list(store.Filter{Paused: true, Prefix: "r"}, "r4", "r2", "r1")
		k.list(store.Filter{Paused: true, Limit: 2}, "r4", "r2")
		k.list(store.Filter{Paused: true, Workflow: "other"})
	}},
}

// owned has worker w1 own a run that has nothing more to do.
func (k *kit) owned(id string) {
	k.Helper()
	k.start(id)
	k.lease("w1", long)
	k.claims(k.claim("w1", 10), id)
	t := takes(k.then(id, store.Running), k.load(id).Mail)
	t.Keep = true
	k.apply(t)
}

// list compares a list of runs.
func (k *kit) list(f store.Filter, want ...string) {
	k.Helper()
	rs, err := k.s.Runs(k.ctx, f)
	k.ok(err)
	k.same("runs", ids(rs), append([]string{}, want...))
}

// claimNames claims runs by their names.
func (k *kit) claimNames(worker string, runs ...string) store.Claimed {
	k.Helper()
	c, err := k.s.Claim(k.ctx, store.Claim{Worker: worker, Build: "b2", Definitions: defs, Now: k.now(), Runs: runs})
	k.ok(err)
	return c
}

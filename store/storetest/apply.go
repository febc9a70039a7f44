package storetest

import (
	"time"

	"github.com/tenter-dev/tenter/store"
)

var startTests = []test{
	{"inserts a run with a Started message", func(k *kit) {
		before := k.now()
		r := newRun("r")
		r.ParentID, r.ParentRef = "p", "Payment#1"
		k.ok(k.s.Start(k.ctx, r))
		l := k.load("r")
		if l.Run.CreatedAt.Before(before) || len(l.Mail) != 1 {
			k.Fatalf("loaded %+v", l)
		}
		k.same("run", l.Run, store.Run{
			ID: "r", Workflow: "flow", Version: 1, Status: store.Running, ParentID: "p", ParentRef: "Payment#1",
			Secret: []byte("secret"), CreatedAt: l.Run.CreatedAt, UpdatedAt: l.Run.UpdatedAt,
		})
		m := l.Mail[0]
		k.same("message", m, store.Message{ID: m.ID, RunID: "r", Kind: store.Started, Data: []byte(`"in"`), AcceptedAt: m.AcceptedAt})
	}},
	{"refuses an ID that is taken", func(k *kit) {
		k.start("r")
		r := newRun("r")
		r.Workflow = "other"
		k.fails(k.s.Start(k.ctx, r), store.ErrExists)
		k.same("workflow", k.load("r").Run.Workflow, "flow")
		k.same("mail", k.mail("r"), []string{"started"})
		k.park("q")
		k.fails(k.s.Start(k.ctx, newRun("q")), store.ErrExists)
		k.same("mail", k.mail("q"), []string{})
	}},
	{"knows no other run", func(k *kit) {
		_, err := k.s.Load(k.ctx, "r", 0)
		k.fails(err, store.ErrNotFound)
		_, err = k.s.Run(k.ctx, "r")
		k.fails(err, store.ErrNotFound)
	}},
}

var applyTests = []test{
	{"creates a run that is its owner's", func(k *kit) {
		t := k.begin("r")
		t.Keep, t.Status, t.WakeAt = true, store.Running, k.now()
		t.Suspicion, t.Mark, t.Crashes = 1, true, 2
		k.apply(t)
		l := k.load("r")
		k.same("run", l.Run, store.Run{
			ID: "r", Workflow: "flow", Version: 1, Status: store.Running, Secret: []byte("secret"),
			CreatedAt: t.At, UpdatedAt: t.At, WakeAt: t.WakeAt, Worker: "w1", Epoch: 1, Events: 1,
			Suspicion: 1, Mark: true, Crashes: 2,
		})
		k.same("events", l.Events, []store.Event{{Position: 1, At: t.At, Kind: store.Started, Data: []byte(`"in"`), Epoch: 1, Seq: 1}})
		k.same("mail", k.mail("r"), []string{})
	}},
	{"refuses to create a run whose ID is taken", func(k *kit) {
		k.start("r")
		k.refused(k.begin("r"), store.ErrExists)
	}},
	{"creates a run that ends at once", func(k *kit) {
		t := k.begin("r", k.opens("h", "tok", 1))
		t.Status = store.Completed
		t.Events = append(t.Events, store.Event{At: t.At, Kind: store.RunCompleted, Data: []byte("7")})
		k.apply(t)
		k.same("ended at", k.load("r").Run.EndedAt, t.At)
		k.same("owner", k.owner("tok"), "")
	}},
	{"writes all that a transition says", func(k *kit) {
		k.park("r")
		t := k.then("r", store.Blocked, store.StepCompleted, store.TimerFired)
		t.Events[0].Ref, t.Events[0].Data, t.Events[0].Asked = "charge#1", []byte(`{"a":1}`), "step pay#1\ntimer 2"
		t.Events[1].At = t.At.Add(time.Second)
		t.Version, t.WakeAt, t.Keep = 3, t.At.Add(time.Hour), true
		t.BlockedBuild, t.BlockedReason = "b1", "diverged"
		k.apply(t)
		l := k.load("r")
		k.same("run", l.Run, store.Run{
			ID: "r", Workflow: "flow", Version: 3, Status: store.Blocked, Secret: []byte("secret"),
			CreatedAt: l.Run.CreatedAt, UpdatedAt: t.At, WakeAt: t.WakeAt, Worker: "w1", Epoch: 1, Events: 3,
			BlockedBuild: "b1", BlockedReason: "diverged",
		})
		k.same("events", l.Events[1:], []store.Event{
			{Position: 2, At: t.At, Kind: store.StepCompleted, Ref: "charge#1", Data: []byte(`{"a":1}`), Asked: "step pay#1\ntimer 2", Epoch: 1, Seq: t.Seq},
			{Position: 3, At: t.Events[1].At, Kind: store.TimerFired, Epoch: 1, Seq: t.Seq},
		})
		t = k.then("r", store.Running)
		t.Version = 0
		k.apply(t)
		r := k.load("r").Run
		if r.Version != 3 || r.BlockedBuild != "" || r.BlockedReason != "" || r.Worker != "" || !r.WakeAt.IsZero() {
			k.Fatalf("run is %+v", r)
		}
	}},
	{"loads the events after a position", func(k *kit) {
		k.park("r")
		k.apply(k.then("r", store.Waiting, store.TimerFired, store.TimerFired))
		for after, want := range []int{3, 2, 1, 0, 0} {
			l, err := k.s.Load(k.ctx, "r", int64(after))
			k.ok(err)
			if len(l.Events) != want || (want > 0 && l.Events[0].Position != int64(after)+1) {
				k.Fatalf("after %d: %+v", after, l.Events)
			}
		}
	}},
	{"loads the journal of a free run that has something to do, and no other", func(k *kit) {
		events := func() int {
			l, err := k.s.Load(k.ctx, "r", store.IfFree)
			k.ok(err)
			if l.Run.ID != "r" {
				k.Fatalf("run is %+v", l.Run)
			}
			return len(l.Events)
		}
		k.park("r", "t")
		k.same("events of a run with nothing to do", events(), 0)
		k.accept("t", "hello")
		k.same("events of a run with mail", events(), 1)
		k.claims(k.claim("w1", 1), "r")
		k.same("events of a run with an owner", events(), 0)
		t := k.then("r", store.Waiting)
		t.Took, t.WakeAt = []int64{k.load("r").Mail[0].ID}, k.now().Add(time.Minute)
		k.apply(t)
		k.same("events of a run whose timer is to come", events(), 0)
		t = k.then("r", store.Waiting)
		t.WakeAt = k.now()
		k.apply(t)
		k.same("events of a run whose timer is due", events(), 1)
	}},
	{"refuses a writer of another epoch", func(k *kit) {
		k.park("r")
		for _, epoch := range []int64{0, 2} {
			t := k.then("r", store.Running, store.TimerFired)
			t.Epoch = epoch
			k.refused(t, store.ErrFenced)
		}
	}},
	{"refuses a writer who is not the owner", func(k *kit) {
		t := k.begin("r")
		t.Keep = true
		k.apply(t)
		other := k.then("r", store.Running, store.TimerFired)
		other.Worker = "w2"
		k.refused(other, store.ErrFenced)
		k.apply(k.then("r", store.Running, store.TimerFired))
		other = k.then("r", store.Running, store.TimerFired)
		other.Worker, other.Keep = "w2", true
		k.apply(other) // it was free, and the epoch stood still
		k.same("owner", k.load("r").Run.Worker, "w2")
		k.same("epoch", k.load("r").Run.Epoch, int64(1))
	}},
	{"refuses a writer whose run was claimed by another", func(k *kit) {
		t := k.begin("r")
		t.WakeAt = t.At
		k.apply(t)
		late := k.then("r", store.Completed, store.RunCompleted)
		k.claims(k.claim("w2", 10), "r")
		k.refused(late, store.ErrFenced)
		late.Epoch++
		k.refused(late, store.ErrFenced)
		late.Worker = "w2"
		k.apply(late)
	}},
	{"refuses to write to a run that has ended", func(k *kit) {
		k.park("r")
		late := k.then("r", store.Running, store.TimerFired)
		k.apply(k.then("r", store.Completed, store.RunCompleted))
		k.refused(late, store.ErrFenced)
		late.After = 2
		k.refused(late, store.ErrFenced)
	}},
	{"claims a free run, in a new epoch", func(k *kit) {
		k.start("r")
		t := k.then("r", store.Running, store.TimerFired)
		t.Claim, t.Epoch, t.Keep = true, t.Epoch+1, true
		other := *t
		other.Worker = "w2"
		k.apply(t)
		k.refused(&other, store.ErrFenced)
		l := k.load("r")
		k.same("worker", l.Run.Worker, "w1")
		k.same("epoch", l.Run.Epoch, t.Epoch)
		k.same("epoch of the event", l.Events[0].Epoch, t.Epoch)

		again := k.then("r", store.Running, store.TimerFired) // its own run is not free
		again.Claim, again.Epoch = true, again.Epoch+1
		k.refused(again, store.ErrFenced)
		k.apply(k.then("r", store.Running, store.TimerFired))
	}},
	{"claims no run that was fenced", func(k *kit) {
		k.start("r")
		t := k.then("r", store.Running, store.TimerFired)
		k.same("epoch", k.fence("r", t.Epoch).Run.Epoch, t.Epoch+1)
		t.Claim, t.Epoch = true, t.Epoch+1
		k.refused(t, store.ErrFenced)
		k.apply(k.then("r", store.Running, store.TimerFired))
	}},
	{"refuses events that do not continue the journal", func(k *kit) {
		k.park("r")
		for _, after := range []int64{0, 2} {
			t := k.then("r", store.Running, store.TimerFired)
			t.After = after
			k.refused(t, store.ErrConflict)
		}
	}},
	{"carries out effects in program order", func(k *kit) {
		k.park("r", "tok")
		t := k.then("r", store.Waiting, store.TimerFired)
		t.Effects = []store.Effect{
			k.opens("h2", "tok", 2), // still taken
			closes("r/tok", 2),
			k.opens("h3", "tok", 2), // free now
			closes("h3", 2),
			k.opens("h4", "tok", 2),
		}
		k.same("outcomes", k.apply(t), []store.Outcome{{Conflict: "r"}, {}, {HookID: "h3"}, {}, {HookID: "h4"}})
		k.same("hooks", k.hooks("r"), []string{"h4"})
	}},
	{"starts children", func(k *kit) {
		k.start("taken")
		child := newRun("child")
		child.ParentID, child.ParentRef = "r", "Pay#1"
		again := child
		again.ParentRef = "Pay#2"
		t := k.begin("r",
			store.Effect{Kind: store.StartRun, Run: child},
			store.Effect{Kind: store.StartRun, Run: child},
			store.Effect{Kind: store.StartRun, Run: again},
			store.Effect{Kind: store.StartRun, Run: newRun("taken")},
		)
		k.same("outcomes", k.apply(t), []store.Outcome{{}, {}, {Conflict: "child"}, {Conflict: "taken"}})
		k.same("mail", k.mail("child"), []string{"started"})
		r := k.load("child").Run
		k.same("parent", r.ParentID+" "+r.ParentRef, "r Pay#1")
		k.same("mail", k.mail("taken"), []string{"started"})
	}},
	{"sends messages, and drops those to nobody", func(k *kit) {
		k.park("a")
		k.park("ended")
		k.apply(k.then("ended", store.Completed, store.RunCompleted))
		send := func(id string) store.Effect {
			return store.Effect{Kind: store.Send, Message: store.Message{RunID: id, Kind: store.ChildCompleted, Ref: "x#1", Data: []byte("7")}}
		}
		k.apply(k.begin("r", send("a"), send("ended"), send("nobody"), send("r")))
		m := k.load("a").Mail
		if len(m) != 1 || m[0].Kind != store.ChildCompleted || m[0].Ref != "x#1" || string(m[0].Data) != "7" {
			k.Fatalf("mail is %+v", m)
		}
		k.same("mail", k.mail("ended"), []string{})
		k.same("mail", k.mail("r"), []string{"child_completed"})
	}},
	{"shows attempts while they execute", func(k *kit) {
		now := k.now()
		t := k.begin("r")
		t.Keep = true
		t.Executing = []store.Attempt{{RunID: "r", Step: "a#1", Attempt: 1, StartedAt: now, Worker: "w1"}, {RunID: "r", Step: "b#1", Attempt: 2, StartedAt: now, Worker: "w1"}}
		k.apply(t)
		got, err := k.s.Executing(k.ctx, "r")
		k.ok(err)
		k.same("attempts", got, t.Executing)
		u := k.then("r", store.Running)
		u.Keep = true
		u.Executing = []store.Attempt{{RunID: "r", Step: "a#1", Attempt: 2, StartedAt: now, Worker: "w1"}}
		u.Executed = []string{"b#1"}
		k.apply(u)
		got, err = k.s.Executing(k.ctx, "r")
		k.ok(err)
		k.same("attempts", got, u.Executing)
		k.apply(k.then("r", store.Completed, store.RunCompleted))
		got, err = k.s.Executing(k.ctx, "r")
		k.ok(err)
		k.same("attempts", len(got), 0)
	}},
}

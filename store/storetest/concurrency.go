package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tenter-dev/tenter/store"
)

// all calls f n times at once.
func (k *kit) all(n int, f func(i int)) {
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-gate
			f(i)
		})
	}
	close(gate)
	wg.Wait()
}

// check reports an error from any goroutine.
func (k *kit) check(err error) {
	k.Helper()
	if err != nil {
		k.Errorf("unexpected error: %v", err)
	}
}

const crowd = 100

var concurrencyTests = []test{
	{"one of many gets a token", func(k *kit) {
		won := make(chan string, crowd)
		k.all(crowd, func(i int) {
			id := fmt.Sprintf("r%03d", i)
			o, err := k.s.Apply(k.ctx, k.begin(id, k.opens("h", "tok", 1)))
			k.check(err)
			if err == nil && o[0].Conflict == "" {
				won <- id
			}
		})
		k.same("winners", len(won), 1)
		k.same("owner", k.owner("tok"), <-won)
		k.same("hooks", len(k.hooks("")), 1)
	}},
	{"no transition is written once a pause has returned", func(k *kit) {
		const runs, writers = 20, 10
		for i := range runs {
			k.park(fmt.Sprint("r", i))
		}
		stores := []store.Store{k.s, k.h.Open(k.T)}
		for round := range 10 {
			if round%2 == 0 {
				k.resumeWorkflow("flow")
			} else {
				for i := range runs {
					k.resume(fmt.Sprint("r", i))
				}
			}
			var wg sync.WaitGroup
			ready := make(chan struct{}, writers)
			stop := make(chan struct{})
			for n := range writers {
				wg.Go(func() {
					s := stores[n%2]
					for i := 0; ; i++ {
						select {
						case <-stop:
							return
						default:
						}
						id := fmt.Sprint("r", (n+i)%runs)
						l, err := s.Load(k.ctx, id, 0)
						k.check(err)
						if err == nil {
							_, err = s.Apply(k.ctx, &store.Transition{
								RunID: id, Worker: "w1", Epoch: l.Run.Epoch, Seq: l.Run.Events + 1, After: l.Run.Events, At: k.now(), Status: store.Waiting,
								Events: []store.Event{{At: k.now(), Kind: store.TimerFired}},
							})
						}
						if !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrPaused) {
							k.check(err)
						}
						if round%2 == 0 {
							_, err = s.Apply(k.ctx, k.begin(fmt.Sprintf("born%d-%d-%d", round, n, i)))
							if !errors.Is(err, store.ErrPaused) {
								k.check(err)
							}
						}
						if i == 2 {
							ready <- struct{}{}
						}
					}
				})
			}
			for range writers {
				<-ready
			}
			if round%2 == 0 {
				k.pauseWorkflow("flow")
			} else {
				k.resumeWorkflow("flow")
				for i := range runs {
					k.pause(fmt.Sprint("r", i))
				}
			}
			journals := func() (n int64) {
				rs, err := k.s.Runs(k.ctx, store.Filter{Limit: 100_000, Paused: true})
				k.ok(err)
				for _, r := range rs {
					n += r.Events
				}
				return n
			}
			before := journals()
			close(stop)
			wg.Wait()
			k.same("events", journals(), before)
		}
	}},
	{"one of many gets an ID", func(k *kit) {
		won := make(chan bool, crowd)
		k.all(crowd, func(i int) {
			err := k.s.Start(k.ctx, newRun("r"))
			if !errors.Is(err, store.ErrExists) {
				k.check(err)
				won <- true
			}
		})
		k.same("winners", len(won), 1)
		k.same("mail", k.mail("r"), []string{"started"})
	}},
	{"a crowd of first messages starts one run and reaches it", func(k *kit) {
		k.all(crowd, func(i int) {
			r := newRun(fmt.Sprintf("r%03d", i))
			_, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Data: fmt.Append(nil, i), OrStart: &r})
			k.check(err)
		})
		rs, err := k.s.Runs(k.ctx, store.Filter{})
		k.ok(err)
		k.same("runs", len(rs), 1)
		k.same("messages", len(k.mail(rs[0].ID)), crowd+1)
	}},
	{"one of many repeats is taken", func(k *kit) {
		k.park("r", "tok")
		k.all(crowd, func(int) {
			_, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Key: "k", KeepFor: long, Data: []byte("1")})
			k.check(err)
		})
		k.same("mail", k.mail("r"), []string{"1"})
	}},
	{"one of many writers of a transition wins", func(k *kit) {
		k.park("r")
		won := make(chan bool, crowd)
		t := k.then("r", store.Waiting, store.TimerFired)
		k.all(crowd, func(i int) {
			u := *t
			u.Seq = int64(i)
			_, err := k.s.Apply(k.ctx, &u)
			if !errors.Is(err, store.ErrConflict) {
				k.check(err)
				won <- true
			}
		})
		k.same("winners", len(won), 1)
		k.same("events", k.load("r").Run.Events, int64(2))
	}},
	{"a payload comes before the close or is refused", func(k *kit) {
		k.park("r", "tok")
		taken := make(chan bool, crowd)
		k.all(crowd, func(i int) {
			if i == crowd/2 {
				t := k.then("r", store.Waiting)
				t.Effects = []store.Effect{closes("r/tok", 1)}
				_, err := k.s.Apply(k.ctx, t)
				k.check(err)
				return
			}
			_, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Data: []byte("x")})
			if !errors.Is(err, store.ErrNotFound) {
				k.check(err)
				taken <- true
			}
		})
		k.same("messages", len(k.mail("r")), len(taken))
	}},
	{"one that is refused does not touch its neighbors", func(k *kit) {
		k.park("taken", "tok")
		k.start("gone")
		k.all(crowd, func(i int) {
			var err, want error
			switch i % 5 {
			case 0:
				err = k.s.Start(k.ctx, newRun(fmt.Sprintf("r%03d", i)))
			case 1:
				err, want = k.s.Start(k.ctx, newRun("taken")), store.ErrExists
			case 2:
				t := k.begin(fmt.Sprintf("r%03d", i), k.opens("h", "tok", 1))
				_, err = k.s.Apply(k.ctx, t)
			case 3:
				t := k.begin("x")
				t.Create, t.RunID = nil, "taken"
				t.Epoch = 77
				_, err = k.s.Apply(k.ctx, t)
				want = store.ErrFenced
			case 4:
				_, err = k.s.Accept(k.ctx, store.Payload{Token: "nobody"})
				want = store.ErrNotFound
			}
			if !errors.Is(err, want) {
				k.Errorf("operation %d: error is %v, want %v", i, err, want)
			}
		})
		rs, err := k.s.Runs(k.ctx, store.Filter{Limit: 1000})
		k.ok(err)
		k.same("runs", len(rs), 2+2*crowd/5)
		k.same("events", k.load("taken").Run.Events, int64(1))
	}},
	{"two handles see one database", func(k *kit) {
		other := k.h.Open(k.T)
		k.park("r", "tok")
		h, err := other.Hook(k.ctx, "tok")
		k.ok(err)
		k.same("run", h.RunID, "r")
		both := []store.Store{k.s, other}
		for i := range crowd {
			k.lease(fmt.Sprint("w", i), long)
		}
		k.all(crowd, func(i int) {
			_, err := both[i%2].Accept(k.ctx, store.Payload{Token: "tok", Data: fmt.Append(nil, i)})
			k.check(err)
			_, err = both[i%2].Claim(k.ctx, store.Claim{Worker: fmt.Sprint("w", i), Definitions: defs, Limit: 1, Now: k.now()})
			k.check(err)
		})
		l := k.load("r")
		k.same("messages", len(l.Mail), crowd)
		for i, m := range l.Mail {
			if i > 0 && m.AcceptedAt.Before(l.Mail[i-1].AcceptedAt) {
				k.Fatalf("message %d was accepted before the one before it", i)
			}
		}
		k.same("owned once", l.Run.Epoch, int64(2))
	}},
}

var lostTests = []test{
	// The commit happened, the answer got lost: the caller repeats, and what the
	// store has tells it which of the three it was.
	{"a transition that was written tells its writer so", func(k *kit) {
		k.park("r")
		t := k.then("r", store.Waiting, store.StepCompleted)
		t.Keep = true
		k.apply(t)
		k.refused(t, store.ErrConflict)
		l := k.load("r")
		last := l.Events[len(l.Events)-1]
		k.same("epoch and seq", []int64{last.Epoch, last.Seq}, []int64{t.Epoch, t.Seq})
		k.same("owner", l.Run.Worker, t.Worker)
	}},
	{"a creation that was written tells its writer so", func(k *kit) {
		t := k.begin("r")
		k.apply(t)
		k.refused(t, store.ErrExists)
		e := k.load("r").Events[0]
		k.same("epoch and seq", []int64{e.Epoch, e.Seq}, []int64{t.Epoch, t.Seq})
	}},
	{"an end that was written tells its writer so", func(k *kit) {
		k.park("r")
		t := k.then("r", store.Completed, store.RunCompleted)
		k.apply(t)
		k.refused(t, store.ErrFenced)
		e := k.load("r").Events[1]
		k.same("epoch and seq", []int64{e.Epoch, e.Seq}, []int64{t.Epoch, t.Seq})
	}},
	{"a transition of another owner is told apart", func(k *kit) {
		t := k.begin("r")
		t.WakeAt = t.At
		k.apply(t)
		lost := k.then("r", store.Waiting, store.StepCompleted)
		k.claims(k.claim("w2", 1), "r")
		u := k.then("r", store.Waiting, store.TimerFired)
		u.Worker = "w2"
		k.apply(u)
		k.refused(lost, store.ErrFenced)
		e := k.load("r").Events[1]
		if e.Epoch == lost.Epoch {
			k.Fatalf("event has the epoch of the writer that lost: %+v", e)
		}
	}},
	// Whether a transition may still be on its way to the database, nobody knows.
	{"a transition that comes after the fence is refused", func(k *kit) {
		k.park("r", "tok")
		late := k.then("r", store.Waiting, store.StepCompleted)
		late.Effects = []store.Effect{closes("r/tok", 2)}
		k.accept("tok", "1")
		l := k.fence("r", 1)
		k.same("owner", []any{l.Run.Worker, l.Run.Epoch, len(l.Events), len(l.Mail)}, []any{"w1", int64(2), 1, 1})
		k.same("loaded", k.load("r"), l)
		k.refused(late, store.ErrFenced)
		k.same("token", k.owner("tok"), "r")
		k.apply(takes(k.then("r", store.Completed, store.RunCompleted), l.Mail))
	}},
	{"a transition that comes before the fence is seen by it", func(k *kit) {
		k.park("r")
		k.lease("w1", long)
		t := k.then("r", store.Running, store.StepCompleted)
		t.Keep, t.WakeAt, t.Mark, t.Suspicion, t.Crashes = true, t.At, true, 2, 1
		k.apply(t)
		l := k.fence("r", 1)
		k.same("event", []int64{l.Events[1].Epoch, l.Events[1].Seq}, []int64{1, t.Seq})
		k.same("run", []any{l.Run.Epoch, l.Run.Worker, l.Run.Mark, l.Run.Suspicion, l.Run.Crashes, l.Run.Status, l.Run.WakeAt},
			[]any{int64(2), "w1", false, int32(2), int32(1), store.Running, t.WakeAt})
		k.same("loaded", k.load("r"), l)
		k.claims(k.claim("w2", 10)) // it is owned
	}},
	{"a fence whose answer got lost is repeated", func(k *kit) {
		k.park("r")
		l := k.fence("r", 1)
		k.same("run", k.fence("r", 1), l)
	}},
	{"a fence leaves a run alone that is beyond the epoch", func(k *kit) {
		k.start("claimed")
		k.claims(k.claim("w2", 1), "claimed")
		t := k.begin("owned")
		t.Worker, t.Keep = "w2", true
		k.apply(t)
		k.park("ended")
		k.apply(k.then("ended", store.Completed, store.RunCompleted))
		for _, id := range []string{"claimed", "owned", "ended"} {
			before := k.load(id)
			k.same("run "+id, k.fence(id, before.Run.Epoch-1), before)
			if id != "ended" {
				k.same("run "+id, k.fence(id, before.Run.Epoch), before)
			}
			k.same("run "+id, k.load(id), before)
		}
		k.same("ended", k.fence("ended", 1).Run.Epoch, int64(1))
		_, err := k.s.Fence(k.ctx, "nobody", "w1", 1)
		k.fails(err, store.ErrNotFound)
	}},
	{"a fence and the transitions under way exclude each other", func(k *kit) {
		k.park("r")
		t := k.then("r", store.Waiting, store.TimerFired)
		written := make(chan bool, crowd)
		seen := make(chan int64, 1)
		k.all(crowd, func(i int) {
			if i == crowd/2 {
				l, err := k.s.Fence(k.ctx, "r", "w1", 1)
				k.check(err)
				seen <- l.Run.Events
				return
			}
			_, err := k.s.Apply(k.ctx, t)
			if !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrFenced) {
				k.check(err)
				written <- true
			}
		})
		k.same("events at the fence", <-seen, int64(1+len(written)))
		k.same("events now", k.load("r").Run.Events, int64(1+len(written)))
	}},
	{"a start that was written is refused", func(k *kit) {
		k.start("r")
		k.fails(k.s.Start(k.ctx, newRun("r")), store.ErrExists)
	}},
}

var lifecycleTests = []test{
	{"an operation whose context has ended is not carried out", func(k *kit) {
		k.park("r", "tok")
		ctx, cancel := context.WithCancel(k.ctx)
		cancel()
		check := func(err error) { k.Helper(); k.fails(err, context.Canceled) }
		check(k.s.Start(ctx, newRun("x")))
		check(k.s.Send(ctx, store.Message{RunID: "r", Kind: store.Woken}))
		_, err := k.s.Accept(ctx, store.Payload{Token: "tok"})
		check(err)
		_, err = k.s.Apply(ctx, k.begin("y"))
		check(err)
		_, err = k.s.Load(ctx, "r", 0)
		check(err)
		_, err = k.s.Claim(ctx, store.Claim{Worker: "w1", Limit: 1})
		check(err)
		k.same("mail", k.mail("r"), []string{})
		rs, err := k.s.Runs(k.ctx, store.Filter{})
		k.ok(err)
		k.same("runs", ids(rs), []string{"r"})
	}},
	{"contexts that end at any moment leave all or nothing", func(k *kit) {
		k.park("r", "tok")
		taken := make(chan bool, crowd)
		unknown := make(chan bool, crowd)
		k.all(crowd, func(i int) {
			ctx, cancel := context.WithCancel(k.ctx)
			go cancel()
			_, err := k.s.Accept(ctx, store.Payload{Token: "tok", Data: []byte("x")})
			switch {
			case err == nil:
				taken <- true
			case !errors.Is(err, context.Canceled):
				unknown <- true
			}
		})
		if n := len(k.mail("r")); n < len(taken) || n > len(taken)+len(unknown) {
			k.Fatalf("%d messages, %d accepted, %d unknown", n, len(taken), len(unknown))
		}
	}},
	{"what was written is there when it is opened again", func(k *kit) {
		k.park("r", "tok")
		k.accept("tok", "1")
		before := k.load("r")
		k.ok(k.s.Close())
		again := k.h.Open(k.T)
		after, err := again.Load(k.ctx, "r", 0)
		k.ok(err)
		k.same("run", after, before)
	}},
	{"a closed store says so", func(k *kit) {
		k.start("r")
		k.ok(k.s.Close())
		k.ok(k.s.Close())
		k.fails(k.s.Start(k.ctx, newRun("x")), store.ErrClosed)
		_, err := k.s.Accept(k.ctx, store.Payload{Token: "tok"})
		k.fails(err, store.ErrClosed)
		_, err = k.s.Apply(k.ctx, k.begin("y"))
		k.fails(err, store.ErrClosed)
		_, err = k.s.Load(k.ctx, "r", 0)
		k.fails(err, store.ErrClosed)
		_, err = k.s.Runs(k.ctx, store.Filter{})
		k.fails(err, store.ErrClosed)
	}},
	{"operations under way when it closes have an outcome", func(k *kit) {
		written := make(chan string, crowd)
		k.all(crowd, func(i int) {
			if i == crowd/2 {
				k.check(k.s.Close())
				return
			}
			id := fmt.Sprintf("r%03d", i)
			err := k.s.Start(k.ctx, newRun(id))
			if !errors.Is(err, store.ErrClosed) {
				k.check(err)
				written <- id
			}
		})
		again := k.h.Open(k.T)
		rs, err := again.Runs(k.ctx, store.Filter{Limit: 1000})
		k.ok(err)
		k.same("runs", len(rs), len(written))
	}},
}

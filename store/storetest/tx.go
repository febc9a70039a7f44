package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// AppTx is a transaction of the application.
type AppTx struct {
	Tx       store.Tx
	Commit   func() error
	Rollback func() error
}

// RunWithin checks the operations of a store in transactions of the application. Run
// does so too; it is for stores that have more than one kind of transaction.
func RunWithin(t *testing.T, open func(t *testing.T) *Harness) {
	for _, tt := range withinTests {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t)
			if h.Begin == nil {
				t.Skip("the store joins no transactions")
			}
			tt.run(newKit(t, h))
		})
	}
}

// joined is a transaction of the application, with the operations within it.
type joined struct {
	store.Joined
	k  *kit
	tx AppTx
}

// within begins a transaction.
func (k *kit) within() *joined {
	k.Helper()
	tx := k.h.Begin(k.T)
	j, ok := k.s.(store.Joiner)
	if !ok {
		k.Fatalf("%T is not a store.Joiner", k.s)
	}
	in, err := j.Within(tx.Tx)
	k.ok(err)
	return &joined{Joined: in, k: k, tx: tx}
}

func (j *joined) commit() {
	j.k.Helper()
	j.k.ok(j.tx.Commit())
}

func (j *joined) rollback() {
	j.k.Helper()
	j.k.ok(j.tx.Rollback())
}

// parkedStep is a step of run r, which is parked, as it is now.
func (k *kit) parkedStep() store.TxStep {
	k.Helper()
	return store.TxStep{RunID: "r", Step: "pay#1", Epoch: k.load("r").Run.Epoch}
}

// completes executes a step in a transaction of its own.
func (k *kit) completes(s store.TxStep, result string) store.Message {
	k.Helper()
	j := k.within()
	k.ok(j.ClaimStep(k.ctx, s))
	m, err := j.CompleteStep(k.ctx, s, []byte(result))
	k.ok(err)
	j.commit()
	return m
}

// claimsStep is what a transaction is told that claims a step and is rolled back.
func (k *kit) claimsStep(s store.TxStep) error {
	k.Helper()
	j := k.within()
	defer j.rollback()
	return j.ClaimStep(k.ctx, s)
}

var withinTests = []test{
	{"pauses and resumes a run if the transaction commits", func(k *kit) {
		k.park("r", "tok")
		k.accept("tok", "1")
		j := k.within()
		k.ok(j.Pause(k.ctx, "r", store.Pause{Actor: "ada"}))
		r, err := j.Run(k.ctx, "r")
		k.ok(err)
		k.same("within", r.Paused != nil, true)
		k.fails(j.Pause(k.ctx, "none", store.Pause{}), store.ErrNotFound)
		j.rollback()
		k.same("pause", k.paused("r"), "")
		j = k.within()
		k.ok(j.Pause(k.ctx, "r", store.Pause{Actor: "ada"}))
		j.commit()
		k.same("pause", k.paused("r"), "ada")
		k.claims(k.claim("w1", 10))
		j = k.within()
		k.ok(j.Resume(k.ctx, "r", "eve"))
		k.fails(j.Resume(k.ctx, "none", ""), store.ErrNotFound)
		j.commit()
		k.claims(k.claim("w1", 10), "r")
	}},
	{"does nothing if the transaction is rolled back", func(k *kit) {
		k.park("r", "tok")
		k.park("sent")
		k.park("gone", "gone")
		before := []store.Loaded{k.load("r"), k.load("sent"), k.load("gone")}
		fork := k.forkOf("r", "fork", 1, store.ForkedHook{ID: "r/tok", Token: "forked"})
		j := k.within()
		k.ok(j.Start(k.ctx, newRun("new")))
		_, err := j.Fork(k.ctx, fork)
		k.ok(err)
		_, err = j.Accept(k.ctx, store.Payload{Token: "tok", Data: []byte("1"), Key: "key", KeepFor: long})
		k.ok(err)
		next := newRun("next")
		_, err = j.Accept(k.ctx, store.Payload{Token: "other", OrStart: &next})
		k.ok(err)
		k.ok(j.Send(k.ctx, store.Message{RunID: "sent", Kind: store.CancelRequested}))
		k.ok(j.Respond(k.ctx, k.response("q", "step#1", "one")))
		k.ok(j.Terminate(k.ctx, "gone", store.Event{Kind: store.RunCanceled, At: k.now()}))
		j.rollback()

		k.same("runs", []store.Loaded{k.load("r"), k.load("sent"), k.load("gone")}, before)
		for _, id := range []string{"new", "next", "fork"} {
			_, err := k.s.Run(k.ctx, id)
			k.fails(err, store.ErrNotFound)
		}
		k.same("owner of a token that was reserved", k.owner("other"), "")
		k.same("owner of a token that was released", k.owner("gone"), "gone")
		_, err = k.s.Response(k.ctx, "q")
		k.fails(err, store.ErrNotFound)
		rec, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Data: []byte("1"), Key: "key", KeepFor: long})
		k.ok(err)
		k.same("the key was used up", rec.Duplicate, false)
	}},
	{"does all if the transaction commits, and says so then", func(k *kit) {
		k.park("r", "tok")
		k.park("gone", "gone")
		told := make(chan store.Signal, 100)
		defer k.s.Watch(func(s store.Signal) { told <- s })()
		fork := k.forkOf("r", "fork", 1, store.ForkedHook{ID: "r/tok", Token: "forked"})
		fork.Run.Version = 1
		j := k.within()
		k.ok(j.Start(k.ctx, newRun("new")))
		_, err := j.Fork(k.ctx, fork)
		k.ok(err)
		rec, err := j.Accept(k.ctx, store.Payload{Token: "tok", Data: []byte("1")})
		k.ok(err)
		k.same("receipt", []string{rec.Hook.ID, rec.Hook.RunID}, []string{"r/tok", "r"})
		k.ok(j.Send(k.ctx, store.Message{RunID: "r", Kind: store.Woken}))
		k.ok(j.Respond(k.ctx, k.response("q", "step#1", "one")))
		k.ok(j.Terminate(k.ctx, "gone", store.Event{Kind: store.RunCanceled, At: k.now()}))
		_, err = k.s.Run(k.ctx, "new")
		k.fails(err, store.ErrNotFound) // not yet
		k.same("mail before the commit", k.mail("r"), []string{})
		j.commit()

		for {
			s := <-told
			if s.All || len(s.Mail) > 0 {
				break
			}
		}
		k.same("mail", k.mail("r"), []string{"1", "woken"})
		k.same("mail of the new run", k.mail("new"), []string{"started"})
		k.same("status", k.load("gone").Run.Status, store.Canceled)
		k.same("owner of a token that was released", k.owner("gone"), "")
		_, err = k.s.Response(k.ctx, "q")
		k.ok(err)
		k.same("mail of the fork", k.mail("fork"), []string{"forked"})
		k.same("owner of a token of the fork", k.owner("forked"), "fork")
		k.claims(k.claim("w1", 10), "new", "fork", "r")
	}},
	{"leaves the transaction usable when it refuses", func(k *kit) {
		k.park("r", "tok")
		k.park("ended")
		k.apply(k.then("ended", store.Completed, store.RunCompleted))
		k.ok(k.s.Respond(k.ctx, k.response("q", "step#1", "one")))
		open := k.forkOf("r", "fork", 1, store.ForkedHook{ID: "r/tok"})
		j := k.within()
		taken, typ := newRun("r"), "type"
		k.fails(j.Start(k.ctx, taken), store.ErrExists)
		_, err := j.Accept(k.ctx, store.Payload{Token: "none"})
		k.fails(err, store.ErrNotFound)
		_, err = j.Accept(k.ctx, store.Payload{Token: "none", OrStart: &taken})
		k.fails(err, store.ErrExists)
		_, err = j.Accept(k.ctx, store.Payload{Token: "tok", Type: &typ})
		k.fails(err, store.ErrMismatch)
		k.fails(j.Send(k.ctx, store.Message{RunID: "none", Kind: store.Woken}), store.ErrNotFound)
		k.fails(j.Send(k.ctx, store.Message{RunID: "ended", Kind: store.Woken}), store.ErrFenced)
		k.fails(j.Respond(k.ctx, k.response("q", "step#2", "two")), store.ErrExists)
		k.fails(j.Terminate(k.ctx, "ended", store.Event{Kind: store.RunCanceled, At: k.now()}), store.ErrFenced)
		_, err = j.Retry(k.ctx, store.Cut{RunID: "r", Events: 1, From: 1})
		k.fails(err, store.ErrConflict)
		k.fails(j.Unblock(k.ctx, "r"), store.ErrConflict)
		h, err := j.Fork(k.ctx, open)
		k.fails(err, store.ErrExists)
		k.same("owner", h.RunID, "r")
		open.Hooks = nil
		open.Run.ID = "ended"
		_, err = j.Fork(k.ctx, open)
		k.fails(err, store.ErrExists)
		open.Seq++
		_, err = j.Fork(k.ctx, open)
		k.fails(err, store.ErrConflict)
		_, err = j.Hook(k.ctx, "none")
		k.fails(err, store.ErrNotFound)
		_, err = j.Run(k.ctx, "none")
		k.fails(err, store.ErrNotFound)
		k.fails(j.ClaimStep(k.ctx, store.TxStep{RunID: "none", Step: "pay#1"}), store.ErrNotFound)
		k.fails(j.ClaimStep(k.ctx, store.TxStep{RunID: "ended", Step: "pay#1", Epoch: 1}), store.ErrFenced)
		k.ok(j.Start(k.ctx, newRun("new")))
		j.commit()
		k.same("mail", k.mail("new"), []string{"started"})
	}},
	{"sees what the transaction has written", func(k *kit) {
		j := k.within()
		next := newRun("next")
		for i, want := range []bool{true, false} {
			rec, err := j.Accept(k.ctx, store.Payload{Token: "tok", Data: []byte{'1' + byte(i)}, OrStart: &next})
			k.ok(err)
			k.same("receipt", []any{rec.Hook.RunID, rec.Started}, []any{"next", want})
		}
		h, err := j.Hook(k.ctx, "tok")
		k.ok(err)
		k.same("hook", []any{h.RunID, h.Reserved}, []any{"next", true})
		r, err := j.Run(k.ctx, "next")
		k.ok(err)
		k.same("workflow", r.Workflow, "flow")
		k.fails(j.Start(k.ctx, next), store.ErrExists)
		k.same("owner, seen from outside", k.owner("tok"), "")
		j.commit()
		k.same("mail", k.mail("next"), []string{"started", "1", "2"})
	}},
	{"keeps the order of acceptance", func(k *kit) {
		k.park("r", "tok")
		k.accept("tok", "1")
		j := k.within()
		for _, s := range []string{"2", "3"} {
			_, err := j.Accept(k.ctx, store.Payload{Token: "tok", Data: []byte(s)})
			k.ok(err)
		}
		j.commit()
		k.accept("tok", "4")
		k.same("mail", k.mail("r"), []string{"1", "2", "3", "4"})
		mail := k.load("r").Mail
		for i := range mail[1:] {
			if mail[i+1].AcceptedAt.Before(mail[i].AcceptedAt) {
				k.Fatalf("accepted at %v after %v", mail[i+1].AcceptedAt, mail[i].AcceptedAt)
			}
		}
	}},
	{"refuses transactions that are not its own", func(k *kit) {
		for _, tx := range []store.Tx{nil, foreign{}} {
			if _, err := k.s.(store.Joiner).Within(tx); err == nil { //nolint:forcetypeassert // it has a Begin
				k.Errorf("joined %v", tx)
			}
		}
	}},
	{"fails after the end of the transaction", func(k *kit) {
		j := k.within()
		j.commit()
		if err := j.Start(k.ctx, newRun("late")); err == nil {
			k.Error("started a run in a transaction that has ended")
		}
		_, err := k.s.Run(k.ctx, "late")
		k.fails(err, store.ErrNotFound)
	}},
	{"records the result of a step with the transaction", func(k *kit) {
		k.park("r")
		s := k.parkedStep()
		m := k.completes(s, `"paid"`)
		k.same("mail", k.load("r").Mail, []store.Message{m})
		k.same("message", []any{m.RunID, m.Kind, m.Ref, string(m.Data)}, []any{"r", store.StepCompleted, "pay#1", `"paid"`})
		k.claims(k.claim("w1", 1), "r")
	}},
	{"executes a step again only if its transaction was rolled back", func(k *kit) {
		k.park("r")
		s := k.parkedStep()
		j := k.within()
		k.ok(j.ClaimStep(k.ctx, s))
		_, err := j.CompleteStep(k.ctx, s, nil)
		k.ok(err)
		j.rollback()
		k.same("mail", k.mail("r"), []string{})
		k.completes(s, "1")
		k.fails(k.claimsStep(s), store.ErrExists)
		other := s
		other.Step = "pay#2"
		k.ok(k.claimsStep(other))
		// The claim outlives the message.
		k.apply(takes(k.then("r", store.Waiting), k.load("r").Mail))
		k.fails(k.claimsStep(s), store.ErrExists)
	}},
	{"lets a step be claimed by one transaction at a time", func(k *kit) {
		k.park("r")
		s := k.parkedStep()
		first := k.within()
		k.ok(first.ClaimStep(k.ctx, s))
		var committed atomic.Bool
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				j := k.within()
				err := j.ClaimStep(k.ctx, s)
				if !committed.Load() || !errors.Is(err, store.ErrExists) {
					k.Errorf("the second claim got %v, and the first one had committed: %v", err, committed.Load())
				}
				j.rollback()
			})
		}
		k.h.Advance(20 * time.Millisecond)
		_, err := first.CompleteStep(k.ctx, s, []byte("1"))
		k.ok(err)
		committed.Store(true)
		first.commit()
		wg.Wait()
		k.same("mail", k.mail("r"), []string{"step_completed"})
	}},
	{"tells a claim that was committed without a result", func(k *kit) {
		k.park("r")
		s := k.parkedStep()
		j := k.within()
		k.ok(j.ClaimStep(k.ctx, s))
		j.commit()
		k.fails(k.claimsStep(s), store.ErrConflict)
		s.Step = "unclaimed"
		j = k.within()
		_, err := j.CompleteStep(k.ctx, s, nil)
		k.fails(err, store.ErrConflict)
		j.rollback()
		k.same("mail", k.mail("r"), []string{})
	}},
	{"refuses the step of an owner that has lost the run", func(k *kit) {
		k.park("r", "tok")
		old := k.parkedStep()
		k.accept("tok", "1")
		k.claims(k.claim("w2", 1), "r")
		k.fails(k.claimsStep(old), store.ErrFenced)
		now := k.parkedStep()
		j := k.within()
		k.ok(j.ClaimStep(k.ctx, now))
		_, err := j.CompleteStep(k.ctx, old, nil)
		k.fails(err, store.ErrFenced)
		k.ok(j.Terminate(k.ctx, "r", store.Event{Kind: store.RunCanceled, At: k.now()}))
		_, err = j.CompleteStep(k.ctx, now, nil)
		k.fails(err, store.ErrFenced)
		j.rollback()
		k.completes(now, "1")
	}},
	{"gives a result that came before a failure to the retry", func(k *kit) {
		k.park("r")
		k.completes(k.parkedStep(), "1")
		k.fail()
		_, err := k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 2, From: 2})
		k.ok(err)
		k.same("mail", k.mail("r"), []string{"step_completed", "retried"})
		k.fails(k.claimsStep(k.parkedStep()), store.ErrExists)
	}},
}

// foreign is a transaction of some other store.
type foreign struct{}

func (foreign) StoreTx() {}

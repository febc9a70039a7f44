package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// ended parks a run on a token, and ends it some time ago.
func (k *kit) ended(id, token string, ago time.Duration) {
	k.Helper()
	k.park(id, token)
	t := k.then(id, store.Completed, store.RunCompleted)
	t.At = k.now().Add(-ago)
	k.apply(t)
}

// there are those of some runs that are there.
func (k *kit) there(ids ...string) []string {
	k.Helper()
	there := []string{}
	for _, id := range ids {
		if _, err := k.s.Load(k.ctx, id, 0); err == nil {
			there = append(there, id)
		} else {
			k.fails(err, store.ErrNotFound)
		}
	}
	return there
}

func (k *kit) prune(before time.Time, limit int) (pruned int, more bool) {
	k.Helper()
	pruned, more, err := k.s.Prune(k.ctx, before, limit)
	k.ok(err)
	return pruned, more
}

var pruneTests = []test{
	{"deletes runs that ended before a time, and no others", func(k *kit) {
		k.ended("old", "t1", 2*time.Hour)
		k.ended("new", "t2", time.Minute)
		k.park("waiting", "t3")
		k.start("begins")
		pruned, more := k.prune(k.now().Add(-time.Hour), 1000)
		k.same("pruned", []any{pruned, more}, []any{1, false})
		k.same("runs", k.there("old", "new", "waiting", "begins"), []string{"new", "waiting", "begins"})
		pruned, more = k.prune(k.now().Add(-time.Hour), 1000)
		k.same("pruned again", []any{pruned, more}, []any{0, false})
	}},
	{"leaves nothing of a run behind but receipts and responses", func(k *kit) {
		k.park("r", "tok")
		sent := store.Payload{Token: "tok", Data: []byte("1"), Key: "k", KeepFor: long, Request: "q"}
		first, err := k.s.Accept(k.ctx, sent)
		k.ok(err)
		k.ok(k.s.Respond(k.ctx, store.Response{Request: "q", RunID: "r", Responder: "s#1", Status: 200, At: k.now(), KeepUntil: k.now().Add(long)}))
		k.fail()
		_, err = k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 2, From: 2}) // keeps the part that is cut
		k.ok(err)
		k.fail() // with an unread payload
		k.same("unread", k.mailbox("r"), []string{"1"})
		pruned, _ := k.prune(k.now().Add(long), 1000)
		k.same("pruned", pruned, 1)

		_, err = k.s.Mailbox(k.ctx, "r", 1000)
		k.fails(err, store.ErrNotFound)
		again, err := k.s.Accept(k.ctx, sent)
		k.ok(err)
		k.same("receipt", []any{again.Duplicate, again.Hook.ID, again.Hook.RunID}, []any{true, first.Hook.ID, "r"})
		resp, err := k.s.Response(k.ctx, "q")
		k.ok(err)
		k.same("response", resp.Responder, "s#1")

		// Another run may have the ID and the hook's.
		k.park("r", "tok")
		k.fail()
		k.same("events", len(k.load("r").Events), 2)
		k.same("unread", k.mailbox("r"), []string{})
		_, err = k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 2, From: 2})
		k.ok(err)
		k.same("owner", k.owner("tok"), "r")
	}},
	{"deletes the first that ended first, about as many events as it is told", func(k *kit) {
		for i := range 7 {
			k.ended(fmt.Sprint("r", i), "tok", time.Duration(2+i)*time.Hour) // two events each
		}
		pruned, more := k.prune(k.now().Add(-time.Hour), 3)
		k.same("pruned", []any{pruned, more}, []any{2, true})
		k.same("runs", k.there("r0", "r1", "r2", "r3", "r4", "r5", "r6"), []string{"r0", "r1", "r2", "r3", "r4"})
		n := 0
		for more {
			pruned, more = k.prune(k.now().Add(-time.Hour), 3)
			n += pruned
		}
		k.same("pruned in the end", n, 5)
	}},
	{"deletes a run however long it is", func(k *kit) {
		k.park("r", "tok")
		t := k.then("r", store.Completed)
		for range 50 {
			t.Events = append(t.Events, store.Event{At: t.At, Kind: store.Woken})
		}
		k.apply(t)
		pruned, more := k.prune(k.now().Add(long), 10)
		k.same("pruned", []any{pruned, more}, []any{1, false})
		k.same("runs", k.there("r"), []string{})
	}},
	{"deletes each run once, if several do it at once", func(k *kit) {
		const runs = 40
		for i := range runs {
			k.ended(fmt.Sprint("r", i), fmt.Sprint("t", i), 2*time.Hour)
		}
		before := k.now().Add(-time.Hour)
		var all sync.WaitGroup
		var total atomic.Int64
		for _, s := range []store.Store{k.s, k.h.Open(k.T), k.s} {
			all.Go(func() {
				for more := true; more; {
					var pruned int
					var err error
					if pruned, more, err = s.Prune(k.ctx, before, 5); err != nil {
						k.Error(err)
						return
					}
					total.Add(int64(pruned))
				}
			})
		}
		all.Wait()
		pruned, _ := k.prune(before, 1000) // what one had locked the others have left
		k.same("pruned", total.Load()+int64(pruned), int64(runs))
	}},
}

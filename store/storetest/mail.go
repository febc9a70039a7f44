package storetest

import (
	"time"

	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

var mailTests = []test{
	{"keeps messages in the order of their acceptance", func(k *kit) {
		k.park("r", "tok")
		k.accept("tok", "1")
		k.ok(k.s.Send(k.ctx, store.Message{RunID: "r", Kind: store.CancelRequested}))
		k.accept("tok", "2")
		k.same("mail", k.mail("r"), []string{"1", "cancel_requested", "2"})
		mail := k.load("r").Mail
		for i, m := range mail {
			if i > 0 && m.AcceptedAt.Before(mail[i-1].AcceptedAt) {
				k.Fatalf("accepted at %v after %v", m.AcceptedAt, mail[i-1].AcceptedAt)
			}
		}
	}},
	{"refuses messages to no run and to one that has ended", func(k *kit) {
		k.fails(k.s.Send(k.ctx, store.Message{RunID: "r", Kind: store.Woken}), store.ErrNotFound)
		k.park("r")
		k.apply(k.then("r", store.Completed, store.RunCompleted))
		k.fails(k.s.Send(k.ctx, store.Message{RunID: "r", Kind: store.Woken}), store.ErrFenced)
		k.same("mail", k.mail("r"), []string{})
	}},
	{"deletes what a transition took", func(k *kit) {
		k.park("r", "tok")
		for _, s := range []string{"1", "2", "3"} {
			k.accept("tok", s)
		}
		mail := k.load("r").Mail
		k.apply(takes(k.then("r", store.Waiting), []store.Message{mail[0], mail[2]}))
		k.same("mail", k.mail("r"), []string{"2"})
	}},
	{"refuses a transition that took what is gone", func(k *kit) {
		k.park("r", "tok")
		k.park("other", "tok2")
		k.accept("tok", "1")
		k.accept("tok", "2")
		k.accept("tok2", "3")
		mail := k.load("r").Mail
		k.apply(takes(k.then("r", store.Waiting), mail[:1]))
		k.refused(takes(k.then("r", store.Waiting), []store.Message{mail[1], mail[0]}), store.ErrConflict)
		k.refused(takes(k.then("r", store.Waiting), k.load("other").Mail), store.ErrConflict)
		k.refused(takes(k.then("r", store.Waiting), []store.Message{{ID: 1 << 40}}), store.ErrConflict)
		k.same("mail", k.mail("r"), []string{"2"})
	}},
	{"never gives an ID twice", func(k *kit) {
		k.park("r", "tok")
		last := int64(0)
		for range 5 {
			k.accept("tok", "x")
			mail := k.load("r").Mail
			if len(mail) != 1 || mail[0].ID <= last {
				k.Fatalf("mail is %+v after ID %d", mail, last)
			}
			last = mail[0].ID
			k.apply(takes(k.then("r", store.Waiting), mail))
		}
	}},
	{"NoMailBefore refuses if an older message waits", func(k *kit) {
		k.park("r", "tok")
		k.accept("tok", "1")
		m := k.load("r").Mail[0]
		guard := func(at time.Time, took ...store.Message) *store.Transition {
			t := k.then("r", store.Waiting, store.TimerFired)
			t.NoMailBefore = at
			return takes(t, took)
		}
		k.refused(guard(m.AcceptedAt.Add(time.Nanosecond)), store.ErrConflict)
		k.refused(guard(saturate.Beyond), store.ErrConflict)
		k.apply(guard(m.AcceptedAt))
		k.apply(guard(m.AcceptedAt.Add(-time.Second)))
		k.apply(guard(saturate.Beyond, m))
		k.apply(guard(saturate.Beyond))
		k.same("mail", k.mail("r"), []string{})
	}},
}

package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// links issues a link, which is good for a while.
func (k *kit) links(id, hook, addressee string, d time.Duration, once bool) store.Effect {
	now := k.now()
	return store.Effect{Kind: store.IssueLink, Link: &store.Link{
		ID: id, HookID: hook, Addressee: addressee, Form: "f1", Page: []byte(`{"title":"t"}`), Key: "k1", Once: once,
		CreatedAt: now, ExpiresAt: now.Add(d), OpenedPos: 1,
	}}
}

func revokes(id string) store.Effect { return revokesAt(id, 1) }

func revokesAt(id string, pos int64) store.Effect {
	return store.Effect{Kind: store.RevokeLink, Link: &store.Link{ID: id, RevokedPos: pos}}
}

// linked parks run r, with the hook r/tok and links to it for ada, by these IDs.
func (k *kit) linked(ids ...string) {
	k.Helper()
	k.park("r", "tok")
	for _, id := range ids {
		k.does("r", k.links(id, "r/tok", "ada", long, false))
	}
}

// answer answers by a link, and returns the state that it was in.
func (k *kit) answer(link, data string) store.LinkState {
	k.Helper()
	l, err := k.s.Answer(k.ctx, store.Answer{Link: link, Data: []byte(data), Generation: k.link(link).Generation, Actor: sentBy(link)})
	k.ok(err)
	k.same("link", l.ID, link)
	return l.State
}

// sentBy is the actor of an answer.
func sentBy(link string) string { return fmt.Sprintf(`{"name":"somebody","link":%q}`, link) }

// reopens begins the next generation of run r, which opens hooks that it carries.
func (k *kit) reopens(tokens ...string) {
	k.Helper()
	t := takes(k.then("r", store.Waiting), k.load("r").Mail[:1])
	for _, token := range tokens {
		t.Effects = append(t.Effects, k.opens("r/again", token, t.After+1))
	}
	k.apply(t)
}

// waitingFor are the IDs of the links that somebody can answer.
func (k *kit) waitingFor(addressee string) []string {
	k.Helper()
	return k.linkIDs(store.LinkFilter{Addressee: addressee})
}

// linkKeys are the keys of links that may still be answered.
func (k *kit) linkKeys() map[string]int {
	k.Helper()
	keys, err := k.s.LinkKeys(k.ctx)
	k.ok(err)
	return keys
}

func (k *kit) link(id string) store.Link {
	k.Helper()
	l, err := k.s.Link(k.ctx, id)
	k.ok(err)
	return l
}

// linkIDs are those of a list.
func (k *kit) linkIDs(f store.LinkFilter) []string {
	k.Helper()
	all, err := k.s.Links(k.ctx, f)
	k.ok(err)
	out := []string{}
	for i, l := range all {
		if i > 0 && l.Number <= all[i-1].Number {
			k.Fatalf("links are out of order: %+v", all)
		}
		out = append(out, l.ID)
	}
	return out
}

var linkTests = []test{
	{"is answered once, with one payload", func(k *kit) {
		k.linked("l1")
		from := k.now()
		l, err := k.s.Answer(k.ctx, store.Answer{Link: "l1", Data: []byte("1"), Actor: "somebody"})
		k.ok(err)
		k.same("state", l.State, store.LinkOpen)
		k.same("mail", k.mail("r"), []string{"1"})
		k.same("actor", k.load("r").Mail[0].Actor, "somebody")
		k.same("state of a repeat", k.answer("l1", "2"), store.LinkAnswered)
		k.same("mail", k.mail("r"), []string{"1"})
		l = k.link("l1")
		if l.AnsweredAt.Before(from) || l.AnsweredAt.After(k.now()) || l.AnsweredBy != "l1" || string(l.Answer) != "1" {
			k.Fatalf("link is %+v", l)
		}
	}},
	{"is read as it was issued", func(k *kit) {
		k.park("r", "tok")
		e := k.links("l1", "r/tok", "ada", long, true)
		k.does("r", e)
		got, want := k.link("l1"), *e.Link
		if got.Number < 1 {
			k.Fatalf("its number is %d", got.Number)
		}
		hook, err := k.s.Hook(k.ctx, "tok")
		k.ok(err)
		want.RunID, want.State, want.Number, want.Hook = "r", store.LinkOpen, got.Number, hook
		k.same("link", got, want)
		_, err = k.s.Link(k.ctx, "none")
		k.fails(err, store.ErrNotFound)
		_, err = k.s.Answer(k.ctx, store.Answer{Link: "none"})
		k.fails(err, store.ErrNotFound)
		k.fails(k.s.RevokeLink(k.ctx, "none", ""), store.ErrNotFound)
	}},
	{"stays as it is when it is issued again", func(k *kit) {
		k.linked("l1")
		k.does("r", revokes("l1"))
		k.does("r", k.links("l1", "r/tok", "eve", long, false))
		k.same("addressee", k.link("l1").Addressee, "ada")
		k.same("state", k.answer("l1", "1"), store.LinkRevoked)
	}},
	{"shares the answer of its addressee", func(k *kit) {
		k.linked("l1", "l2")
		k.does("r", k.links("l3", "r/tok", "bob", long, false))
		k.same("state", k.answer("l2", "1"), store.LinkOpen)
		k.same("state of the other link", k.answer("l1", "2"), store.LinkAnswered)
		l := k.link("l1")
		k.same("answer", string(l.Answer)+" by "+l.AnsweredBy, "1 by l2")
		k.same("state of another one's link", k.answer("l3", "3"), store.LinkOpen)
		k.same("mail", k.mail("r"), []string{"1", "3"})
	}},
	{"is decided by the first answer if it is once", func(k *kit) {
		k.linked()
		k.does("r", k.links("l1", "r/tok", "ada", long, true), k.links("l2", "r/tok", "bob", long, false))
		k.same("state", k.answer("l1", "1"), store.LinkOpen)
		k.same("state of another one's link", k.answer("l2", "2"), store.LinkDecided)
		k.same("what waits", k.waitingFor("bob"), []string{})
		k.same("keys", k.linkKeys(), map[string]int{})
		k.park("s", "tok2")
		k.does("s", k.links("l3", "s/tok2", "ada", long, false), k.links("l4", "s/tok2", "bob", long, true))
		k.same("state", k.answer("l3", "1"), store.LinkOpen)
		k.same("state of a link that is once itself", k.answer("l4", "2"), store.LinkDecided)
	}},
	{"expires", func(k *kit) {
		k.linked()
		k.does("r", k.links("l1", "r/tok", "ada", short, false))
		k.pass(short)
		k.same("state", k.answer("l1", "1"), store.LinkExpired)
		k.same("mail", k.mail("r"), []string{})
	}},
	{"is revoked by its run, or from outside", func(k *kit) {
		k.linked("l1", "l2")
		k.park("s", "other")
		k.does("s", revokes("l1")) // which is not its own
		k.same("state", k.link("l1").State, store.LinkOpen)
		k.does("r", revokes("l1"))
		k.same("state", k.answer("l1", "1"), store.LinkRevoked)
		k.ok(k.s.RevokeLink(k.ctx, "l2", "ada"))
		first := k.link("l2").RevokedAt
		k.ok(k.s.RevokeLink(k.ctx, "l2", "eve"))
		k.same("time", k.link("l2").RevokedAt, first)
		k.same("who", []string{k.link("l1").RevokedBy, k.link("l2").RevokedBy}, []string{"", "ada"})
		k.same("state", k.answer("l2", "1"), store.LinkRevoked)
		k.same("mail", k.mail("r"), []string{})
	}},
	{"is closed with its hook, and with its run", func(k *kit) {
		k.linked("l1")
		k.does("r", k.opens("r/h2", "tok2", 1), k.links("l2", "r/h2", "ada", long, false))
		k.does("r", closes("r/tok", 1))
		k.same("state", k.answer("l1", "1"), store.LinkClosed)
		k.ends("r", store.Completed, "")
		k.same("state", k.answer("l2", "1"), store.LinkClosed)
	}},
	{"puts answers into the backlog of its hook", func(k *kit) {
		k.linked("l1")
		k.accept("tok", "1")
		t := k.then("r", store.Waiting)
		t.Defer = []string{"r/tok"}
		k.apply(t)
		k.same("state", k.answer("l1", "2"), store.LinkOpen)
		k.same("mail", k.mail("r"), []string{"1", "2"})
		k.same("mailbox", len(k.load("r").Mail), 0)
	}},
	{"waits until its hook is open again after a restart", func(k *kit) {
		k.linked("l1")
		t := k.then("r", store.Running, store.Restarted)
		t.Restart = &store.Restart{}
		k.apply(t)
		k.same("state", k.answer("l1", "1"), store.LinkCarried)
		k.apply(takes(k.then("r", store.Waiting), k.load("r").Mail))
		k.does("r", k.opens("r/again", "tok", k.load("r").Run.Events))
		_, err := k.s.Answer(k.ctx, store.Answer{Link: "l1", Data: []byte("1")})
		k.fails(err, store.ErrConflict) // the caller saw an earlier generation
		l, err := k.s.Answer(k.ctx, store.Answer{Link: "l1", Data: []byte("1"), Generation: 1})
		k.ok(err)
		k.same("state", l.State, store.LinkOpen)
		k.same("mail", k.mail("r"), []string{"1"})
	}},
	{"is closed while its run waits without its hook", func(k *kit) {
		k.linked("l1")
		k.apply(k.restarts(""))
		k.same("what waits", k.waitingFor("ada"), []string{})
		k.same("state", k.link("l1").State, store.LinkCarried)
		k.reopens()
		k.same("state", k.answer("l1", "1"), store.LinkClosed)
		k.same("what waits", k.waitingFor("ada"), []string{})
		k.same("keys", k.linkKeys(), map[string]int{"k1": 1})
		k.does("r", k.opens("r/again", "tok", k.load("r").Run.Events))
		k.same("what waits", k.waitingFor("ada"), []string{"l1"})
		k.same("state", k.answer("l1", "1"), store.LinkOpen)
	}},
	{"has no answer from before the generation that issued it", func(k *kit) {
		k.linked("l1", "l2")
		k.does("r", k.links("l3", "r/tok", "bob", long, true), k.links("l4", "r/tok", "cid", long, false))
		k.same("state", k.answer("l1", "1"), store.LinkOpen)
		k.apply(takes(k.then("r", store.Waiting), k.load("r").Mail))
		k.apply(k.restarts(""))
		k.reopens("tok")
		k.does("r", k.links("n1", "r/tok", "ada", long, false), k.links("n3", "r/tok", "bob", long, true))
		k.same("what waits", slices.Concat(k.waitingFor("ada"), k.waitingFor("bob"), k.waitingFor("cid")), []string{"n1", "n3", "l4"})
		k.same("state of an old link", k.answer("l2", "2"), store.LinkAnswered)
		k.same("state of an old link that is once", k.answer("l3", "2"), store.LinkDecided)
		k.same("state", k.answer("n1", "2"), store.LinkOpen)
		k.same("state of a repeat", k.answer("n1", "3"), store.LinkAnswered)
		k.same("state of one that is once", k.answer("n3", "3"), store.LinkDecided)
		for id, want := range map[string]string{"l1": "1 by l1", "l2": "1 by l1", "n1": "2 by n1"} {
			l := k.link(id)
			k.same("answer of "+id, string(l.Answer)+" by "+l.AnsweredBy, want)
		}
		k.same("state of an old link that nobody has answered", k.answer("l4", "4"), store.LinkOpen)
		k.does("r", k.links("n4", "r/tok", "cid", long, false))
		k.same("state of a new link", k.answer("n4", "5"), store.LinkAnswered)
		k.same("mail", k.mail("r"), []string{"2", "4"})
	}},
	{"has an answer that only its own generation takes", func(k *kit) {
		k.park("r", "taken", "journaled", "mailed", "deferred")
		tokens := []string{"taken", "journaled", "mailed", "deferred"}
		for _, token := range tokens {
			k.does("r", k.links("l-"+token, "r/"+token, "ada", long, false))
		}
		k.answer("l-taken", "1")
		k.answer("l-journaled", "1")
		k.apply(takes(k.then("r", store.Waiting), k.load("r").Mail))
		k.answer("l-deferred", "1")
		t := k.then("r", store.Waiting)
		t.Defer = []string{"r/deferred"}
		k.apply(t)
		k.answer("l-mailed", "1")
		for i := range 2 { // nor does the second one take them
			m := journaled("r/journaled", "1", k.now())
			m.Actor = sentBy("l-journaled")
			k.apply(k.restarts("", m))
			k.reopens()
			for j, token := range tokens {
				k.does("r", k.opens(fmt.Sprintf("r/again%d.%d", i, j), token, k.load("r").Run.Events))
				k.does("r", k.links(fmt.Sprintf("n%d-%s", i, token), "r/"+token, "ada", long, false))
			}
			if i == 0 {
				mail := k.load("r").Mail
				k.apply(takes(k.then("r", store.Waiting), mail[:1])) // it is journaled again
			}
		}
		for _, want := range []struct {
			token string
			state store.LinkState
		}{{"taken", store.LinkOpen}, {"journaled", store.LinkAnswered}, {"mailed", store.LinkAnswered}, {"deferred", store.LinkAnswered}} {
			k.same("state of a new link to "+want.token, k.link("n1-"+want.token).State, want.state)
		}
		k.same("mail", k.mail("r"), []string{"1", "1", "1"})
	}},
	{"is after a retry what it was before", func(k *kit) {
		k.park("r", "tok")
		own := func(id string, pos int64) store.Effect { // each is for somebody else
			e := k.links(id, "r/tok", id, long, false)
			e.Link.OpenedPos = pos
			return e
		}
		k.does("r", own("revoked", 1), own("earlier", 1), own("outside", 1), own("both", 1))
		k.apply(k.then("r", store.Waiting, store.TimerFired)) // 2
		k.does("r", own("cut", 2), own("wrong", 2), own("answered", 2), revokesAt("revoked", 2), revokesAt("earlier", 1), revokesAt("both", 2))
		k.ok(k.s.RevokeLink(k.ctx, "outside", "ada"))
		k.does("r", revokesAt("outside", 2))
		k.ok(k.s.RevokeLink(k.ctx, "both", "ada"))
		k.same("state", k.answer("answered", "1"), store.LinkOpen)
		k.fail()
		_, err := k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 3, From: 2})
		k.ok(err)
		k.same("links", k.linkIDs(store.LinkFilter{RunID: "r"}), []string{"revoked", "earlier", "outside", "both", "answered"})
		for id, want := range map[string]store.LinkState{
			"revoked": store.LinkOpen, "earlier": store.LinkRevoked, "outside": store.LinkRevoked, "both": store.LinkRevoked, "answered": store.LinkAnswered,
		} {
			k.same("state of "+id, k.link(id).State, want)
		}
		k.same("who", k.link("both").RevokedBy, "ada")
		k.same("mail", k.mail("r"), []string{"1", "retried"})
		t := takes(k.then("r", store.Waiting), k.load("r").Mail)
		again := own("wrong", 2)
		again.Link.Addressee, again.Link.Page = "boss", []byte(`{"title":"mended"}`)
		t.Effects = []store.Effect{again, own("answered", 2)}
		k.apply(t)
		l := k.link("wrong")
		k.same("link", l.Addressee+string(l.Page), again.Link.Addressee+string(again.Link.Page))
		k.same("state", k.answer("wrong", "2"), store.LinkOpen)
		k.same("state", k.answer("answered", "2"), store.LinkAnswered)
	}},
	{"says which answers are in the mailbox while its run restarts", func(k *kit) {
		const links = 50
		k.park("r", "tok")
		var effects []store.Effect
		for i := range links {
			effects = append(effects, k.links(fmt.Sprintf("l%d", i), "r/tok", fmt.Sprintf("p%d", i), long, false))
		}
		k.does("r", effects...)
		var taken atomic.Int32
		over := make(chan struct{})
		go func() {
			defer close(over)
			for i := range links {
				a := store.Answer{Link: fmt.Sprintf("l%d", i), Data: []byte("1")}
				l, err := k.s.Answer(k.ctx, a)
				if errors.Is(err, store.ErrConflict) { // as an engine does
					if l, err = k.s.Link(k.ctx, a.Link); err == nil {
						a.Generation = l.Generation
						l, err = k.s.Answer(k.ctx, a)
					}
				}
				switch {
				case err != nil && !errors.Is(err, store.ErrConflict):
					k.Error(err)
				case err == nil && l.State == store.LinkOpen:
					taken.Add(1)
				}
			}
		}()
		for restarting := true; restarting; {
			k.apply(k.restarts(""))
			k.reopens("tok")
			select {
			case <-over:
				restarting = false
			default:
			}
		}
		k.same("mail", len(k.mail("r")), int(taken.Load()))
	}},
	{"is listed by its run, and for its addressee while it is open", func(k *kit) {
		k.linked("l1", "l2", "l3")
		k.does("r", k.opens("r/h2", "tok2", 1), k.links("l4", "r/h2", "ada", long, false), k.links("l5", "r/h2", "bob", long, false))
		k.same("links of the run", k.linkIDs(store.LinkFilter{RunID: "r"}), []string{"l1", "l2", "l3", "l4", "l5"})
		k.same("links of a hook", k.linkIDs(store.LinkFilter{RunID: "r", HookID: "r/h2"}), []string{"l4", "l5"})
		k.same("a page", k.linkIDs(store.LinkFilter{RunID: "r", Limit: 2, After: k.link("l2").Number}), []string{"l3", "l4"})
		k.does("r", revokes("l2"))
		k.same("links for somebody", k.linkIDs(store.LinkFilter{Addressee: "ada"}), []string{"l1", "l3", "l4"})
		keys, err := k.s.LinkKeys(k.ctx)
		k.ok(err)
		k.same("keys", keys, map[string]int{"k1": 4})
		k.answer("l1", "1")
		k.same("links for somebody", k.linkIDs(store.LinkFilter{Addressee: "ada"}), []string{"l4"})
		k.same("links for nobody", k.linkIDs(store.LinkFilter{}), []string{})
	}},
	{"goes with its run", func(k *kit) {
		k.linked("l1")
		k.ends("r", store.Completed, "")
		_, _, err := k.s.Prune(k.ctx, k.now().Add(long), 100)
		k.ok(err)
		_, err = k.s.Link(k.ctx, "l1")
		k.fails(err, store.ErrNotFound)
	}},
	{"belongs to an installation, which stays", func(k *kit) {
		id, err := k.s.Installation(k.ctx)
		k.ok(err)
		again, err := k.h.Open(k.T).Installation(k.ctx)
		k.ok(err)
		if id == "" || again != id {
			k.Fatalf("the installation is %q, and %q", id, again)
		}
	}},
	{"takes one of many answers at once", func(k *kit) {
		const people, tries = 4, 8
		k.park("r", "tok")
		var effects []store.Effect
		for i := range people * tries {
			effects = append(effects, k.links(fmt.Sprintf("l%d", i), "r/tok", fmt.Sprintf("p%d", i%people), long, false))
		}
		k.does("r", effects...)
		var wg sync.WaitGroup
		var recorded atomic.Int32
		for i := range people * tries {
			wg.Go(func() {
				l, err := k.s.Answer(k.ctx, store.Answer{Link: fmt.Sprintf("l%d", i), Data: fmt.Appendf(nil, "p%d", i%people)})
				if err != nil {
					k.Error(err)
				}
				if l.State == store.LinkOpen {
					recorded.Add(1)
				}
			})
		}
		wg.Wait()
		k.same("answers that were recorded", int(recorded.Load()), people)
		mail := k.mail("r")
		slices.Sort(mail)
		k.same("mail", mail, []string{"p0", "p1", "p2", "p3"})
	}},
}

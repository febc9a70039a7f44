package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tenter-dev/tenter/store"
)

// listens opens a hook that listens to a subject of the topic "t". Its token is its ID.
func (k *kit) listens(id, subject string, pos int64) store.Effect {
	e := k.opens(id, id, pos)
	e.Hook.Type, e.Hook.Subject = "t", subject
	return e
}

// ceases closes a hook that listens to subject 1.
func ceases(id string) store.Effect {
	e := closes(id, 1)
	e.Hook.Type, e.Hook.Subject = "t", "1"
	return e
}

// listener creates a run with a hook that listens.
func (k *kit) listener(id, subject string) {
	k.Helper()
	k.apply(k.begin(id, k.listens(id+"/h", subject, 1)))
}

func publication(data string) store.Publication {
	return store.Publication{Topic: "t", Subject: "1", Data: []byte(data)}
}

func (k *kit) publish(p store.Publication) store.Published {
	k.Helper()
	done, err := k.s.Publish(k.ctx, p)
	k.ok(err)
	return done
}

// publishes publishes to so many that listen to subject 1, of whom so many are served at once.
func (k *kit) publishes(data string, listeners, atOnce int) store.Published {
	k.Helper()
	p := publication(data)
	p.AtOnce = atOnce
	done := k.publish(p)
	k.same("listeners of "+data, done.Count, listeners)
	return done
}

// tell serves so many listeners at a time, until all are served, and returns how many these were.
func (k *kit) tell(atOnce int) (all int) {
	k.Helper()
	for {
		told, more, err := k.s.TellListeners(k.ctx, atOnce)
		k.ok(err)
		if told > atOnce {
			k.Fatalf("%d were told at once, at most %d were to be", told, atOnce)
		}
		all += told
		if !more {
			return all
		}
	}
}

// topics are what is listened to: topic, subject and listeners.
func (k *kit) topics(f store.TopicFilter) []string {
	k.Helper()
	topics, err := k.s.Topics(k.ctx, f)
	k.ok(err)
	out := []string{}
	for _, t := range topics {
		out = append(out, fmt.Sprintln(t.Topic, t.Subject, t.Listeners, t.Behind))
	}
	return out
}

// archivedHook is a hook, open or not.
func (k *kit) archivedHook(run, id string) store.Hook {
	k.Helper()
	for _, h := range k.export(run).Hooks {
		if h.Hook.ID == id {
			return h.Hook
		}
	}
	k.Fatalf("run %s has no hook %s", run, id)
	return store.Hook{}
}

var publishTests = []test{
	{"reaches all that listen, once, and nobody else", func(k *kit) {
		k.listener("a", "1")
		k.listener("b", "1")
		k.listener("other", "2")
		k.park("plain", "token")
		k.park("two")
		k.does("two", k.listens("x", "1", 1), k.listens("y", "1", 1))
		before := k.now()
		done := k.publishes("p", 4, 0)
		for id, want := range map[string][]string{"a": {"p"}, "b": {"p"}, "two": {"p", "p"}, "other": {}, "plain": {}} {
			k.same("mail of "+id, k.mail(id), want)
		}
		m := k.load("two").Mail
		k.same("hooks", []string{m[0].Ref, m[1].Ref}, []string{"x", "y"})
		k.same("kind", m[0].Kind, store.PayloadReceived)
		if m[0].AcceptedAt.Before(before) || done.Seq == 0 || done.Duplicate {
			k.Errorf("accepted at %v, published as %+v", m[0].AcceptedAt, done)
		}
		topics, err := k.s.Topics(k.ctx, store.TopicFilter{})
		k.ok(err)
		if len(topics) != 2 || topics[0].PublishedAt.Before(before) || !topics[1].PublishedAt.IsZero() {
			k.Errorf("topics are %+v", topics)
		}
		c := ids(k.claim("w2", 10).Runs)
		slices.Sort(c)
		k.same("due", c, []string{"a", "b", "two"})
		k.same("left to be told", k.tell(10), 0)
	}},
	{"writes nothing if nobody listens", func(k *kit) {
		p := publication("early")
		p.Key, p.KeepFor = "key", long
		k.same("published", k.publish(p), store.Published{})
		k.listener("a", "1")
		k.same("mail", k.mail("a"), []string{})
		k.same("with the key", k.publish(p).Count, 1)
		k.same("mail", k.mail("a"), []string{"early"})
	}},
	{"comes in order, to those that listened then", func(k *kit) {
		k.listener("a", "1")
		first := k.publishes("p1", 1, 0)
		k.listener("b", "1")
		second := k.publishes("p2", 2, 0)
		k.does("a", ceases("a/h"))
		k.publishes("p3", 1, 0)
		k.same("mail of a", k.mail("a"), []string{"p1", "p2"})
		k.same("mail of b", k.mail("b"), []string{"p2", "p3"})
		a, b := k.archivedHook("a", "a/h"), k.archivedHook("b", "b/h")
		if a.ListensFrom >= first.Seq || b.ListensFrom <= first.Seq || b.ListensFrom >= second.Seq || a.ListensTo <= second.Seq || b.ListensTo != 0 {
			k.Errorf("a listens from %d to %d, b from %d to %d; published as %d and %d", a.ListensFrom, a.ListensTo, b.ListensFrom, b.ListensTo, first.Seq, second.Seq)
		}
	}},
	{"remembers a key, for its topic and subject", func(k *kit) {
		k.listener("a", "1")
		k.listener("b", "2")
		p := publication("p")
		p.Key, p.KeepFor = "key", long
		first := k.publish(p)
		k.listener("late", "1")
		again := k.publish(p)
		k.same("again", again, store.Published{Seq: first.Seq, Count: 1, Duplicate: true})
		k.same("mail", slices.Concat(k.mail("a"), k.mail("late")), []string{"p"})
		p.Subject = "2"
		k.same("other subject", k.publish(p).Duplicate, false)
		p.Subject = "1"
		k.does("a", ceases("a/h"))
		k.does("late", ceases("late/h"))
		k.same("without listeners", k.publish(p), again)
		k.listener("new", "1")
		p.Key, p.KeepFor = "another", short
		k.publish(p)
		k.pass(short)
		k.same("expired", k.publish(p).Duplicate, false)
		if k.h.Check != nil {
			k.ok(k.h.Check())
		}
		k.same("mail", k.mail("new"), []string{"p", "p"})
	}},
	{"serves so many in one commit, and the others afterwards, whoever does it", func(k *kit) {
		for i := range 7 {
			k.listener(fmt.Sprint("r", i), "1")
		}
		told := func() (n int) {
			k.Helper()
			for i := range 7 {
				n += len(k.mail(fmt.Sprint("r", i)))
			}
			return n
		}
		signals := make(chan store.Signal, 1000)
		defer k.s.Watch(func(s store.Signal) { signals <- s })()
		k.publishes("p", 7, 6)
		k.signal(signals, func(s store.Signal) bool { return has(s.Behind, "t") })
		k.same("told at once", told(), 0)
		k.same("behind", k.topics(store.TopicFilter{}), []string{"t 1 7 true\n"})
		n, more, err := k.h.Open(k.T).TellListeners(k.ctx, 3)
		k.ok(err)
		k.same("told, and more", []any{n, more, told()}, []any{3, true, 3})
		k.same("told", k.tell(3), 4)
		k.same("all", told(), 7)
		k.same("behind", k.topics(store.TopicFilter{}), []string{"t 1 7 false\n"})
		k.publishes("p", 7, 7)
		k.same("all", told(), 14)
	}},
	{"serves no more in one commit than some bytes, but one", func(k *kit) {
		k.listener("a", "1")
		k.listener("b", "1")
		k.publishes(string(bytes.Repeat([]byte("x"), store.PublishBytes-1)), 2, 0)
		k.same("told", []int{len(k.mail("a")), len(k.mail("b"))}, []int{0, 0})
		n, more, err := k.s.TellListeners(k.ctx, 0)
		k.ok(err)
		k.same("told, and more", []any{n, more}, []any{1, true})
		k.same("told", k.tell(10), 1)
	}},
	{"goes on first with what was published to longest ago", func(k *kit) {
		for _, subject := range []string{"1", "2"} {
			for i := range 3 {
				k.listener(fmt.Sprint("r", subject, i), subject)
			}
		}
		p := publication("rare")
		p.Subject, p.AtOnce = "2", 1
		k.publish(p)
		for i := range 3 {
			k.publishes(fmt.Sprint("often", i), 3, 1) // more than is told meanwhile
			n, more, err := k.s.TellListeners(k.ctx, 1)
			k.ok(err)
			k.same("told, and more", []any{n, more}, []any{1, true})
		}
		for i := range 3 {
			k.same("mail", k.mail(fmt.Sprint("r2", i)), []string{"rare"})
		}
		k.same("told", k.tell(1), 9)
	}},
	{"keeps the order where one publication overtakes another", func(k *kit) {
		for i := range 4 {
			k.listener(fmt.Sprint("r", i), "1")
		}
		k.publishes("p1", 4, 3)
		_, _, err := k.s.TellListeners(k.ctx, 2)
		k.ok(err)
		k.publishes("p2", 4, 3)
		k.listener("late", "1")
		k.publishes("p3", 5, 100)
		k.tell(3)
		for i := range 4 {
			k.same("mail", k.mail(fmt.Sprint("r", i)), []string{"p1", "p2", "p3"})
		}
		k.same("mail of the one that came later", k.mail("late"), []string{"p3"})
	}},
	{"comes to a hook that closes meanwhile, in the same commit", func(k *kit) {
		for _, id := range []string{"a", "b", "c", "d"} {
			k.listener(id, "1")
		}
		k.publishes("p1", 4, 1)
		k.publishes("p2", 4, 1)
		k.does("a", ceases("a/h"))
		k.same("mail of a run that has closed its hook", k.mail("a"), []string{"p1", "p2"})
		k.claims(k.claim("w2", 10), "a")
		k.ends("b", store.Completed, "")
		k.same("unread of a run that has ended", k.mailbox("b"), []string{"p1", "p2"})
		k.ok(k.s.Terminate(k.ctx, "c", store.Event{At: k.now(), Kind: store.RunCanceled}))
		k.same("unread of a run that was terminated", k.mailbox("c"), []string{"p1", "p2"})
		k.same("told", k.tell(10), 2)
		k.same("mail of the last", k.mail("d"), []string{"p1", "p2"})
		t := k.then("d", store.Completed, store.RunCompleted)
		k.publishes("p3", 1, 0)
		t.Effects = []store.Effect{ceases("d/h")}
		k.apply(t)
		k.same("unread", k.mailbox("d"), []string{"p1", "p2", "p3"})
		k.same("topics", k.topics(store.TopicFilter{}), []string{})
	}},
	{"comes to a hook that closes with its run in one transition", func(k *kit) {
		k.listener("a", "1")
		k.listener("b", "1")
		k.publishes("p", 2, 1)
		t := k.then("a", store.Failed, store.RunFailed)
		t.Effects = []store.Effect{ceases("a/h")}
		k.apply(t)
		k.same("unread", k.mailbox("a"), []string{"p"})
		k.claims(k.claim("w2", 10))
		k.same("told", k.tell(10), 1)
	}},
	{"goes to the backlog of a hook that has one", func(k *kit) {
		k.listener("r", "1")
		k.publishes("p1", 1, 0)
		t := k.then("r", store.Waiting)
		t.Defer = []string{"r/h"}
		k.apply(t)
		k.publishes("p2", 1, 0)
		k.listener("s", "1")
		k.publishes("p3", 2, 1)
		k.tell(10)
		k.publishes("p4", 2, 1)
		k.does("r", ceases("r/h"))
		l := k.load("r")
		k.same("mailbox", texts(l.Mail), []string{})
		k.same("backlog", texts(k.backlogs(l)), []string{"p1", "p2", "p3", "p4"})
	}},
	{"goes on over a restart, in order, if the next generation listens to the same", func(k *kit) {
		k.listener("r", "1")
		k.listener("s", "1")
		k.publishes("p1", 2, 0)
		k.publishes("p2", 2, 1)
		from := k.archivedHook("r", "r/h").ListensFrom
		k.apply(k.restarts("again"))
		k.publishes("p3", 2, 1)
		e := k.listens("g1", "2", 2)
		e.Hook.Token = "r/h"
		t := k.then("r", store.Waiting)
		t.Effects = []store.Effect{e}
		o := k.apply(t)[0]
		if o.Carried == nil || o.Carried.Subject != "1" || o.Carried.Type != "t" {
			k.Errorf("another subject: %+v", o)
		}
		e.Hook.Subject = "1"
		t = k.then("r", store.Waiting)
		t.Effects = []store.Effect{e}
		k.same("adopted", k.apply(t)[0].HookID, "r/h")
		k.same("it listens still", k.archivedHook("r", "r/h").ListensFrom, from)
		k.tell(1)
		k.same("mail", k.mail("r"), []string{"started", "p1", "p2", "p3"})
		k.publishes("p4", 2, 1)
		k.apply(k.restarts("third"))
		k.apply(k.restarts("fourth")) // the third has not opened it: it is closed
		unread, err := k.s.Unread(k.ctx, "r", 2, 100)
		k.ok(err)
		k.same("unread of what was not opened", texts(unread), []string{"p1", "p2", "p3", "p4"})
		k.same("topics", k.topics(store.TopicFilter{}), []string{"t 1 1 true\n"})
	}},
	{"begins again for a hook that a retry reopens", func(k *kit) {
		k.listener("r", "1")
		k.publishes("p1", 1, 0)
		k.fail()
		from := k.archivedHook("r", "r/h").ListensFrom
		k.same("meanwhile", k.publish(publication("p2")).Count, 0)
		_, err := k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 2, From: 2})
		k.ok(err)
		k.publishes("p3", 1, 0)
		k.same("mail", k.mail("r"), []string{"p1", "retried", "p3"})
		if h := k.archivedHook("r", "r/h"); h.ListensFrom <= from || h.ListensTo != 0 {
			k.Errorf("it listens from %d to %d, and did from %d", h.ListensFrom, h.ListensTo, from)
		}
	}},
	{"comes to forks of runs that listen, from the fork on", func(k *kit) {
		k.listener("r", "1")
		k.publishes("p1", 1, 1)
		e := k.load("r").Events[0]
		_, err := k.s.Fork(k.ctx, store.Fork{
			Run: store.NewRun{ID: "f", Workflow: "flow", Version: 1, Secret: []byte("s")}, Origin: store.Origin{RunID: "r", Position: 1}, Epoch: e.Epoch, Seq: e.Seq,
			Hooks: []store.ForkedHook{{ID: "r/h", Token: "f"}},
		})
		k.ok(err)
		k.publishes("p2", 2, 0)
		k.same("mail of the fork", k.mail("f"), []string{"forked", "p2"})
		k.same("mail of the origin", k.mail("r"), []string{"p1", "p2"})
	}},
	{"comes to a reserved hook once its run listens with it", func(k *kit) {
		k.orStart("token", "first", "r")
		k.same("reserved", k.publish(publication("p1")).Count, 0)
		e := k.listens("own", "1", 1)
		e.Hook.Token = "token"
		t := k.then("r", store.Waiting)
		t.Effects = []store.Effect{e}
		k.same("adopted", k.apply(t)[0].HookID, "r.h0")
		k.publishes("p2", 1, 0)
		k.same("mail", k.mail("r"), []string{"started", "first", "p2"})
	}},
	{"listens once if the claim is repeated", func(k *kit) {
		k.listener("r", "1")
		k.does("r", k.listens("r/h", "1", 1))
		k.publishes("p", 1, 0)
		k.does("r", ceases("r/h"))
		k.does("r", k.listens("r/h", "1", 1), ceases("r/h"))
		k.same("topics", k.topics(store.TopicFilter{}), []string{})
	}},
	{"wakes no run that is paused", func(k *kit) {
		k.listener("r", "1")
		k.ok(k.s.Pause(k.ctx, "r", store.Pause{}))
		k.publishes("p", 1, 0)
		k.claims(k.claim("w2", 10))
		k.ok(k.s.Resume(k.ctx, "r", ""))
		k.claims(k.claim("w2", 10), "r")
	}},
	{"says who has published it", func(k *kit) {
		for _, id := range []string{"a", "b", "c"} {
			k.listener(id, "1")
		}
		for _, atOnce := range []int{3, 1} {
			p := publication("p")
			p.Actor, p.Trace, p.AtOnce = `{"name":"ada"}`, "trace", atOnce
			k.publish(p)
		}
		k.does("a", ceases("a/h"))
		exported := k.export("c").Mail
		k.tell(1)
		for _, mail := range [][]store.Message{k.load("a").Mail, k.load("b").Mail, exported} {
			k.same("messages", len(mail), 2)
			for _, m := range mail {
				k.same("actor and trace", []string{m.Actor, m.Trace}, []string{`{"name":"ada"}`, "trace"})
			}
		}
	}},
	{"lists what is listened to", func(k *kit) {
		k.park("r")
		open := func(topic, subject string) store.Effect {
			e := k.listens(topic+"/"+subject, subject, 1)
			e.Hook.Type = topic
			return e
		}
		k.does("r", open("b", "2"), open("b", "1"), open("a b", "1"), open("a", "b 1"))
		k.listener("s", "x")
		all := []string{"a b 1 1 false\n", "a b 1 1 false\n", "b 1 1 false\n", "b 2 1 false\n", "t x 1 false\n"}
		k.same("all", k.topics(store.TopicFilter{}), all)
		k.same("of one topic", k.topics(store.TopicFilter{Topic: "b"}), all[2:4])
		k.same("after one", k.topics(store.TopicFilter{After: store.ListenedTopic{Topic: "b", Subject: "1"}, Limit: 1}), all[3:4])
		k.same("of one topic after one", k.topics(store.TopicFilter{Topic: "b", After: store.ListenedTopic{Topic: "a"}}), all[2:4])
		h, err := k.s.Hook(k.ctx, "s/h")
		k.ok(err)
		k.same("hook", []string{h.Type, h.Subject}, []string{"t", "x"})
	}},
	{"is archived with what has not come yet, and listens where it is imported", func(k *kit) {
		a := k.archiver()
		k.listener("r", "1")
		k.listener("s", "1")
		k.publishes("p1", 2, 0)
		k.publishes("p2", 2, 1)
		k.publishes("p3", 2, 1)
		copied := renamed(k.export("r"), "copy")
		for i := range copied.Hooks {
			copied.Hooks[i].Hook.Token = "copied"
		}
		_, err := a.Import(k.ctx, []store.Archive{copied})
		k.ok(err)
		k.same("mail of the copy", k.mail("copy"), []string{"p1", "p2", "p3"})
		k.same("told", k.tell(10), 4)
		k.publishes("p4", 3, 0)
		k.same("mail of the copy", k.mail("copy"), []string{"p1", "p2", "p3", "p4"})
		k.same("mail", k.mail("r"), []string{"p1", "p2", "p3", "p4"})
	}},
	{"is part of a transaction of the application", func(k *kit) {
		if k.h.Begin == nil {
			k.Skip("the store joins no transactions")
		}
		k.listener("r", "1")
		j := k.within()
		_, err := j.Publish(k.ctx, publication("undone"))
		k.ok(err)
		j.rollback()
		k.same("rolled back", k.mail("r"), []string{})
		j = k.within()
		done, err := j.Publish(k.ctx, publication("p"))
		k.ok(err)
		j.commit()
		k.same("committed", []any{done.Count, k.mail("r")}, []any{1, []string{"p"}})
	}},
	{"reaches each that listens once, while others begin and cease", func(k *kit) {
		const publications, rounds, crowd = 30, 6, 24
		other := k.h.Open(k.T)
		var published sync.Map // seq: data
		var left atomic.Int64
		left.Store(int64(crowd))
		for i := range crowd {
			k.park(fmt.Sprint("r", i))
		}
		k.all(crowd+4, func(i int) {
			s := k.s
			if i%2 == 1 {
				s = other
			}
			switch {
			case i < crowd:
				defer left.Add(-1)
				id := fmt.Sprint("r", i)
				for n := range rounds {
					h := fmt.Sprint(id, "/", n)
					for _, e := range []store.Effect{k.listens(h, "1", 1), ceases(h)} {
						_, err := s.Apply(k.ctx, k.effects(id, e))
						k.check(err)
					}
				}
			case i < crowd+2:
				for n := 0; n < publications || left.Load() > 0; n++ {
					data := fmt.Sprint(i, "-", n)
					p := publication(data)
					p.AtOnce = 1 + n%8
					done, err := s.Publish(k.ctx, p)
					k.check(err)
					if done.Seq > 0 {
						published.Store(done.Seq, data)
					}
				}
			default:
				for left.Load() > 0 {
					_, _, err := s.TellListeners(k.ctx, 2)
					k.check(err)
				}
			}
		})
		k.tell(100)
		total := 0
		for i := range crowd {
			id := fmt.Sprint("r", i)
			a := k.export(id)
			got := map[string][]string{}
			for _, m := range a.Mail {
				got[m.Ref] = append(got[m.Ref], string(m.Data))
			}
			for _, h := range a.Hooks {
				var seqs []int64
				published.Range(func(seq, _ any) bool {
					if s := seq.(int64); s > h.Hook.ListensFrom && s < h.Hook.ListensTo {
						seqs = append(seqs, s)
					}
					return true
				})
				slices.Sort(seqs)
				var want []string
				for _, seq := range seqs {
					data, _ := published.Load(seq)
					want = append(want, data.(string))
				}
				total += len(want)
				k.same("payloads of "+h.Hook.ID, got[h.Hook.ID], want)
			}
		}
		k.same("topics", k.topics(store.TopicFilter{}), []string{})
		k.Logf("%d payloads", total)
	}},
}

// effects is a transition that has only effects, whoever owns the run.
func (k *kit) effects(id string, effects ...store.Effect) *store.Transition {
	t := k.then(id, store.Waiting)
	t.Effects = effects
	return t
}

package storetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/store"
)

func subscribe(ref, target string) store.Effect {
	return store.Effect{Kind: store.Subscribe, Subscription: store.Subscription{Ref: ref, Target: target}}
}

func unsubscribe(ref string) store.Effect {
	return store.Effect{Kind: store.Unsubscribe, Subscription: store.Subscription{Ref: ref}}
}

// does applies a transition that has only effects.
func (k *kit) does(id string, effects ...store.Effect) {
	k.Helper()
	t := k.then(id, store.Waiting)
	t.Effects = effects
	k.apply(t)
}

// ends ends a run with data.
func (k *kit) ends(id string, status store.Status, data string) {
	k.Helper()
	kind := map[store.Status]store.Kind{store.Completed: store.RunCompleted, store.Failed: store.RunFailed, store.Canceled: store.RunCanceled}[status]
	t := k.then(id, status)
	t.Events = []store.Event{{At: t.At, Kind: kind, Data: []byte(data)}}
	k.apply(t)
}

// told are the messages of a run about others that it awaits: kind, reference and data.
func (k *kit) told(id string) []string {
	k.Helper()
	out := []string{}
	for _, m := range k.load(id).Mail {
		out = append(out, fmt.Sprintf("%s %s %s", m.Kind, m.Ref, m.Data))
	}
	return out
}

// subscriptions are those of a run, as its archive has them.
func (k *kit) subscriptions(id string) []string {
	k.Helper()
	out := []string{}
	for _, s := range k.export(id).Subscriptions {
		k.same("subscriber", s.RunID, id)
		out = append(out, s.Ref+" "+s.Target)
	}
	return out
}

// tellAll reports ends until there is nothing left to be told, and returns in how many operations.
func (k *kit) tellAll() (operations int) {
	k.Helper()
	for {
		_, more, err := k.s.TellEnds(k.ctx)
		k.ok(err)
		if !more {
			return operations
		}
		operations++
	}
}

var subscribeTests = []test{
	{"reports an end, once, to each that awaits it", func(k *kit) {
		for _, id := range []string{"r", "a", "b"} {
			k.park(id)
		}
		k.apply(k.begin("c", subscribe("1", "r"))) // with the transition that creates it
		k.does("a", subscribe("1", "r"), subscribe("2", "r"))
		k.does("b", subscribe("1.1", "r"))
		k.same("told early", k.told("a"), []string{})
		k.ends("r", store.Completed, "result")
		k.same("told", k.told("a"), []string{"awaited_completed 1 of flow run r result", "awaited_completed 2 of flow run r result"})
		k.same("told", k.told("b"), []string{"awaited_completed 1.1 of flow run r result"})
		k.same("told", k.told("c"), []string{"awaited_completed 1 of flow run r result"})
		k.claims(k.claim("w2", 10), "a", "b", "c")
		k.same("left to be told", k.tellAll(), 0)
		k.same("told", len(k.told("a")), 2)
	}},
	{"lists the runs that await one, once each", func(k *kit) {
		for _, id := range []string{"r", "other", "a", "b", "c"} {
			k.park(id)
		}
		k.does("a", subscribe("1", "r"), subscribe("2", "r"), subscribe("3", "other"))
		k.does("b", subscribe("1", "r"))
		k.does("c", subscribe("1", "r"), subscribe("2", "other"))
		k.does("b", subscribe("2", "a"))
		list := func(f store.Filter) []string {
			runs, err := k.s.Runs(k.ctx, f)
			k.ok(err)
			return ids(runs)
		}
		k.same("awaiting r", list(store.Filter{Awaits: "r"}), []string{"c", "b", "a"})
		k.same("awaiting r", list(store.Filter{Awaits: "r", Limit: 1}), []string{"c"})
		k.same("awaiting r", list(store.Filter{Awaits: "r", Before: store.RunCursor{ID: "c", CreatedAt: k.load("c").Run.CreatedAt}}), []string{"b", "a"})
		k.same("awaiting r", list(store.Filter{Awaits: "r", Prefix: "b"}), []string{"b"})
		k.same("awaiting r", list(store.Filter{Awaits: "r", Status: store.Waiting, Workflow: "flow", Open: true}), []string{"c", "b", "a"})
		k.same("awaiting r", list(store.Filter{Awaits: "r", Status: store.Failed}), []string{})
		k.same("awaiting none", list(store.Filter{Awaits: "none"}), []string{})
		k.does("a", unsubscribe("1"))
		k.does("b", unsubscribe("1"))
		k.same("awaiting r", list(store.Filter{Awaits: "r"}), []string{"c", "a"})
		k.ends("r", store.Completed, "result")
		k.same("awaiting r", list(store.Filter{Awaits: "r"}), []string{})
		k.same("awaiting other", list(store.Filter{Awaits: "other"}), []string{"c", "a"})
		k.same("awaiting a", list(store.Filter{Awaits: "a"}), []string{"b"})
	}},
	{"reports each kind of end", func(k *kit) {
		for _, id := range []string{"failed", "canceled", "terminated", "s"} {
			k.park(id)
		}
		k.does("s", subscribe("1", "failed"), subscribe("2", "canceled"), subscribe("3", "terminated"))
		k.ends("failed", store.Failed, "f")
		k.ends("canceled", store.Canceled, "c")
		k.ok(k.s.Terminate(k.ctx, "terminated", store.Event{At: k.now(), Kind: store.RunCanceled, Data: []byte("t")}))
		k.same("told", k.told("s"), []string{
			"awaited_failed 1 of flow run failed f", "awaited_failed 2 of flow run canceled c", "awaited_failed 3 of flow run terminated t",
		})
	}},
	{"reports an end that was before at once", func(k *kit) {
		k.park("r")
		k.ends("r", store.Completed, "result")
		k.park("failed")
		k.ends("failed", store.Failed, "why")
		k.apply(k.begin("s", subscribe("1", "r"), subscribe("2", "failed")))
		k.same("told", k.told("s"), []string{"awaited_completed 1 of flow run r result", "awaited_failed 2 of flow run failed why"})
		k.claims(k.claim("w2", 10), "s")
		k.same("subscriptions", k.subscriptions("s"), []string{})
	}},
	{"refuses a run that is not there", func(k *kit) {
		k.apply(k.begin("s", subscribe("1", "none")))
		k.same("told", k.told("s"), []string{"await_refused 1 run none "})
		k.park("none")
		k.ends("none", store.Completed, "")
		k.same("told", len(k.told("s")), 1)
	}},
	{"refuses cycles of any length, and says which runs they have", func(k *kit) {
		for _, id := range []string{"a", "b", "c", "d", "e"} {
			k.park(id)
		}
		refused := func(id, ref string) []string {
			k.Helper()
			m := k.load(id).Mail
			if len(m) == 0 || m[len(m)-1].Kind != store.AwaitRefused || m[len(m)-1].Ref != ref {
				k.Fatalf("mail of %s is %+v", id, m)
			}
			var cycle []string
			k.ok(json.Unmarshal(m[len(m)-1].Data, &cycle))
			return cycle
		}
		k.does("a", subscribe("1", "a"))
		k.same("itself", refused("a", "1 run a"), []string{"a"})
		k.does("a", subscribe("2", "b"), subscribe("3", "e"))
		k.does("b", subscribe("1", "a"))
		k.same("two", refused("b", "1 run a"), []string{"a", "b"})
		k.does("b", subscribe("2", "c"))
		k.does("c", subscribe("1", "e"), subscribe("2", "d"))
		k.does("d", subscribe("1", "e"), subscribe("2", "a"))
		k.same("four", refused("d", "2 run a"), []string{"a", "b", "c", "d"})
		k.same("subscriptions", k.subscriptions("d"), []string{"1 e"})
		k.does("b", unsubscribe("2"))
		k.does("d", subscribe("3", "a"))
		k.same("without a cycle", k.subscriptions("d"), []string{"1 e", "3 a"})
	}},
	{"changes nothing if it is repeated", func(k *kit) {
		k.park("r")
		k.park("other")
		k.park("s")
		for range 2 {
			k.does("s", subscribe("1", "r"))
		}
		k.same("subscriptions", k.subscriptions("s"), []string{"1 r"})
		k.does("s", subscribe("1", "other"))
		k.same("subscriptions", k.subscriptions("s"), []string{"1 other"})
		k.ends("r", store.Completed, "1")
		k.ends("other", store.Completed, "2")
		k.same("told", k.told("s"), []string{"awaited_completed 1 of flow run other 2"})
	}},
	{"tells nothing to a run that has unsubscribed", func(k *kit) {
		k.park("r")
		k.park("s")
		k.does("s", subscribe("1", "r"), subscribe("2", "r"), subscribe("3", "r"))
		k.does("s", unsubscribe("2"), unsubscribe("7"))
		k.same("subscriptions", k.subscriptions("s"), []string{"1 r", "3 r"})
		k.does("s", unsubscribe(""))
		k.ends("r", store.Completed, "")
		k.same("told", k.told("s"), []string{})
	}},
	{"does not take a restart for an end", func(k *kit) {
		k.park("r")
		k.park("s")
		k.does("s", subscribe("1", "r"))
		k.apply(k.restarts("again"))
		k.same("told after a restart", k.told("s"), []string{})
		k.ends("r", store.Completed, "result")
		k.same("told", k.told("s"), []string{"awaited_completed 1 of flow run r result"})
	}},
	{"reports a failure once, and the end after a retry to those that ask then", func(k *kit) {
		k.park("r")
		k.park("s")
		k.does("s", subscribe("1", "r"))
		k.ends("r", store.Failed, "why")
		_, err := k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 2, From: 2})
		k.ok(err)
		k.does("s", subscribe("2", "r"))
		k.ends("r", store.Completed, "result")
		k.same("told", k.told("s"), []string{"awaited_failed 1 of flow run r why", "awaited_completed 2 of flow run r result"})
	}},
	{"keeps for a retry what comes after a run has failed", func(k *kit) {
		for _, id := range []string{"t", "u", "r"} {
			k.park(id)
		}
		k.does("r", subscribe("1", "t"), subscribe("2", "u"))
		k.fail()
		k.ends("t", store.Completed, "result")
		k.same("unread", k.mailbox("r"), []string{})
		_, err := k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 2, From: 2})
		k.ok(err)
		k.same("mail", k.mail("r"), []string{"awaited_completed", "retried"})
		k.ends("u", store.Failed, "")
		k.same("mail", k.mail("r"), []string{"awaited_completed", "retried", "awaited_failed"})
	}},
	{"drops what comes after a run has ended for good", func(k *kit) {
		for _, id := range []string{"t", "u", "s"} {
			k.park(id)
		}
		k.does("s", subscribe("1", "t"))
		k.apply(k.then("s", store.Completed, store.RunCompleted))
		k.ends("t", store.Completed, "")
		k.same("mail", k.mail("s"), []string{})
		k.park("r")
		k.does("u", subscribe("1", "r"))
		k.ok(k.s.Terminate(k.ctx, "u", store.Event{At: k.now(), Kind: store.RunCanceled}))
		k.same("subscriptions", k.subscriptions("u"), []string{})
	}},
	{"tells the rest afterwards, if there are too many for one commit", func(k *kit) {
		k.park("r")
		const n = store.TellAtOnce + 5
		k.all(n, func(i int) {
			_, err := k.s.Apply(k.ctx, k.begin(fmt.Sprint("s", i), subscribe("1", "r")))
			k.check(err)
		})
		told := func() int {
			k.Helper()
			var all atomic.Int64
			k.all(n, func(i int) {
				l, err := k.s.Load(k.ctx, fmt.Sprint("s", i), 0)
				k.check(err)
				all.Add(int64(len(l.Mail)))
				if len(l.Mail) > 1 {
					k.Errorf("s%d was told %d times", i, len(l.Mail))
				}
			})
			return int(all.Load())
		}
		signals := make(chan store.Signal, 10000)
		defer k.s.Watch(func(s store.Signal) { signals <- s })()
		k.ends("r", store.Completed, "result")
		k.signal(signals, func(s store.Signal) bool { return has(s.Untold, "r") })
		k.same("told in the commit", told(), store.TellAtOnce)
		_, more := k.prune(k.now().Add(time.Minute), 10)
		k.same("more to prune", more, false)
		k.same("what TellEnds needs is there", k.there("r"), []string{"r"})
		// Somebody else goes on.
		other := k.h.Open(k.T)
		rest, more, err := other.TellEnds(k.ctx)
		k.ok(err)
		k.same("told by somebody else", rest, n-store.TellAtOnce)
		k.same("more", more, true)
		k.same("told", told(), n)
		k.same("left to be told", k.tellAll(), 0)
		pruned, _ := k.prune(k.now().Add(time.Minute), 10)
		k.same("pruned", pruned, 1)
	}},
	{"has no more in one commit than some bytes, but one", func(k *kit) {
		k.park("r")
		for i := range 3 {
			k.apply(k.begin(fmt.Sprint("s", i), subscribe("1", "r")))
		}
		k.ends("r", store.Completed, string(bytes.Repeat([]byte("x"), store.TellBytes+1)))
		k.same("told", []int{len(k.told("s0")), len(k.told("s1")), len(k.told("s2"))}, []int{1, 0, 0})
		k.same("operations", k.tellAll(), 2)
		k.same("told", []int{len(k.told("s0")), len(k.told("s1")), len(k.told("s2"))}, []int{1, 1, 1})
	}},
	{"lets a retry make the rest wait for the next end", func(k *kit) {
		k.park("r")
		for i := range 2 {
			k.apply(k.begin(fmt.Sprint("s", i), subscribe("1", "r")))
		}
		k.ends("r", store.Failed, string(bytes.Repeat([]byte("x"), store.TellBytes)))
		_, err := k.s.Retry(k.ctx, store.Cut{RunID: "r", Events: 2, From: 2})
		k.ok(err)
		k.same("left to be told", k.tellAll(), 0)
		k.ends("r", store.Completed, "result")
		k.same("told", []any{len(k.told("s0")), k.told("s1")}, []any{1, []string{"awaited_completed 1 of flow run r result"}})
	}},
	{"goes with the run that awaits", func(k *kit) {
		k.park("r")
		k.apply(k.begin("s", subscribe("1", "r")))
		t := k.then("s", store.Failed, store.RunFailed)
		t.At = k.now().Add(-time.Hour)
		k.apply(t)
		pruned, _ := k.prune(k.now(), 10)
		k.same("pruned", pruned, 1)
		k.park("s") // another one of that ID
		k.ends("r", store.Completed, "")
		k.same("told", k.told("s"), []string{})
	}},
	{"is archived, and told about what comes with it, or later", func(k *kit) {
		a := k.archiver()
		for _, id := range []string{"t", "u", "v"} {
			k.park(id)
		}
		k.apply(k.begin("s", subscribe("1", "t"), subscribe("2", "u"), subscribe("3", "v")))
		s := renamed(k.export("s"), "copy")
		for i, target := range []string{"t2", "u", "v2"} {
			s.Subscriptions[i] = store.Subscription{RunID: "copy", Ref: s.Subscriptions[i].Ref, Target: target}
		}
		k.ends("u", store.Completed, "u")
		k.ends("v", store.Completed, "v")
		_, err := a.Import(k.ctx, []store.Archive{s, renamed(k.export("v"), "v2")})
		k.ok(err)
		k.same("told", k.told("copy"), []string{"awaited_completed 2 of flow run u u", "awaited_completed 3 of flow run v2 v"})
		k.same("subscriptions", k.subscriptions("copy"), []string{"1 t2"})
		_, err = a.Import(k.ctx, []store.Archive{renamed(k.export("t"), "t2")})
		k.ok(err)
		k.ends("t2", store.Completed, "t")
		k.same("told", len(k.told("copy")), 3)
	}},
	{"is told by a transaction of the application that terminates a run", func(k *kit) {
		if k.h.Begin == nil {
			k.Skip("the store joins no transactions")
		}
		k.park("r")
		k.apply(k.begin("s", subscribe("1", "r")))
		j := k.within()
		k.ok(j.Terminate(k.ctx, "r", store.Event{At: k.now(), Kind: store.RunCanceled, Data: []byte("why")}))
		j.rollback()
		k.same("told", k.told("s"), []string{})
		j = k.within()
		k.ok(j.Terminate(k.ctx, "r", store.Event{At: k.now(), Kind: store.RunCanceled, Data: []byte("why")}))
		j.commit()
		k.same("told", k.told("s"), []string{"awaited_failed 1 of flow run r why"})
	}},
	{"is told once by each of many that end at once", func(k *kit) {
		k.park("s")
		var effects []store.Effect
		var want []string
		for i := range crowd {
			id := fmt.Sprintf("r%02d", i)
			k.park(id)
			effects = append(effects, subscribe(fmt.Sprint(i), id))
			want = append(want, fmt.Sprintf("awaited_completed %d of flow run %s d", i, id))
		}
		k.does("s", effects...)
		k.all(crowd, func(i int) {
			t := k.then(fmt.Sprintf("r%02d", i), store.Completed)
			t.Events = []store.Event{{At: t.At, Kind: store.RunCompleted, Data: []byte("d")}}
			_, err := k.s.Apply(k.ctx, t)
			k.check(err)
		})
		k.tellAll() // the run may have been in use
		got := k.told("s")
		slices.Sort(got)
		slices.Sort(want)
		k.same("told", got, want)
	}},
	{"comes before the end of the run or after it", func(k *kit) {
		k.park("r")
		for i := range crowd {
			k.park(fmt.Sprintf("s%02d", i))
		}
		k.all(crowd+1, func(i int) {
			id, t := "r", new(store.Transition)
			if i < crowd {
				id = fmt.Sprintf("s%02d", i)
				t = k.then(id, store.Waiting)
				t.Effects = []store.Effect{subscribe("1", "r")}
			} else {
				t = k.then(id, store.Completed)
				t.Events = []store.Event{{At: t.At, Kind: store.RunCompleted, Data: []byte("d")}}
			}
			_, err := k.s.Apply(k.ctx, t)
			k.check(err)
		})
		k.tellAll()
		for i := range crowd {
			k.same("told", k.told(fmt.Sprintf("s%02d", i)), []string{"awaited_completed 1 of flow run r d"})
		}
	}},
	{"closes no cycle when all subscribe at once", func(k *kit) {
		other := k.h.Open(k.T)
		const ring = 6
		for round := range 20 {
			id := func(i int) string { return fmt.Sprintf("%d-%d", round, i%ring) }
			for i := range ring {
				k.park(id(i))
			}
			k.all(ring, func(i int) {
				s := k.s
				if i%2 == 1 {
					s = other
				}
				t := k.then(id(i), store.Waiting)
				t.Effects = []store.Effect{subscribe("1", id(i+1))}
				_, err := s.Apply(k.ctx, t)
				k.check(err)
			})
			refused := 0
			for i := range ring {
				if m := k.told(id(i)); len(m) > 0 {
					refused++
				}
			}
			k.same("refused", refused, 1)
		}
	}},
}

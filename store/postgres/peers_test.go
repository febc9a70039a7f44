package postgres

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
)

// signals collects what a store says.
func signals(t *testing.T, s *Store) <-chan store.Signal {
	c := make(chan store.Signal, 1000)
	t.Cleanup(s.Watch(func(sig store.Signal) {
		select {
		case c <- sig:
		default:
			t.Error("too many signals")
		}
	}))
	return c
}

// until waits for a signal.
func until(t *testing.T, c <-chan store.Signal, want func(store.Signal) bool) {
	t.Helper()
	deadline := time.After(5 * time.Minute)
	for {
		select {
		case sig := <-c:
			if want(sig) {
				return
			}
		case <-deadline:
			t.Fatal("the signal did not come")
		}
	}
}

// listening opens stores that hear notifications, and hear of nothing else.
func listening(t *testing.T, url string) *Store {
	t.Helper()
	s := open(t, url, Options{Poll: never})
	for {
		s.peers.mu.Lock()
		done := s.peers.listening
		s.peers.mu.Unlock()
		if done {
			return s
		}
		wait(time.Millisecond)
	}
}

func all(sig store.Signal) bool { return sig.All }

func mailOf(run string) func(store.Signal) bool {
	return func(sig store.Signal) bool { return slices.Contains(sig.Mail, run) }
}

// never is a poll that does not come while a test lasts.
const never = time.Hour

func TestOthersAreToldWhatWasCommitted(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	a, b := listening(t, url), listening(t, url)
	heard := signals(t, b)
	if err := a.Start(t.Context(), newRun("r")); err != nil {
		t.Fatal(err)
	}
	until(t, heard, mailOf("r"))
	if err := a.Terminate(t.Context(), "r", store.Event{At: a.Now(), Kind: store.RunCanceled}); err != nil {
		t.Fatal(err)
	}
	until(t, heard, func(sig store.Signal) bool { return slices.Contains(sig.Ended, "r") })
	defer b.Await()()
	until(t, heard, all)
	// More than fits into one notification.
	for range 5 {
		for range 200 {
			go func() {
				_ = a.Respond(t.Context(), store.Response{Request: "q", RunID: "r", Responder: "x", At: a.Now(), KeepUntil: a.Now()})
			}()
		}
	}
	until(t, heard, func(sig store.Signal) bool { return slices.Contains(sig.Responded, "q") })
}

func TestAListenerThatIsCutOffListensAgain(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	a, b := listening(t, url), listening(t, url)
	heard := signals(t, b)
	if err := a.Start(t.Context(), newRun("r1")); err != nil {
		t.Fatal(err)
	}
	until(t, heard, mailOf("r1"))
	execute(t, url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'")
	until(t, heard, func(sig store.Signal) bool { return sig.All }) // it may have missed something
	if err := a.Start(t.Context(), newRun("r2")); err != nil {
		t.Fatal(err)
	}
	until(t, heard, func(sig store.Signal) bool { return sig.All || mailOf("r2")(sig) })
}

func TestWhoCannotListenLooks(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	a := listening(t, url)
	deaf := open(t, url, Options{ListenURL: "postgres://127.0.0.1:1/x", Poll: 10 * time.Millisecond})
	heard := signals(t, deaf)
	if err := a.Start(t.Context(), newRun("r")); err != nil {
		t.Fatal(err)
	}
	until(t, heard, func(sig store.Signal) bool { return sig.All })
	// Nor does it know that others listen, so it tells them all.
	told := signals(t, a)
	if err := deaf.Start(t.Context(), newRun("r2")); err != nil {
		t.Fatal(err)
	}
	until(t, told, mailOf("r2"))
}

func TestNobodyIsToldWhereNobodyListens(t *testing.T) {
	t.Parallel()
	p := &peers{listening: true, since: time.Now().Add(-2 * heartbeat), seen: map[string]peer{"gone": {heard: time.Now().Add(-4 * heartbeat), awaits: true}}}
	if listens, awaits := p.audience(); listens || awaits {
		t.Error("a process that was not heard for long counts as one that listens")
	}
	p.seen["there"] = peer{heard: time.Now()}
	if listens, awaits := p.audience(); !listens || awaits {
		t.Error("a process that listens, and awaits nothing, is not counted as that")
	}
	p.seen["waiting"] = peer{heard: time.Now(), awaits: true}
	if listens, awaits := p.audience(); !listens || !awaits {
		t.Error("a process that awaits is not counted")
	}
	p.listening = false
	p.seen = nil
	if listens, awaits := p.audience(); !listens || !awaits {
		t.Error("who cannot listen does not know that nobody does")
	}
}

// What ends is told to others while one of them awaits that; what ended before they knew
// is found by looking at everything.
func TestWhoAwaitsIsToldWhatEnds(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	a, b := listening(t, url), listening(t, url)
	knowing(t, a, b)
	a.peers.mu.Lock()
	a.peers.since = a.peers.since.Add(-time.Second) // it has listened for long enough to know
	a.peers.mu.Unlock()
	heard := signals(t, b)
	end := func(run string) {
		t.Helper()
		create := newRun(run)
		_, err := a.Apply(t.Context(), &store.Transition{
			RunID: run, Worker: "w", Epoch: 1, Create: &create, At: a.Now(), Status: store.Completed,
			Events: []store.Event{{At: a.Now(), Kind: store.Started}, {At: a.Now(), Kind: store.RunCompleted}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	end("r1")
	if err := a.Start(t.Context(), newRun("mail")); err != nil {
		t.Fatal(err)
	}
	until(t, heard, func(sig store.Signal) bool {
		if len(sig.Ended) > 0 {
			t.Error("nobody awaits it, and it is told all the same")
		}
		return mailOf("mail")(sig)
	})
	done := b.Await()
	until(t, heard, all)
	end("r2")
	until(t, heard, func(sig store.Signal) bool { return slices.Contains(sig.Ended, "r2") })
	done()
	done()
	if b.peers.awaiting != 0 {
		t.Error("who has done with it awaits all the same")
	}
}

// knowing returns when stores know of each other.
func knowing(t *testing.T, all ...*Store) {
	t.Helper()
	for _, s := range all {
		for {
			s.peers.mu.Lock()
			n := len(s.peers.seen)
			s.peers.mu.Unlock()
			if n >= len(all)-1 {
				break
			}
			wait(time.Millisecond)
		}
	}
}

// place is that of a process in the order of the workers for the only runs of a notification.
func place(p *peers, n *notice) turn { return p.turns(n)[0] }

// Workers that claim the same runs agree on an order for each notification.
func TestWorkersTakeTurns(t *testing.T) {
	t.Parallel()
	defs := []store.Definition{{Workflow: "v", Version: 1}, {Workflow: "w", Version: 1}}
	lease := store.Lease{Worker: "worker", For: time.Minute, Definitions: defs}
	turned := lease
	turned.Definitions = []store.Definition{defs[1], defs[0]}
	workers := map[string]*peers{}
	for i, id := range []string{"a", "b", "c"} {
		p := newPeers(&Store{}, nil)
		p.id = id
		p.claim([]store.Lease{lease, turned}[i%2])
		workers[id] = p
	}
	on := workers["a"].claimsDigest()
	others := map[string]peer{"api": {heard: time.Now()}, "gone": {heard: time.Now().Add(-4 * heartbeat), claims: on}}
	for id, p := range workers {
		p.seen = maps.Clone(others)
		for other, o := range workers {
			if other != id {
				p.seen[other] = peer{heard: time.Now(), claims: o.claimsDigest()}
			}
		}
	}
	mail := func(i int) *notice { return &notice{From: "api", Mail: []string{fmt.Sprint("run ", i)}} }
	firsts := map[string]int{}
	for i := range 300 {
		places := map[int]string{}
		named := map[string]string{}
		for id, p := range workers {
			at := place(p, mail(i))
			places[at.before], named[id] = id, at.first
		}
		if len(places) != 3 || named[places[0]] != "" || named[places[1]] != places[0] || named[places[2]] != places[0] {
			t.Fatalf("run %d: the order is %v, and the first ones are %v", i, places, named)
		}
		firsts[places[0]]++
	}
	for id, n := range firsts {
		if n < 60 || n > 140 {
			t.Errorf("%s is first %d times of 300", id, n)
		}
	}
	if at := place(workers["b"], &notice{From: "a", Mail: []string{"run"}}); at.first != "a" {
		t.Errorf("%q comes before the worker that has sent the notification", at.first)
	}
	if at := workers["a"].turns(&notice{From: "api", Ended: []string{"run"}}); len(at) > 0 {
		t.Errorf("there is nothing to claim, and there are turns: %v", at)
	}

	alone := newPeers(&Store{}, nil)
	yielded := func() (n int) {
		for i := range 100 {
			if place(alone, mail(i)).before > 0 {
				n++
			}
		}
		return n
	}
	alone.seen = maps.Clone(others)
	alone.claim(lease)
	if yielded() > 0 {
		t.Error("nobody else would claim it, and it is yielded")
	}
	alone.seen["a"] = peer{heard: time.Now(), claims: on}
	if yielded() == 0 {
		t.Error("nothing is yielded to another worker")
	}
	if place(alone, mail(0)).mixed {
		t.Error("all claim the same, and runs may be for others")
	}
	alone.seen["other"] = peer{heard: time.Now(), claims: "of another kind"}
	if !place(alone, mail(0)).mixed {
		t.Error("another worker claims other runs, and all are for this one")
	}
	delete(alone.seen, "other")
	alone.claim(store.Lease{Worker: "another", For: time.Minute, Definitions: defs[:1]})
	if yielded() > 0 || !place(alone, mail(0)).mixed {
		t.Error("what is not clear is yielded")
	}
	alone.claimNothing("another")
	alone.claim(store.Lease{Worker: "lapsed", For: -time.Second, Definitions: defs[:1]})
	if yielded() == 0 {
		t.Error("one that has gone, or lapsed, counts")
	}
	alone.claimNothing("worker")
	if yielded() > 0 {
		t.Error("a process that claims nothing yields")
	}
}

// A run that has mail again and again goes to the same worker, whatever comes with it.
func TestRunsStickToAWorker(t *testing.T) {
	t.Parallel()
	workers := map[string]*peers{}
	for _, id := range []string{"a", "b", "c"} {
		p := newPeers(&Store{}, nil)
		p.id = id
		p.claim(store.Lease{Worker: "worker", For: time.Minute, Definitions: []store.Definition{{Workflow: "w", Version: 1}}})
		workers[id] = p
	}
	for id, p := range workers {
		for other, o := range workers {
			if other != id {
				p.seen[other] = peer{heard: time.Now(), claims: o.claimsDigest()}
			}
		}
	}
	api := newPeers(&Store{}, nil)
	// firsts returns which worker comes first for each run, and checks that each worker is told once.
	firsts := func(sig store.Signal) map[string]string {
		first := map[string]string{}
		for _, n := range api.notices(sig) {
			for id, p := range workers {
				told := map[string]bool{}
				for _, at := range p.turns(&n) {
					for _, run := range at.mail {
						if told[run] {
							t.Errorf("%s is told twice that %s has mail", id, run)
						}
						if told[run] = true; at.before == 0 {
							if first[run] != "" {
								t.Errorf("%s and %s come first for %s", first[run], id, run)
							}
							first[run] = id
						}
					}
				}
				if len(told) != len(n.Mail) {
					t.Errorf("%s hears about %d runs of %d", id, len(told), len(n.Mail))
				}
			}
		}
		return first
	}
	var together store.Signal
	for i := range 300 {
		together.Mail = append(together.Mail, fmt.Sprint("run ", i))
	}
	firsts(together)
	alone := map[string]string{}
	for _, run := range together.Mail {
		maps.Copy(alone, firsts(store.Signal{Mail: []string{run}}))
	}
	for i := range 300 {
		together.Mail = append(together.Mail, fmt.Sprint("new ", i))
	}
	all := firsts(together)
	share := map[string]int{}
	for run, first := range alone {
		if all[run] != first {
			t.Errorf("%s goes to %s, and with others to %s", run, first, all[run])
		}
		share[first]++
	}
	for id := range workers {
		if share[id] < 60 {
			t.Errorf("%s has %d runs of %d", id, share[id], len(alone))
		}
	}
	if len(all) != 600 {
		t.Errorf("%d runs of 600 have a worker", len(all))
	}
}

// A worker that does not claim what it was to is left out until it claims something.
func TestLateWorkersAreLeftOut(t *testing.T) {
	t.Parallel()
	p := newPeers(&Store{}, nil)
	p.claim(store.Lease{Worker: "worker", For: time.Minute, Definitions: []store.Definition{{Workflow: "w", Version: 1}}})
	there := peer{heard: time.Now(), claims: p.claimsDigest()}
	p.seen["other"] = there
	left := func() string { // a run that the other is to claim
		for i := range 100 {
			run := fmt.Sprint("run ", i)
			if place(p, &notice{From: "api", Mail: []string{run}}).first == "other" {
				return run
			}
		}
		return ""
	}
	run := left()
	p.claimed([]string{run}, nil) // it has claimed it
	if left() == "" {
		t.Error("a worker that claims its runs is left out")
	}
	run = left()
	p.claimed([]string{run}, []store.Run{{ID: run}})
	if run := left(); run != "" || !slices.Equal(p.lateOnes, []string{"other"}) {
		t.Errorf("%q is left to a worker that was late, and the others hear of %v", run, p.lateOnes)
	}
	p.seen["other"] = there // it says that it claims
	if left() == "" {
		t.Error("nothing is left to a worker that claims again")
	}

	p.isLate([]string{p.id}) // now it is this one that was late
	for i := range 100 {
		if place(p, &notice{From: "api", Mail: []string{fmt.Sprint("run ", i)}}).before == 0 {
			t.Fatal("a worker that was late comes first")
		}
	}
	p.claimedOne()
	if p.late || !p.unannounced {
		t.Error("a worker that claims again does not say so")
	}
}

// Runs that a process names one after the other have the same worker, as long as they are few and
// come soon.
func TestTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPeers(&Store{}, nil)
		sizes := func(runs int) (all []int) {
			var sig store.Signal
			for i := range runs {
				sig.Mail = append(sig.Mail, fmt.Sprint(time.Now().UnixNano(), " ", i))
			}
			for _, n := range p.notices(sig) {
				all = append(all, len(n.Mail))
			}
			return all
		}
		turn := func() string { return p.sending.turn }
		if got := sizes(2*maxTurn + 6); !slices.Equal(got, []int{maxTurn, maxTurn, 6}) {
			t.Errorf("notices of %v runs", got)
		}
		first := turn()
		if sizes(1); turn() != first {
			t.Error("another worker is to claim the next run")
		}
		<-time.After(turnTime) // fake time
		if sizes(1); turn() == first {
			t.Error("the same worker is to claim a run that comes later")
		}
	})
}

// Workers learn from each other what they claim.
func TestWorkersYield(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	api, a, b := listening(t, url), listening(t, url), listening(t, url)
	workers := []*Store{a, b}
	for _, s := range workers {
		if err := s.Renew(t.Context(), store.Lease{Worker: s.peers.id, For: time.Minute, Definitions: []store.Definition{{Workflow: "w", Version: 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range workers {
		other := workers[1-i].peers
		for known := false; !known; wait(time.Millisecond) {
			s.peers.mu.Lock()
			known = s.peers.seen[other.id].claims != "" && s.peers.seen[other.id].claims == s.peers.claimsDigest()
			s.peers.mu.Unlock()
		}
	}
	heard := []<-chan store.Signal{signals(t, a), signals(t, b)}
	yield := 0
	for i := range 8 {
		run := fmt.Sprint("r", i)
		if err := api.Start(t.Context(), newRun(run)); err != nil {
			t.Fatal(err)
		}
		for _, c := range heard {
			until(t, c, func(sig store.Signal) bool {
				if mailOf(run)(sig) && sig.Yield > 0 {
					yield++
				}
				return mailOf(run)(sig)
			})
		}
	}
	if yield != 8 {
		t.Errorf("of 8 runs %d were yielded by a worker, want each by one", yield)
	}
}

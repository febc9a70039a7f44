package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// one takes one payload and returns it.
var one = workflow.Define("one", func(ctx workflow.Context, _ string) (int, error) {
	hook, err := workflow.NewHook[int](ctx, workflow.Token("line"))
	if err != nil {
		return 0, err
	}
	return hook.Wait(ctx)
})

// sendInts sends the numbers 1 to n to the token "line".
func sendInts(l *lab, c workflow.Client, n int) {
	l.Helper()
	for i := 1; i <= n; i++ {
		if _, err := workflow.Resume(l.Context(), c, "line", i); err != nil {
			l.Fatal(err)
		}
	}
}

// kinds counts the events of a kind in a journal.
func kinds(journal []string, kind string) int {
	n := 0
	for _, line := range journal {
		if strings.HasPrefix(line, kind) {
			n++
		}
	}
	return n
}

// Of n payloads to a workflow that takes one, each has its run, in order, and each journal
// has the four events of such a run, however many payloads wait.
func TestBacklogOfSuccessorsIsProportional(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3, 40, 300} {
		inLab(t, func(_ *testing.T, l *lab) {
			c := l.client()
			for i := 1; i <= n; i++ {
				if _, err := workflow.Resume(l.Context(), c, "line", i, workflow.OrStart(one, "", workflow.RunID("r"+strconv.Itoa(i)))); err != nil {
					l.Fatal(err)
				}
			}
			l.run(engine.Options{}, one)
			l.advance(time.Minute)
			for i := 1; i <= n; i++ {
				id := "r" + strconv.Itoa(i)
				if got := mustResult(l, one.Get(l.eng, id)); got != i {
					l.Errorf("run %s took payload %d", id, got)
				}
				journal := l.journal(id)
				want := []string{"started", "hook_claimed 1", "payload_received " + id + ".h0", "completed"}
				if i == 1 { // it was in its mailbox before the hook was open
					want[1], want[2] = want[2], want[1]
				}
				if d := cmp.Diff(want, journal); d != "" {
					l.Errorf("%d payloads: journal of %s (-want +got):\n%s", n, id, d)
				}
			}
		})
	}
}

// What the code has not asked for is not in the journal, but for the first.
func TestBacklogStaysOutOfTheJournal(t *testing.T) {
	t.Parallel()
	go1 := make(chan struct{})
	busy := workflow.Define("busy", func(ctx workflow.Context, take int) ([]int, error) {
		hook, err := workflow.NewHook[int](ctx, workflow.Token("line"))
		if err != nil {
			return nil, err
		}
		if err := workflow.Do(ctx, "work", func(context.Context) error { <-go1; return nil }); err != nil {
			return nil, err
		}
		var got []int
		for range take {
			v, err := hook.Wait(ctx)
			if err != nil {
				return nil, err
			}
			got = append(got, v)
		}
		return got, nil
	})
	for _, live := range []bool{true, false} { // through the worker, and through the mailbox
		inLab(t, func(_ *testing.T, l *lab) {
			go1 = make(chan struct{})
			l.run(engine.Options{}, busy)
			r := mustStart(l, busy, 3)
			var c workflow.Client = l.eng
			if !live {
				c = l.client()
			}
			sendInts(l, c, 50)
			synctest.Wait()
			if n := kinds(l.journal(r.ID()), "payload_received"); n != 1 {
				l.Errorf("the journal has %d payloads while nobody asks, want 1", n)
			}
			mail, err := l.eng.Mailbox(l.Context(), r.ID())
			if err != nil || len(mail) != 49 {
				l.Errorf("the mailbox has %d payloads, %v; want 49", len(mail), err)
			}
			close(go1)
			if got := mustResult(l, r); !slices.Equal(got, []int{1, 2, 3}) {
				l.Errorf("it took %v", got)
			}
			if n := kinds(l.journal(r.ID()), "payload_received"); n != 3 {
				l.Errorf("the journal has %d payloads of 3 that were taken", n)
			}
			mail, err = l.eng.Mailbox(l.Context(), r.ID())
			if err != nil || len(mail) != 47 || string(mail[0].Data) != "4" || string(mail[46].Data) != "50" {
				l.Errorf("%d payloads are unread, %v; want 4 to 50", len(mail), err)
			}
		})
	}
}

// taken runs a workflow that is busy until all payloads are there, and returns its result,
// which has to be the same live, evicted whenever it parks, and after a crash.
func taken(t *testing.T, n int, f func(ctx workflow.Context, hook *workflow.Hook[int]) (string, error), want string) {
	t.Helper()
	def := workflow.Define("taken", func(ctx workflow.Context, _ string) (string, error) {
		hook, err := workflow.NewHook[int](ctx, workflow.Token("line"))
		if err != nil {
			return "", err
		}
		if err := workflow.Sleep(ctx, time.Hour); err != nil {
			return "", err
		}
		return f(ctx, hook)
	})
	for name, opts := range map[string]engine.Options{"cached": {}, "evicted": {CacheSize: noCache}, "killed": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(_ *testing.T, l *lab) {
				l.run(opts, def)
				r := mustStart(l, def, "")
				sendInts(l, l.client(), n)
				if name == "killed" {
					l.kill()
					l.advance(time.Hour)
					l.run(opts, def)
				}
				l.advance(2 * time.Hour)
				if got := mustResult(l, def.Get(l.eng, r.ID())); got != want {
					l.Errorf("it returned %q, want %q\n%s", got, want, strings.Join(l.journal(r.ID()), "\n"))
				}
			})
		})
	}
}

// A poll finds all that had been accepted, as if it were in the journal.
func TestPollFindsTheBacklog(t *testing.T) {
	t.Parallel()
	var want strings.Builder
	for i := range 600 {
		fmt.Fprint(&want, i+1, " ")
	}
	taken(t, 600, func(ctx workflow.Context, hook *workflow.Hook[int]) (string, error) {
		var got strings.Builder
		for more := true; more; {
			err := workflow.Select(ctx,
				workflow.OnPayload(hook, func(v int) error { _, err := fmt.Fprint(&got, v, " "); return err }),
				workflow.OnTimer(0, func() error { more = false; return nil }))
			if err != nil {
				return "", err
			}
		}
		return got.String(), nil
	}, want.String())
}

// A closed hook gives all that it had accepted, and then ends.
func TestCloseDeliversTheBacklog(t *testing.T) {
	t.Parallel()
	taken(t, 40, func(ctx workflow.Context, hook *workflow.Hook[int]) (string, error) {
		hook.Close()
		n := 0
		for v, err := range hook.All(ctx) {
			if err != nil {
				return "", err
			}
			if n++; v != n {
				return "", fmt.Errorf("payload %d comes as number %d", v, n)
			}
			if n%10 == 0 {
				if err := workflow.Do(ctx, "work", func(context.Context) error { return nil }); err != nil {
					return "", err
				}
			}
		}
		return strconv.Itoa(n), nil
	}, "40")
}

// A payload that waits comes before a deadline that has not passed yet, and before what is
// ready only later in a Select.
func TestBacklogBeatsDeadlines(t *testing.T) {
	t.Parallel()
	taken(t, 30, func(ctx workflow.Context, hook *workflow.Hook[int]) (string, error) {
		inner, cancel := workflow.WithTimeout(ctx, time.Minute)
		defer cancel()
		n := 0
		for {
			_, err := hook.Wait(inner)
			if err != nil {
				return fmt.Sprint(n, " ", err), nil
			}
			n++
		}
	}, "30 context deadline exceeded")
}

// dying is a store whose process dies at one of its transitions, before it is carried out
// or after.
type dying struct {
	store.Store
	at    int64 // the transition, counted from 1
	after bool
	n     atomic.Int64
}

func (d *dying) dead() bool { return d.n.Load() >= d.at }

func (d *dying) Apply(ctx context.Context, t *store.Transition) ([]store.Outcome, error) {
	if d.dead() {
		return nil, errKilled
	}
	if n := d.n.Add(1); n == d.at && !d.after {
		return nil, errKilled
	}
	outcomes, err := d.Store.Apply(ctx, t)
	if d.dead() {
		return nil, errKilled
	}
	return outcomes, err
}

func (d *dying) Fence(ctx context.Context, runID, worker string, epoch int64) (store.Loaded, error) {
	if d.dead() {
		return store.Loaded{}, errKilled
	}
	return d.Store.Fence(ctx, runID, worker, epoch)
}

func (d *dying) Claim(ctx context.Context, c store.Claim) (store.Claimed, error) {
	if d.dead() {
		return store.Claimed{}, errKilled
	}
	return d.Store.Claim(ctx, c)
}

func (d *dying) Renew(ctx context.Context, l store.Lease) error {
	if d.dead() {
		return errKilled
	}
	return d.Store.Renew(ctx, l)
}

func (d *dying) Release(ctx context.Context, worker string) error {
	if d.dead() {
		return errKilled
	}
	return d.Store.Release(ctx, worker)
}

// Wherever a process dies while runs hand a backlog over, each payload is taken once, in
// order, and what came without OrStart stays with the run that it came for.
func TestKilledAtTheHandOver(t *testing.T) {
	t.Parallel()
	const n = 4
	for at := int64(1); at <= 3*n; at++ {
		for _, after := range []bool{false, true} {
			inLab(t, func(_ *testing.T, l *lab) {
				c := l.client()
				for i := 1; i <= n; i++ {
					if _, err := workflow.Resume(l.Context(), c, "line", i, workflow.OrStart(one, "", workflow.RunID("r"+strconv.Itoa(i)))); err != nil {
						l.Fatal(err)
					}
					if i == 2 {
						sendInts(l, c, 1)
					}
				}
				_, stop := l.runOn(&dying{Store: l.store, at: at, after: after}, engine.Options{}, one)
				l.advance(time.Minute)
				_ = stop() // it is dead, or has nothing to do
				l.run(engine.Options{}, one)
				l.advance(time.Minute)
				for i := 1; i <= n; i++ {
					if got := mustResult(l, one.Get(l.eng, "r"+strconv.Itoa(i))); got != i {
						l.Errorf("killed at %d (after it: %t): run %d took payload %d", at, after, i, got)
					}
					mail, err := l.eng.Mailbox(l.Context(), "r"+strconv.Itoa(i))
					want := 0
					if i == 1 {
						want = 1
					}
					if err != nil || len(mail) != want {
						l.Errorf("killed at %d (after it: %t): %d payloads of run %d are unread, %v; want %d", at, after, len(mail), i, err, want)
					}
				}
			})
		}
	}
}

// What a worker finds in the mailbox at once, some of it from before a timer and some from
// after it, comes to the code as if it had come one after the other; the rest is unread.
func TestBacklogOfOneRound(t *testing.T) {
	t.Parallel()
	const n = 5
	late := workflow.Define("late", func(ctx workflow.Context, take int) (string, error) {
		hook, err := workflow.NewHook[int](ctx, workflow.Token("line"))
		if err != nil {
			return "", err
		}
		if err := workflow.Sleep(ctx, time.Minute); err != nil {
			return "", err
		}
		var got []int
		for range take {
			v, err := hook.Wait(ctx)
			if err != nil {
				return "", err
			}
			got = append(got, v)
		}
		return fmt.Sprint(got), nil
	})
	for take := range n + 1 {
		for before := range n + 1 {
			inLab(t, func(_ *testing.T, l *lab) {
				l.run(engine.Options{}, late)
				r := mustStart(l, late, take)
				c := l.client()
				l.kill()
				var all []int
				for i := 1; i <= n; i++ {
					if i == before+1 {
						l.advance(time.Hour) // the sleep is over
					}
					if _, err := workflow.Resume(l.Context(), c, "line", i); err != nil {
						l.Fatal(err)
					}
					all = append(all, i)
				}
				l.advance(time.Hour)
				l.run(engine.Options{}, late)
				if got, want := mustResult(l, late.Get(l.eng, r.ID())), fmt.Sprint(all[:take]); got != want {
					l.Errorf("%d before the timer: it took %s, want %s", before, got, want)
				}
				mail, err := l.eng.Mailbox(l.Context(), r.ID())
				if err != nil {
					l.Fatal(err)
				}
				var unread []int
				for _, m := range mail {
					i, _ := strconv.Atoi(string(m.Data))
					unread = append(unread, i)
				}
				if !slices.Equal(unread, all[take:]) {
					l.Errorf("%d before the timer, %d taken: %v are unread", before, take, unread)
				}
			})
		}
	}
}

// A journal from before there were backlogs goes on, with payloads that its code has not
// taken, and others behind them in the mailbox.
func TestJournalFromBeforeBacklogs(t *testing.T) {
	t.Parallel()
	slow := workflow.Define("slow", func(ctx workflow.Context, _ string) (string, error) {
		hook, err := workflow.NewHook[int](ctx, workflow.Token("line"))
		if err != nil {
			return "", err
		}
		if err := workflow.Sleep(ctx, time.Hour); err != nil {
			return "", err
		}
		var got []int
		for range 6 {
			v, err := hook.Wait(ctx)
			if err != nil {
				return "", err
			}
			got = append(got, v)
		}
		return fmt.Sprint(got), nil
	})
	inLab(t, func(_ *testing.T, l *lab) {
		l.run(engine.Options{}, slow)
		r := mustStart(l, slow, "")
		c := l.client()
		l.kill()
		sendInts(l, c, 3)
		had, err := l.store.Load(l.Context(), r.ID(), 0)
		if err != nil {
			l.Fatal(err)
		}
		old := &store.Transition{
			RunID: r.ID(), Worker: "old", Version: had.Run.Version, Epoch: had.Run.Epoch, Seq: 1000, After: had.Run.Events,
			At: l.store.Now(), Status: store.Waiting, WakeAt: had.Run.WakeAt,
		}
		for _, m := range had.Mail {
			old.Took = append(old.Took, m.ID)
			old.Events = append(old.Events, store.Event{At: m.AcceptedAt, Kind: m.Kind, Ref: m.Ref, Data: m.Data})
		}
		if _, err := l.store.Apply(l.Context(), old); err != nil {
			l.Fatal(err)
		}
		for i := 4; i <= 6; i++ {
			if _, err := workflow.Resume(l.Context(), c, "line", i); err != nil {
				l.Fatal(err)
			}
		}
		l.run(engine.Options{}, slow)
		l.advance(time.Minute)
		if n := kinds(l.journal(r.ID()), "payload_received"); n != 3 {
			l.Errorf("the journal has %d payloads while nobody asks, want the 3 that it had", n)
		}
		if got := mustResult(l, slow.Get(l.eng, r.ID())); got != "[1 2 3 4 5 6]" {
			l.Errorf("it took %s", got)
		}
	})
}

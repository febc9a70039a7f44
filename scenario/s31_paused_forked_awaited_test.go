package scenario_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// S31: a run is paused over a deadline and resumed, forked from its third step, and awaited by runs
// that aren't its parents, all of it through crashes and kills.

var deal = workflow.Declare[string, string]("deal")

// negotiate listens for a day, and then for one more offer.
func (l *ledger) negotiate(ctx workflow.Context, what string) (string, error) {
	offers, err := workflow.NewHook[string](ctx, workflow.Token("deal:"+what))
	if err != nil {
		return "", err
	}
	inTime, cancel := workflow.WithTimeout(ctx, 24*time.Hour)
	defer cancel()
	if err := workflow.Do(ctx, "draft", func(ctx context.Context) error { return l.enter(ctx, "draft "+what) }); err != nil {
		return "", err
	}
	var heard []string
	for {
		offer, err := offers.Wait(inTime)
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if err != nil {
			return "", err
		}
		heard = append(heard, offer)
	}
	heard = append(heard, "too late")
	if err := workflow.Do(ctx, "close", func(ctx context.Context) error { return l.enter(ctx, "close "+strings.Join(heard, ", ")) }); err != nil {
		return "", err
	}
	last, err := offers.Wait(ctx)
	if err != nil {
		return "", err
	}
	all := strings.Join(append(heard, last), ", ")
	return all, workflow.Do(ctx, "sign", func(ctx context.Context) error { return l.enter(ctx, "sign "+all) })
}

var errUnsigned = workflow.DefineError("nobody has signed")

// contract ends when somebody has signed it: with the signature, repeated so that it has about so many
// bytes.
var contract = workflow.Define("contract", func(ctx workflow.Context, size int) (string, error) {
	signatures, err := workflow.NewHook[string](ctx, workflow.Token(workflow.InfoOf(ctx).RunID))
	if err != nil {
		return "", err
	}
	signature, err := signatures.Wait(ctx)
	if err != nil {
		return "", err
	}
	return workflow.Step(ctx, "file", func(context.Context) (string, error) {
		if signature == "" {
			return "", workflow.Fatal(errUnsigned)
		}
		return strings.Repeat(signature, max(1, size/len(signature))), nil
	})
})

// witness awaits runs, all at once, and says what they have come to.
var witness = workflow.Define("witness", func(ctx workflow.Context, ids []string) (string, error) {
	futures := make([]*workflow.Future[string], len(ids))
	for i, id := range ids {
		futures[i] = workflow.Await[string](ctx, id)
	}
	seen := make([]string, len(ids))
	for i, f := range futures {
		text, err := f.Wait(ctx)
		switch {
		case errors.Is(err, errUnsigned):
			text = "unsigned"
		case errors.Is(err, workflow.ErrTerminated):
			text = "torn up"
		case err != nil:
			return "", err
		case len(text) > 1000:
			text = fmt.Sprintf("%d bytes", len(text))
		}
		seen[i] = ids[i] + " " + text
	}
	return strings.Join(seen, ", "), nil
})

// giveOrder gives an order to a run, again if its answer was lost.
func giveOrder(w *world, order func(ctx context.Context, c *engine.Engine) error) {
	w.t.Helper()
	_, err := do(w, func(ctx context.Context, c *engine.Engine) (struct{}, error) { return struct{}{}, order(ctx, c) })
	if err != nil {
		w.t.Fatal(err)
	}
	w.idle()
}

func TestS31CrashAnywhere(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		l := &ledger{}
		w.boot(deal.Implement(l.negotiate), witness)
		run := start(w, deal, "deal", "house")
		watching := start(w, witness, "witness", []string{run.ID()})
		w.send("deal:house", "a hundred")
		began := time.Now()
		giveOrder(w, func(ctx context.Context, c *engine.Engine) error {
			return c.PauseRun(ctx, run.ID(), workflow.PauseRequest{Why: "the notary is ill"})
		})
		w.send("deal:house", "ninety")
		w.advance(time.Hour)
		w.send("deal:house", "eighty")
		w.advance(47*time.Hour - time.Since(began))
		w.send("deal:house", "ten")
		w.advance(time.Hour)
		l.want(w.t, "draft house")
		w.status(watching.ID(), workflow.StatusWaiting)
		giveOrder(w, func(ctx context.Context, c *engine.Engine) error {
			err := c.ResumeRun(ctx, run.ID())
			if errors.Is(err, workflow.ErrRunEnded) {
				err = nil // the answer was lost, and it has gone on
			}
			return err
		})

		const all = "a hundred, ninety, eighty, too late"
		want(w, run, all+", ten")
		want(w, watching, "deal "+all+", ten")
		l.want(w.t, "draft house", "close "+all, "sign "+all+", ten")

		giveOrder(w, func(ctx context.Context, c *engine.Engine) error {
			_, err := deal.Get(c, run.ID()).Fork(ctx, workflow.AtStep("sign#1"), workflow.ForkID("again"))
			if taken, ok := errors.AsType[*workflow.HookConflictError](err); ok && taken.RunID == "again" || errors.Is(err, workflow.ErrRunExists) {
				err = nil // the answer was lost
			}
			return err
		})
		want(w, deal.Get(w.eng, "again"), all+", ten")
		l.want(w.t, "draft house", "close "+all, "sign "+all+", ten", "sign "+all+", ten")
	})
}

// TestS31KilledWorkers: each run that awaits others gets each of their ends once, whoever of them, and
// of those that execute them, is killed.
func TestS31KilledWorkers(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, db *database) {
		t.Helper()
		// On a busy machine a result of 2 MB takes longer than a short lease.
		const lease = 2 * time.Second
		s := &signing{t: t, db: db, workers: []*service{newService(t, db, lease), newService(t, db, lease)}, witnesses: map[string]testimony{}}
		s.each()
		s.many()
		for id, w := range s.witnesses {
			got, err := witness.Get(db.api, id).Result(within(t))
			if err != nil || got != w.want {
				t.Errorf("%s says %q, %v; want %q", id, got, err, w.want)
			}
			s.once(id, w.of)
		}
	})
}

// A signing has contracts that are signed, and runs that await them.
type signing struct {
	t         *testing.T
	db        *database
	workers   []*service
	witnesses map[string]testimony
}

// testimony is what a witness has to say, and which runs it is about.
type testimony struct {
	want string
	of   []string
}

// watch starts a witness.
func (s *signing) watch(id, want string, ids ...string) {
	s.t.Helper()
	if _, err := witness.Start(s.t.Context(), s.db.api, ids, workflow.RunID(id)); err != nil {
		s.t.Fatal(err)
	}
	s.witnesses[id] = testimony{want, ids}
}

// draw starts a contract, and returns when it can be signed.
func (s *signing) draw(id string, size int) {
	s.t.Helper()
	if _, err := contract.Start(s.t.Context(), s.db.api, size, workflow.RunID(id)); err != nil {
		s.t.Fatal(err)
	}
	s.workers[0].token(id)
}

// sign signs a contract, in one of the processes.
func (s *signing) sign(worker int, id, signature string) {
	s.t.Helper()
	var info workflow.HookInfo
	err := s.workers[worker].call("Resume", workflow.ResumeRequest{Token: id, Payload: encode(s.t, signature), IdempotencyKey: id}, &info)
	if err != nil {
		s.t.Fatal(err)
	}
}

// kill kills all workers at once.
func (s *signing) kill() {
	var all sync.WaitGroup
	for _, w := range s.workers {
		all.Go(w.kill)
	}
	all.Wait()
}

// each ends contracts one after another, in each way, with witnesses from before and after, and
// witnesses of witnesses.
func (s *signing) each() {
	s.t.Helper()
	const n = 24
	for i := range n {
		id := fmt.Sprint("contract-", i)
		s.draw(id, 0)
		end := []string{"Ada", "unsigned", "torn up"}[i%3]
		seen := id + " " + end
		s.watch(fmt.Sprint("early-", i), seen, id)
		s.watch(fmt.Sprint("judge-", i), fmt.Sprintf("early-%d %s, %s", i, seen, seen), fmt.Sprint("early-", i), id)
		switch end {
		case "unsigned":
			s.sign(i/3%2, id, "")
		case "torn up":
			if err := contract.Get(s.db.api, id).Terminate(s.t.Context(), "no"); err != nil {
				s.t.Fatal(err)
			}
		default:
			s.sign(i/3%2, id, end)
		}
		switch i % 8 {
		case 2, 6:
			s.workers[i/4%2].kill()
		case 4:
			s.kill()
		}
		s.watch(fmt.Sprint("late-", i), seen, id)
	}
}

// many ends a contract whose end is too large to be told to all of its witnesses in one commit.
func (s *signing) many() {
	s.t.Helper()
	const (
		n    = 24
		size = 2 << 20
	)
	if n*size < 3*store.TellBytes {
		s.t.Fatal("they are told in too few commits")
	}
	s.draw("large", size)
	for i := range n {
		s.watch(fmt.Sprint("witness-", i), fmt.Sprintf("large %d bytes", size), "large")
	}
	for i := range n {
		waitFor(s.t, func() bool {
			info, err := s.db.api.RunInfo(s.t.Context(), fmt.Sprint("witness-", i))
			return err == nil && info.Status == workflow.StatusWaiting
		})
	}
	s.sign(0, "large", "x")
	waitFor(s.t, func() bool {
		info, err := s.db.api.RunInfo(s.t.Context(), "large")
		return err == nil && info.Status.Ended()
	})
	s.kill()
}

// once checks what is left of a witness of some runs, which has ended.
func (s *signing) once(id string, of []string) {
	s.t.Helper()
	a, err := s.db.st.(store.Archiver).Export(s.t.Context(), id) //nolint:forcetypeassert // both stores are
	if err != nil {
		s.t.Fatal(err)
	}
	want, told := map[string]int{}, map[string]int{}
	for i, target := range of {
		name := contract.Name()
		if strings.HasPrefix(target, "early") {
			name = witness.Name()
		}
		want[fmt.Sprintf("%d of %s run %s", i+1, name, target)] = 1
	}
	for _, e := range a.Events {
		if e.Kind == store.AwaitedCompleted || e.Kind == store.AwaitedFailed {
			told[e.Ref]++
		}
	}
	if diff := cmp.Diff(want, told); diff != "" {
		s.t.Errorf("%s was told (-want +got):\n%s", id, diff)
	}
	if len(a.Mail)+len(a.Unread)+len(a.Subscriptions) > 0 {
		s.t.Errorf("%s has ended, and has %d messages, %d unread, and subscriptions %v", id, len(a.Mail), len(a.Unread), a.Subscriptions)
	}
}

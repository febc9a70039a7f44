package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// A process that stands still for longer than its lease, just when it was about to begin
// a step, does not begin it when it goes on: another one has the run by then.
func TestStoppedProcessBeginsNothing(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		var began atomic.Int32
		wf := workflow.Define("w", func(ctx workflow.Context, token string) (string, error) {
			h, err := workflow.NewHook[string](ctx, workflow.Token(token))
			if err != nil {
				return "", err
			}
			if _, err := h.Wait(ctx); err != nil {
				return "", err
			}
			return workflow.Step(ctx, "work", func(ctx context.Context) (string, error) {
				began.Add(1)
				select {
				case <-time.After(time.Minute):
					return "done", nil
				case <-ctx.Done():
					return "", ctx.Err()
				}
			})
		})
		f := l.fleet(1, wf)
		r := mustStartOn(l, f.engines[0], wf, "t")
		decided := f.probes[0].hold("Apply", held{early: true})
		renewal := f.probes[0].hold("Renew", held{})
		go func() { _, _ = workflow.Resume(t.Context(), f.engines[0], "t", "x") }()
		<-decided.reached
		<-renewal.reached
		f.join(newProbe(l.store), engine.Options{}, wf)
		l.advance(30 * time.Second)
		if began.Load() != 1 {
			t.Fatalf("the other one has begun %d steps, want 1", began.Load())
		}
		f.probes[0].count()
		close(decided.goOn)
		synctest.Wait()
		if calls := f.probes[0].count(); began.Load() != 1 || calls["Apply"] > 0 {
			t.Errorf("before it has renewed its lease it begins (%d steps) or writes (%v)", began.Load(), calls)
		}
		close(renewal.goOn)
		synctest.Wait()
		if calls := f.probes[0].count(); began.Load() != 1 || calls["Apply"] > 0 {
			t.Errorf("though it has lost the run it begins (%d steps) or writes (%v)", began.Load(), calls)
		}
		if got := mustResult(l, workflow.Get[string](f.engines[1], r.ID())); got != "done" || began.Load() != 1 {
			t.Errorf("result is %q after %d steps", got, began.Load())
		}
	})
}

// The clocks of workers may differ: nobody takes over what is another's, journals do
// not go back in time, and nobody asks all the time.
func TestSkewedClocks(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		const runs = 60
		b := &busy{executed: map[string]int{}}
		wf := b.workflow()
		f := l.fleet(0)
		for _, ahead := range []time.Duration{-time.Minute, 0, 50 * time.Millisecond, time.Minute} {
			p := newProbe(l.store)
			p.ahead = ahead
			f.join(p, engine.Options{}, wf)
		}
		for n := range runs {
			if _, err := wf.Start(t.Context(), f.engines[n%4], n, workflow.RunID(fmt.Sprint("r", n))); err != nil {
				t.Fatal(err)
			}
		}
		l.advance(20 * time.Minute)
		for i, p := range f.probes {
			if claims := p.count()["Claim"]; claims > 20*60+4*runs {
				t.Errorf("worker %d has claimed %d times in 20 minutes", i, claims)
			}
		}
		for n := range runs {
			l.resume2(f.engines[(n+1)%4], fmt.Sprint("t", n), "x")
			r := wf.Get(f.engines[(n+2)%4], fmt.Sprint("r", n))
			if got := mustResult(l, r); got != "x" {
				t.Errorf("run %d: %q", n, got)
			}
			events, err := f.engines[0].Journal(t.Context(), r.ID(), 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.IsSortedFunc(events, func(x, y inspect.Event) int { return x.At.Compare(y.At) }) {
				t.Errorf("the journal of run %d goes back in time", n)
			}
		}
		for id, n := range b.executed {
			if n > 1 {
				t.Errorf("step %s was executed %d times", id, n)
			}
		}
	})
}

// Where no signal comes through, everybody who waits learns of it by the next All.
func TestAllWhoWaitCatchUp(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		answering := workflow.Define("answering", func(ctx workflow.Context, token string) (string, error) {
			w, err := workflow.NewWebhook(ctx, workflow.Token(token), workflow.RespondManually())
			if err != nil {
				return "", err
			}
			req, err := w.Wait(ctx)
			if err != nil {
				return "", err
			}
			return "", req.Respond(ctx, workflow.Response{Status: 299})
		})
		canceled := make(chan time.Time, 1)
		stepping := workflow.Define("stepping", func(ctx workflow.Context, _ string) (string, error) {
			return "", workflow.Do(ctx, "work", func(ctx context.Context) error {
				<-ctx.Done()
				canceled <- time.Now()
				return ctx.Err()
			})
		})
		deaf := newProbe(l.store)
		deaf.deaf = true
		opts := engine.Options{PublicURL: "https://example.com", RespondWithin: time.Minute}
		f := l.fleet(0)
		f.join(deaf, opts, tokenWaiter, answering, stepping)
		deafToo := newProbe(l.store)
		deafToo.deaf = true
		api, err := engine.New(deafToo, engine.Options{RespondWithin: time.Minute, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = api.Close() }()
		parked := mustStartOn(l, f.engines[0], tokenWaiter, "t")
		web := mustStartOn(l, f.engines[0], answering, "w")
		steps := mustStartOn(l, f.engines[0], stepping, "")
		began := time.Now()
		results := make(chan string, 2)
		go func() {
			got, err := workflow.Get[string](api, parked.ID()).Result(t.Context())
			results <- fmt.Sprint(got, err)
		}()
		go func() {
			hook, err := api.Webhook(t.Context(), "w")
			if err != nil {
				results <- err.Error()
				return
			}
			resp, err := hook.Deliver(t.Context(), &workflow.Request{Method: "POST", URL: &url.URL{}, Header: http.Header{}})
			results <- fmt.Sprint(resp.Status, err)
		}()
		l.resume2(api, "t", "hello")
		if err := workflow.Get[string](api, steps.ID()).Cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := []string{<-results, <-results}
		slices.Sort(got)
		if diff := cmp.Diff([]string{"299 <nil>", "hello<nil>"}, got); diff != "" {
			t.Error(diff)
		}
		<-canceled
		// The worker hears of the message within five seconds, who waits within five more.
		if took := time.Since(began); took > 10*time.Second+time.Millisecond {
			t.Errorf("that took %v", took)
		}
		mustResult(l, web)
		wantStatus(l, steps, workflow.StatusCanceled)
	})
}

// Others are asked to tell how runs end only while somebody waits for one that they may
// end: a run that is executed here ends here.
func TestOnlyWhoWaitsForOthersAwaits(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("w", func(ctx workflow.Context, token string) (string, error) {
			err := workflow.Do(ctx, "work", func(context.Context) error { sleepFor(100 * time.Millisecond); return nil })
			if err != nil || token == "" {
				return "", err
			}
			hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
			if err != nil {
				return "", err
			}
			return hook.Wait(ctx)
		})
		f := l.fleet(2, wf)
		here, there := f.probes[0], f.probes[1]
		want := func(when string, p *probe, want int64) {
			t.Helper()
			synctest.Wait()
			if n := p.awaiting.Load(); n != want {
				t.Errorf("%s: %d await others, want %d", when, n, want)
			}
		}
		results := make(chan string, 2)
		wait := func(e *engine.Engine, id string) {
			go func() {
				got, err := workflow.Get[string](e, id).Result(t.Context())
				results <- fmt.Sprint(got, err)
			}()
		}
		steps := mustStartOn(l, f.engines[0], wf, "")
		wait(f.engines[0], steps.ID())
		want("a run is executed here", here, 0)
		wait(f.engines[1], steps.ID())
		want("a run is executed by another process", there, 1)
		<-results
		<-results
		want("it has ended", there, 0)
		want("it has ended", here, 0)
		if n := here.count()["Await"]; n > 0 {
			t.Errorf("the process that has executed the run has awaited its end from others %d times", n)
		}

		parks := mustStartOn(l, f.engines[0], wf, "t")
		wait(f.engines[0], parks.ID())
		want("a run is executed here that is going to park", here, 0)
		l.advance(time.Second / 2)
		want("it has parked: others may go on with it", here, 1)
		l.resume2(f.engines[1], "t", "x")
		if got := <-results; got != "x<nil>" {
			t.Errorf("result is %s", got)
		}
		want("it has ended", here, 0)
	})
}

// An All costs two calls of a worker and one of an API process, however much they have.
func TestAllCostsFewCalls(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		const parked, working, waiters = 500, 50, 100
		worker, client := newProbe(l.store), newProbe(l.store)
		worker.deaf, client.deaf = true, true
		steps := workflow.Define("steps", func(ctx workflow.Context, _ string) (string, error) {
			return workflow.Step(ctx, "work", func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() })
		})
		f := l.fleet(0)
		f.join(worker, engine.Options{DrainTimeout: time.Millisecond}, tokenWaiter, steps)
		api, err := engine.New(client, engine.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		for range working {
			mustStartOn(l, f.engines[0], steps, "")
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for n := range parked {
			r := mustStartOn(l, f.engines[0], tokenWaiter, fmt.Sprint("t", n))
			if n < waiters {
				go func() { _, _ = workflow.Get[string](api, r.ID()).Result(ctx) }()
			}
		}
		l.advance(time.Minute)
		worker.count()
		client.count()
		l.advance(time.Minute) // twelve Alls
		want := map[string]int{"Claim": 12, "Resync": 12, "Renew": 18}
		if diff := cmp.Diff(want, worker.count()); diff != "" {
			t.Errorf("calls of the worker in a minute (-want +got):\n%s", diff)
		}
		got := client.count()
		if got["Run"] > 12 { // looks whether anybody executes what is waited for, one every 5 s
			t.Errorf("the client has looked %d times in a minute for workers", got["Run"])
		}
		delete(got, "Run")
		if diff := cmp.Diff(map[string]int{"Resync": 12}, got); diff != "" {
			t.Errorf("calls of the client in a minute (-want +got):\n%s", diff)
		}
		cancel()
		synctest.Wait()
		_ = api.Close()
		_ = l.stop() // it gives the steps up
		l.stop = func() error { return nil }
	})
}

// Workers with nothing to do renew their leases and look for runs twice a minute.
func TestIdleWorkersCallTheStoreSeldom(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		f := l.fleet(4, tokenWaiter)
		for n := range 500 {
			mustStartOn(l, f.engines[n%4], tokenWaiter, fmt.Sprint("t", n))
		}
		l.advance(5 * time.Minute)
		for _, p := range f.probes {
			p.count()
		}
		l.advance(10 * time.Minute)
		for i, p := range f.probes {
			calls := p.count()
			if diff := cmp.Diff([]string{"Claim", "Renew"}, slices.Sorted(maps.Keys(calls))); diff != "" || calls["Claim"] > 20 || calls["Renew"] > 180 {
				t.Errorf("worker %d in ten minutes: %v", i, calls)
			}
		}
	})
}

// claims notes what a worker claims.
type claims struct {
	*probe
	mu     sync.Mutex
	byNeed int
	named  [][]string
	busy   time.Duration // so long from the first of these, somebody else is at what is named
	since  time.Time     // that one
}

func (c *claims) Claim(ctx context.Context, req store.Claim) (store.Claimed, error) {
	c.mu.Lock()
	busy := false
	if len(req.Runs) > 0 {
		c.named = append(c.named, req.Runs)
		if c.since.IsZero() {
			c.since = time.Now()
		}
		busy = time.Since(c.since) < c.busy
	} else {
		c.byNeed++
	}
	c.mu.Unlock()
	if busy {
		return store.Claimed{Busy: req.Runs}, nil
	}
	return c.probe.Claim(ctx, req)
}

// claimed are the runs that claims have named.
func (c *claims) claimed() [][]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.named)
}

// Runs that signals name are executed before they are claimed. The worker looks for others now and then
// all the same.
func TestRunsThatSignalsNameAreClaimedByTheirTransitions(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		st := &claims{probe: newProbe(l.store)}
		l.eng, l.stop = l.runOn(st, engine.Options{}, tokenWaiter)
		client := l.client()
		l.advance(time.Second)
		atFirst := st.byNeed
		for n := range 60 {
			mustStartOn(l, client, tokenWaiter, fmt.Sprint("t", n))
			l.advance(5 * time.Second)
			if _, err := l.eng.HookByToken(t.Context(), fmt.Sprint("t", n)); err != nil {
				t.Fatalf("run %d: %v", n, err)
			}
		}
		if named := st.claimed(); len(named) > 0 {
			t.Errorf("runs were claimed first: %v", named)
		}
		if n := st.byNeed - atFirst; n < 9 || n > 11 {
			t.Errorf("%d claims by need in five minutes, want one every 30 s", n)
		}
	})
}

// A run whose code takes longer than others wait for its worker is executed once all the same.
func TestSlowCodeIsNotExecutedTwice(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		var executed atomic.Int64
		wf := workflow.Define("slow", func(ctx workflow.Context, _ string) (string, error) {
			executed.Add(1)
			sleepFor(500 * time.Millisecond)
			return "done", nil
		})
		f := l.fleet(2, wf)
		l.advance(31 * time.Second)
		f.probes[1].yield = true
		if got := mustResult(l, mustStartOn(l, l.client(), wf, "")); got != "done" {
			t.Errorf("result is %q", got)
		}
		if n := executed.Load(); n != 1 {
			t.Errorf("the code was executed %d times", n)
		}
	})
}

// What another worker was chosen to claim is left to it, and claimed if it is still there
// after a moment.
func TestRunsOfAnotherWorkerAreLeftToIt(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		st := &claims{probe: newProbe(l.store)}
		st.yield = true
		l.eng, l.stop = l.runOn(st, engine.Options{}, tokenWaiter)
		client := l.client()
		l.advance(time.Second)
		const moment = 50 * time.Millisecond
		var want []string
		for n := range 3 {
			want = append(want, mustStartOn(l, client, tokenWaiter, fmt.Sprint("t", n)).ID())
			l.advance(moment / 8)
		}
		if named := st.claimed(); len(named) > 0 {
			t.Errorf("claimed at once: %v", named)
		}
		l.advance(moment)
		if diff := cmp.Diff(want, slices.Concat(st.claimed()...)); diff != "" {
			t.Errorf("claims after a moment (-want +got):\n%s", diff)
		}
		if _, err := l.eng.HookByToken(t.Context(), "t0"); err != nil {
			t.Error(err)
		}
	})
}

// A run that somebody else is at for a moment is claimed soon after that. If it takes longer, the worker
// asks less often.
func TestBusyRunsAreClaimedSoon(t *testing.T) {
	t.Parallel()
	for busy, most := range map[time.Duration]int{2 * time.Millisecond: 2, 10 * time.Second: 165} {
		inLab(t, func(t *testing.T, l *lab) {
			st := &claims{probe: newProbe(l.store), busy: busy}
			st.yield = true // or a signal would let the run be executed unclaimed
			l.eng, l.stop = l.runOn(st, engine.Options{}, tokenWaiter)
			client := l.client()
			l.advance(time.Second)
			mustStartOn(l, client, tokenWaiter, "t")
			for {
				if _, err := l.eng.HookByToken(t.Context(), "t"); err == nil {
					break
				}
				l.advance(time.Millisecond)
			}
			if took := time.Since(st.since); took > busy+min(2*busy, 66*time.Millisecond) {
				t.Errorf("busy for %v: it took %v", busy, took)
			}
			if n := len(st.claimed()); n > most {
				t.Errorf("busy for %v: claimed %d times", busy, n)
			}
		})
	}
}

// Mail of a run that is at work here is read at once, whoever comes first for it.
func TestMailOfARunAtWorkIsReadAtOnce(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		release := make(chan struct{})
		busy := workflow.Define("busy", func(ctx workflow.Context, _ int) (string, error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token("t"))
			if err != nil {
				return "", err
			}
			step := workflow.Go(ctx, func(ctx workflow.Context) (int, error) {
				return 0, workflow.Do(ctx, "long", func(context.Context) error {
					<-release
					return nil
				})
			})
			text, err := hook.Wait(ctx)
			hook.Close()
			if err == nil {
				_, err = step.Wait(ctx)
			}
			return text, err
		})
		st := newProbe(l.store)
		l.eng, l.stop = l.runOn(st, engine.Options{}, busy)
		client := l.client()
		r := mustStartOn(l, client, busy, 0)
		l.advance(time.Second)
		st.yield = true
		if _, err := workflow.Resume(t.Context(), client, "t", "hello"); err != nil {
			t.Fatal(err)
		}
		l.advance(time.Millisecond)
		if _, err := l.eng.HookByToken(t.Context(), "t"); !errors.Is(err, workflow.ErrHookNotFound) {
			t.Errorf("the payload was not taken: %v", err)
		}
		close(release)
		if got := mustResult(l, r); got != "hello" {
			t.Errorf("the result is %q", got)
		}
	})
}

// A run that is only cached here is left to the worker that comes first, for a moment.
func TestMailOfACachedRunIsLeftToOthers(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		st := newProbe(l.store)
		l.eng, l.stop = l.runOn(st, engine.Options{}, tokenWaiter)
		client := l.client()
		r := mustStartOn(l, client, tokenWaiter, "t")
		l.advance(time.Second)
		st.yield = true
		if _, err := workflow.Resume(t.Context(), client, "t", "hello"); err != nil {
			t.Fatal(err)
		}
		for _, at := range []struct {
			after time.Duration
			ended bool
		}{{time.Millisecond, false}, {time.Second, true}} {
			l.advance(at.after)
			if info, err := r.Info(t.Context()); err != nil || info.Status.Ended() != at.ended {
				t.Errorf("after %s the run is %s, %v", at.after, info.Status, err)
			}
		}
	})
}

// Many workers hear of one run. One gets it, and the others look once.
func TestHerd(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("w", func(ctx workflow.Context, _ string) (string, error) {
			return workflow.Step(ctx, "work", func(context.Context) (string, error) { sleepFor(5 * time.Second); return "done", nil })
		})
		f := l.fleet(8, wf)
		l.advance(31 * time.Second)
		for _, p := range f.probes {
			p.count()
		}
		r := mustStartOn(l, l.client(), wf, "")
		l.advance(4 * time.Second)
		claims, loads := 0, 0
		for _, p := range f.probes {
			calls := p.count()
			claims += calls["Claim"]
			loads += calls["Load"]
		}
		if claims > 7 || loads > 8 {
			t.Errorf("%d claims and %d reads of eight workers, want a read each, and a claim of those that were late", claims, loads)
		}
		if got := mustResult(l, r); got != "done" {
			t.Errorf("result is %q", got)
		}
	})
}

// What a worker that stops hands over is taken up at once, though it still has a step to
// wait for.
func TestOthersTakeUpAtOnceWhatIsHandedOver(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("chain", func(ctx workflow.Context, first time.Duration) (string, error) {
			for i := range 3 {
				takes := time.Second
				if i == 0 {
					takes = first
				}
				if err := workflow.Do(ctx, "link", func(context.Context) error { sleepFor(takes); return nil }); err != nil {
					return "", err
				}
			}
			return "done", nil
		})
		f := l.fleet(1, wf)
		began := time.Now()
		short := mustStartOn(l, f.engines[0], wf, 2*time.Second)
		long := mustStartOn(l, f.engines[0], wf, 15*time.Second)
		f.join(newProbe(l.store), engine.Options{}, wf)
		l.advance(time.Second)
		stopped := make(chan error, 1)
		go func() { stopped <- f.stops[0]() }()
		synctest.Wait()
		for _, want := range []struct {
			run *workflow.Run[string]
			by  time.Duration
		}{{short, 4 * time.Second}, {long, 17 * time.Second}} {
			if _, err := workflow.Get[string](f.engines[1], want.run.ID()).Result(t.Context()); err != nil {
				t.Error(err)
			}
			if took := time.Since(began).Round(100 * time.Millisecond); took != want.by {
				t.Errorf("it took %v, want %v", took, want.by)
			}
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if text := f.logs[1].String(); strings.Contains(text, "quarantine") {
			t.Error(text)
		}
	})
}

// loads counts the events that a worker loads. The worker does not hear of runs that end, as nobody
// awaits them.
type loads struct {
	*probe
	events atomic.Int64
}

func (s *loads) Load(ctx context.Context, runID string, after int64) (store.Loaded, error) {
	l, err := s.probe.Load(ctx, runID, after)
	s.events.Add(int64(len(l.Events)))
	return l, err
}

func (s *loads) Watch(f func(store.Signal)) (stop func()) {
	return s.probe.Watch(func(sig store.Signal) {
		sig.Ended, sig.Results = nil, nil
		f(sig)
	})
}

// pair is two workers on one database, of which one takes all mail.
type pair [2]*loads

func (p pair) only(i int) { p[i].yield, p[1-i].yield = false, true }

func (p pair) loaded() int64 { return p[0].events.Swap(0) + p[1].events.Swap(0) }

func newPair(l *lab, defs ...workflow.Definition) (p pair) {
	for i := range p {
		p[i] = &loads{probe: newProbe(l.store)}
		_, stop := l.runOn(p[i], engine.Options{}, defs...)
		l.Cleanup(func() { _ = stop() })
	}
	return p
}

// A run that goes back and forth between workers is not loaded as a whole each time.
func TestAWorkerThatGetsARunBackLoadsWhatIsNew(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		listener := workflow.Define("listener", func(ctx workflow.Context, messages int) (all []string, err error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token("t"))
			if err != nil {
				return nil, err
			}
			for range messages {
				text, err := hook.Wait(ctx)
				if err != nil {
					return nil, err
				}
				err = workflow.Do(ctx, "answer", func(context.Context) error { return nil })
				if err != nil {
					return nil, err
				}
				all = append(all, text)
			}
			return all, nil
		})
		p, client := newPair(l, listener), l.client()
		l.advance(31 * time.Second) // both have claimed
		const messages = 50
		p.only(0)
		r := mustStartOn(l, client, listener, messages)
		var want []string
		for i := range messages {
			p.only(i / 2 % 2)
			text := fmt.Sprint("message ", i)
			if _, err := workflow.Resume(t.Context(), client, "t", text); err != nil {
				t.Fatal(err)
			}
			l.advance(time.Second)
			want = append(want, text)
		}
		if diff := cmp.Diff(want, mustResult(l, r)); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
		if n := p.loaded(); n > 5*messages {
			t.Errorf("%d events were loaded for %d messages", n, messages)
		}
	})
}

// What a retry has cut off is forgotten by a worker that had the run before.
func TestAWorkerThatGetsARetriedRunBackForgetsWhatWasCutOff(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		var broken atomic.Bool
		broken.Store(true)
		wf := workflow.Define("wf", func(ctx workflow.Context, _ int) (all []string, err error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token("t"))
			if err != nil {
				return nil, err
			}
			step := workflow.Go(ctx, func(ctx workflow.Context) (string, error) {
				return workflow.Step(ctx, "flaky", func(context.Context) (string, error) {
					if broken.Load() {
						return "", workflow.Fatal(errors.New("broken"))
					}
					return "mended", nil
				})
			})
			for range 4 {
				text, err := hook.Wait(ctx)
				if err != nil {
					return nil, err
				}
				all = append(all, text)
				if len(all) == 3 {
					text, err := step.Wait(ctx)
					if err != nil {
						return nil, err
					}
					all = append(all, text)
				}
			}
			return all, nil
		})
		p, client := newPair(l, wf), l.client()
		l.advance(31 * time.Second) // both have claimed
		p.only(0)
		r := mustStartOn(l, client, wf, 0)
		send := func(worker int, text string) {
			t.Helper()
			p.only(worker)
			if _, err := workflow.Resume(t.Context(), client, "t", text); err != nil {
				t.Fatal(err)
			}
			l.advance(time.Second)
		}
		send(0, "one") // the first worker has it with the step that failed
		send(1, "two")
		send(1, "three")
		if info, err := r.Info(t.Context()); err != nil || info.Status != workflow.StatusFailed {
			t.Fatalf("the run is %s, %v", info.Status, err)
		}
		broken.Store(false)
		if err := r.Retry(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.advance(time.Second) // the second one goes on with it
		send(0, "four")
		if diff := cmp.Diff([]string{"one", "two", "three", "mended", "four"}, mustResult(l, r)); diff != "" {
			t.Errorf("result (-want +got):\n%s", diff)
		}
	})
}

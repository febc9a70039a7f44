package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"zombiezen.com/go/sqlite"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

func mustPause[Out any](l *lab, r *workflow.Run[Out]) {
	l.Helper()
	if err := r.Pause(by(l.Context(), "ada"), workflow.PauseRequest{Why: "the bank is closed"}); err != nil {
		l.Fatal(err)
	}
	synctest.Wait()
}

func mustGoOn[Out any](l *lab, r *workflow.Run[Out]) {
	l.Helper()
	if err := r.Resume(l.Context()); err != nil {
		l.Fatal(err)
	}
	synctest.Wait()
}

// listener takes messages for the token "t" until "end", with a deadline for each, and says what it saw.
func listener(within time.Duration) *workflow.Workflow[string, []string] {
	return workflow.Define("listener", func(ctx workflow.Context, _ string) (seen []string, err error) {
		h, err := workflow.NewHook[string](ctx, workflow.Token("t"))
		if err != nil {
			return nil, err
		}
		began := workflow.Now(ctx)
		for {
			one, cancel := workflow.WithTimeout(ctx, within)
			msg, err := h.Wait(one)
			cancel()
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				return append(seen, err.Error()), nil
			}
			if err != nil {
				msg = "late"
			}
			seen = append(seen, fmt.Sprint(msg, " ", workflow.Now(ctx).Sub(began).Round(time.Second)))
			if msg == "end" {
				return seen, nil
			}
		}
	})
}

// A pause is downtime for the run alone: what came and what was due meanwhile comes in the order of
// time, deadlines have not stopped, and nothing is lost.
func TestPause(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		wf := listener(time.Minute)
		l.run(opts, wf)
		r := mustStart(l, wf, "")
		l.resume("t", "a")
		mustPause(l, r)
		before := l.journal(r.ID())
		l.advance(30 * time.Second)
		l.resume("t", "b")
		l.advance(90 * time.Second)
		l.resume("t", "end")
		l.advance(time.Hour)
		info := wantStatus(l, r, workflow.StatusWaiting)
		if p := info.Paused; p == nil || p.By.Name != "ada" || p.Why != "the bank is closed" || p.Workflow || p.At.IsZero() {
			t.Errorf("the pause is %+v", p)
		}
		if d := cmp.Diff(before, l.journal(r.ID())); d != "" {
			t.Errorf("the journal has changed while the run was paused:\n%s", d)
		}
		mustGoOn(l, r)
		want := []string{"a 0s", "b 30s", "late 1m30s", "end 2m0s"}
		if d := cmp.Diff(want, mustResult(l, r)); d != "" {
			t.Errorf("seen (-want +got):\n%s", d)
		}
		if info := wantStatus(l, r, workflow.StatusCompleted); info.Paused != nil {
			t.Errorf("a run that has ended is paused: %+v", info.Paused)
		}
		wantIs(l, r.Pause(t.Context(), workflow.PauseRequest{}), workflow.ErrRunEnded)
		wantIs(l, r.Resume(t.Context()), workflow.ErrRunEnded)
	})
}

// A run that is paused twice is paused as it was first, and resuming takes it off.
func TestPauseTwice(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := listener(time.Hour)
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		mustGoOn(l, r) // it is not paused
		mustPause(l, r)
		first := wantStatus(l, r, workflow.StatusWaiting).Paused
		l.advance(time.Minute)
		if err := r.Pause(by(t.Context(), "eve"), workflow.PauseRequest{}); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(first, wantStatus(l, r, workflow.StatusWaiting).Paused); d != "" {
			t.Errorf("the first pause has changed:\n%s", d)
		}
		mustGoOn(l, r)
		l.resume("t", "end")
		mustResult(l, r)
	})
}

// Attempts that are executing return, none begins, and their outcomes, failures too, count when the
// run goes on.
func TestPauseInStep(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		outcome  func(attempt int) (string, error)
		want     string
		attempts int
	}{
		"succeeds":          {func(int) (string, error) { return "done", nil }, "done", 1},
		"fails for good":    {func(int) (string, error) { return "", workflow.Fatal(errors.New("no")) }, "step pay#1 failed after 1 attempt: no", 1},
		"is retried":        {func(n int) (string, error) { return fmt.Sprint("attempt ", n), failing(n < 3) }, "attempt 3", 3},
		"fails in the end":  {func(int) (string, error) { return "", errors.New("no") }, "step pay#1 failed after 2 attempts: no", 2},
		"asks for a moment": {func(n int) (string, error) { return "late", retrying(n < 2) }, "late", 2},
	} {
		for _, dies := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", the worker dies ", dies), func(t *testing.T) {
				t.Parallel()
				inLab(t, func(t *testing.T, l *lab) {
					begun := 0
					wf := workflow.Define("payer", func(ctx workflow.Context, _ string) (string, error) {
						attempts := 4
						if name == "fails in the end" {
							attempts = 2
						}
						out, err := workflow.Step(ctx, "pay", func(ctx context.Context) (string, error) {
							begun++
							select {
							case <-time.After(10 * time.Second):
							case <-ctx.Done():
								return "", ctx.Err()
							}
							return tt.outcome(workflow.InfoOf(ctx).Attempt)
						}, workflow.MaxAttempts(attempts))
						if err != nil {
							return err.Error(), nil //nolint:nilerr // it is the result
						}
						return out, nil
					})
					l.run(engine.Options{}, wf)
					r := mustStart(l, wf, "")
					l.advance(5 * time.Second)
					mustPause(l, r)
					if info := wantStatus(l, r, workflow.StatusRunning); info.Worker == "" {
						t.Error("nobody has the attempt that is executing")
					}
					l.advance(time.Hour)
					if begun != 1 {
						t.Errorf("%d attempts have begun while the run was paused", begun)
					}
					if info := wantStatus(l, r, workflow.StatusRunning); info.Worker != "" {
						t.Error("a worker keeps a run that is paused, with nothing under way")
					}
					mail, err := l.eng.Mailbox(t.Context(), r.ID())
					if err != nil || len(mail) != 1 || !strings.HasPrefix(string(mail[0].Kind), "step_") || mail[0].Ref != "pay#1" {
						t.Errorf("the outcome does not wait in the mailbox: %+v, %v", mail, err)
					}
					if dies {
						l.kill()
						l.run(engine.Options{}, wf)
						l.advance(time.Hour)
						r = wf.Get(l.eng, r.ID())
					}
					mustGoOn(l, r)
					if got := mustResult(l, r); got != tt.want || begun != tt.attempts {
						t.Errorf("result is %q after %d attempts, want %q after %d", got, begun, tt.want, tt.attempts)
					}
				})
			})
		}
	}
}

func failing(fails bool) error {
	if fails {
		return errors.New("not yet")
	}
	return nil
}

func retrying(fails bool) error {
	if fails {
		return workflow.RetryAfter(errors.New("not yet"), time.Minute)
	}
	return nil
}

// A run that goes on while an attempt is still executing waits for that one.
func TestPauseIsOverBeforeTheAttempt(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		begun := 0
		wf := workflow.Define("payer", func(ctx workflow.Context, _ string) (string, error) {
			return workflow.Step(ctx, "pay", func(ctx context.Context) (string, error) {
				begun++
				select {
				case <-time.After(time.Minute):
					return "done", nil
				case <-ctx.Done():
					return "", ctx.Err()
				}
			})
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		for range 3 {
			l.advance(time.Second)
			mustPause(l, r)
			l.advance(time.Second)
			mustGoOn(l, r)
		}
		if got := mustResult(l, r); got != "done" || begun != 1 {
			t.Errorf("result is %q after %d attempts", got, begun)
		}
	})
}

// What several branches of a run have under way is all that a pause waits for.
func TestPauseAmongBranches(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		begun := map[string]int{}
		step := func(ctx workflow.Context, name string, takes time.Duration) (string, error) {
			return workflow.Step(ctx, name, func(ctx context.Context) (string, error) {
				l.gate.set(func(*gate) { begun[name]++ })
				select {
				case <-time.After(takes):
					return name, nil
				case <-ctx.Done():
					return "", ctx.Err()
				}
			})
		}
		wf := workflow.Define("fan", func(ctx workflow.Context, _ string) (string, error) {
			var all []*workflow.Future[string]
			for i := range 4 {
				all = append(all, workflow.Go(ctx, func(ctx workflow.Context) (string, error) {
					first, err := step(ctx, fmt.Sprint("first", i), time.Duration(i)*10*time.Second)
					if err != nil {
						return "", err
					}
					second, err := step(ctx, fmt.Sprint("second", i), time.Second)
					return first + " " + second, err
				}))
			}
			var out []string
			for _, f := range all {
				s, err := f.Wait(ctx)
				if err != nil {
					return "", err
				}
				out = append(out, s)
			}
			return strings.Join(out, ", "), nil
		})
		l.run(opts, wf)
		r := mustStart(l, wf, "")
		l.advance(15 * time.Second)
		mustPause(l, r)
		l.advance(time.Hour)
		want := map[string]int{"first0": 1, "second0": 1, "first1": 1, "second1": 1, "first2": 1, "first3": 1}
		if d := cmp.Diff(want, begun); d != "" {
			t.Errorf("attempts (-want +got):\n%s", d)
		}
		mustGoOn(l, r)
		if got := mustResult(l, r); got != "first0 second0, first1 second1, first2 second2, first3 second3" {
			t.Errorf("result is %q", got)
		}
		for name, n := range begun {
			if n != 1 {
				t.Errorf("step %s was executed %d times", name, n)
			}
		}
	})
}

// An attempt that waits for its turn when the run is paused does not begin.
func TestPauseWhileAnAttemptWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		begun := map[string]int{}
		wf := workflow.Define("payer", func(ctx workflow.Context, who string) (string, error) {
			return workflow.Step(ctx, "pay", func(ctx context.Context) (string, error) {
				begun[who]++
				select {
				case <-time.After(time.Minute):
					return who, nil
				case <-ctx.Done():
					return "", ctx.Err()
				}
			})
		})
		l.run(engine.Options{MaxSteps: 1}, wf)
		first, second := mustStart(l, wf, "first"), mustStart(l, wf, "second")
		mustPause(l, second)
		mustResult(l, first)
		l.advance(time.Hour)
		if begun["second"] != 0 {
			t.Error("an attempt has begun while its run was paused")
		}
		mustGoOn(l, second)
		if got := mustResult(l, second); got != "second" || begun["second"] != 1 {
			t.Errorf("result is %q after %d attempts", got, begun["second"])
		}
	})
}

// An order to cancel waits until the run goes on; one to terminate does not.
func TestCancelAndTerminateWhilePaused(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		wf := listener(time.Hour)
		l.run(opts, wf)
		r := mustStart(l, wf, "")
		mustPause(l, r)
		if err := r.Cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.advance(time.Minute)
		wantStatus(l, r, workflow.StatusWaiting)
		mustGoOn(l, r)
		if d := cmp.Diff([]string{"context canceled"}, mustResult(l, r)); d != "" {
			t.Errorf("seen (-want +got):\n%s", d)
		}

		r = mustStart(l, wf, "")
		mustPause(l, r)
		l.resume("t", "unread")
		if err := r.Terminate(t.Context(), "enough"); err != nil {
			t.Fatal(err)
		}
		wantIs(l, mustFail(l, r), workflow.ErrTerminated)
		mail, err := l.eng.Mailbox(t.Context(), r.ID())
		if err != nil || len(mail) != 1 {
			t.Errorf("unread are %v, %v", mail, err)
		}
	})
}

// A step that is canceled and whose attempt fails while the run is paused fails as canceled.
func TestPauseOfACanceledStep(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"cancel", "outcome"} {
		for _, fails := range []bool{false, true} {
			t.Run(fmt.Sprint(first, " comes first, the attempt fails ", fails), func(t *testing.T) {
				t.Parallel()
				inLab(t, func(t *testing.T, l *lab) {
					wf := workflow.Define("payer", func(ctx workflow.Context, _ string) (string, error) {
						out, err := workflow.Step(ctx, "pay", func(context.Context) (string, error) {
							sleepFor(10 * time.Second)
							return "paid", failing(fails)
						})
						switch {
						case errors.Is(err, context.Canceled):
							return "canceled", nil
						case err != nil:
							return "", err
						}
						return out, nil
					})
					l.run(engine.Options{}, wf)
					r := mustStart(l, wf, "")
					l.advance(time.Second)
					mustPause(l, r)
					if first == "outcome" {
						l.advance(time.Minute)
					}
					if err := r.Cancel(t.Context()); err != nil {
						t.Fatal(err)
					}
					l.advance(time.Minute)
					mustGoOn(l, r)
					want := "paid"
					if fails {
						want = "canceled"
					}
					if got := mustResult(l, r); got != want {
						t.Errorf("result is %q, want %q", got, want)
					}
				})
			})
		}
	}
}

// A transactional step whose attempt is executing commits, once.
func TestPauseInTxStep(t *testing.T) {
	t.Parallel()
	inBank(t, func(t *testing.T, b *bank) {
		begun := 0
		wf := workflow.Define("payer", func(ctx workflow.Context, what string) (string, error) {
			return workflow.TxStep(ctx, "pay", slowBank{b, &begun}, func(_ context.Context, c *sqlite.Conn) (string, error) {
				return "receipt for " + what, pay(c, what)
			})
		})
		b.run(engine.Options{}, wf)
		r := mustStart(b.lab, wf, "rent")
		b.advance(time.Second)
		mustPause(b.lab, r)
		b.wantPaid()
		b.advance(time.Hour)
		b.wantPaid("rent")
		if info := wantStatus(b.lab, r, workflow.StatusRunning); info.Worker != "" {
			t.Error("a worker keeps the run, with nothing under way")
		}
		mustGoOn(b.lab, r)
		b.wantReceipt(r)
		b.wantPaid("rent")
		if begun != 1 {
			t.Errorf("%d attempts have begun", begun)
		}
	})
}

// slowBank takes its time to begin a transaction.
type slowBank struct {
	*bank
	begun *int
}

func (b slowBank) Transact(ctx context.Context, fn func(tx *sqlite.Conn, joined any) error) error {
	*b.begun++
	sleepFor(10 * time.Second)
	return b.bank.Transact(ctx, fn)
}

// A workflow that is paused holds up the runs that it has, those that start later, and those that
// others start with a payload.
func TestPauseWorkflow(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		wf := listener(time.Hour)
		begun := 0
		other := workflow.Define("other", func(workflow.Context, string) (string, error) {
			begun++
			return "done", nil
		})
		l.run(opts, wf, other)
		parked := mustStart(l, wf, "")
		for _, err := range []error{
			wf.Pause(by(t.Context(), "ada"), l.eng, workflow.PauseRequest{Why: "a bad deploy"}),
			other.Pause(by(t.Context(), "bob"), l.eng, workflow.PauseRequest{}),
			other.Pause(by(t.Context(), "eve"), l.eng, workflow.PauseRequest{}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		paused, err := l.eng.PausedWorkflows(t.Context())
		if err != nil || len(paused) != 2 || paused[0].Workflow != "listener" || paused[0].By.Name != "ada" || paused[1].By.Name != "bob" {
			t.Errorf("paused workflows are %+v, %v", paused, err)
		}
		l.resume("t", "end")
		started := mustStart(l, other, "")
		l.advance(time.Hour)
		if info := wantStatus(l, parked, workflow.StatusWaiting); info.Paused == nil || !info.Paused.Workflow || info.Paused.Why != "a bad deploy" {
			t.Errorf("the pause is %+v", info.Paused)
		}
		wantStatus(l, started, workflow.StatusRunning)
		if begun != 0 {
			t.Errorf("the code of %d runs has begun", begun)
		}
		runs, err := l.eng.Runs(t.Context(), inspect.RunFilter{Paused: true})
		if err != nil || len(runs) != 2 {
			t.Errorf("paused runs are %+v, %v", runs, err)
		}
		mustGoOn(l, started) // its workflow is paused all the same
		wantStatus(l, started, workflow.StatusRunning)
		if err := other.Resume(t.Context(), l.eng); err != nil {
			t.Fatal(err)
		}
		mustResult(l, started)
		mustResult(l, mustStart(l, other, ""))
		wantStatus(l, parked, workflow.StatusWaiting)
		if err := wf.Resume(t.Context(), l.eng); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"end 0s"}, mustResult(l, parked)); d != "" {
			t.Errorf("seen (-want +got):\n%s", d)
		}
	})
}

// A pause of a workflow lets the attempts of its runs return, and is kept when everyone dies.
func TestPauseWorkflowOutlivesEveryone(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		var begun atomic.Int64
		wf := workflow.Define("payer", func(ctx workflow.Context, _ string) (string, error) {
			for range 2 {
				if err := workflow.Do(ctx, "pay", func(context.Context) error {
					begun.Add(1)
					sleepFor(time.Minute)
					return nil
				}); err != nil {
					return "", err
				}
			}
			return "done", nil
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		if err := wf.Pause(t.Context(), l.eng, workflow.PauseRequest{}); err != nil {
			t.Fatal(err)
		}
		l.advance(time.Hour)
		l.kill()
		l.run(engine.Options{}, wf)
		l.advance(time.Hour)
		if n := begun.Load(); n != 1 {
			t.Errorf("%d attempts have begun", n)
		}
		late := mustStart(l, wf, "")
		l.advance(time.Hour)
		if n := begun.Load(); n != 1 {
			t.Errorf("with a run that was started later %d attempts have begun", n)
		}
		if err := wf.Resume(t.Context(), l.eng); err != nil {
			t.Fatal(err)
		}
		mustResult(l, wf.Get(l.eng, r.ID()))
		mustResult(l, late)
		if n := begun.Load(); n != 4 {
			t.Errorf("%d attempts have begun in all", n)
		}
	})
}

// A caller who waits for the answer of a paused run is told soon that none comes; the request is
// delivered when the run goes on.
func TestWebhookOfAPausedRun(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("answering", func(ctx workflow.Context, _ string) (string, error) {
			h, err := workflow.NewWebhook(ctx, workflow.Token("t"), workflow.RespondManually())
			if err != nil {
				return "", err
			}
			req, err := h.Wait(ctx)
			if err != nil {
				return "", err
			}
			body := string(req.Body)
			return body, req.Respond(ctx, workflow.Response{Status: 200})
		})
		l.run(engine.Options{PublicURL: "https://example.com"}, wf)
		r := mustStart(l, wf, "")
		mustPause(l, r)
		hook, err := l.eng.Webhook(t.Context(), "t")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = hook.Deliver(t.Context(), &workflow.Request{Method: http.MethodPost, Body: []byte("hello")})
		wantIs(l, err, engine.ErrPaused)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the caller waited %v", took)
		}
		l.advance(time.Hour)
		mustGoOn(l, r)
		if got := mustResult(l, r); got != "hello" {
			t.Errorf("result is %q", got)
		}
	})
}

// A run may be paused after its callers, of another process, have begun to wait.
func TestPauseWhileACallerWaits(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("slow", func(ctx workflow.Context, _ string) (string, error) {
			h, err := workflow.NewWebhook(ctx, workflow.Token("t"), workflow.RespondManually())
			if err != nil {
				return "", err
			}
			req, err := h.Wait(ctx)
			if err != nil {
				return "", err
			}
			if err := workflow.Sleep(ctx, time.Hour); err != nil {
				return "", err
			}
			return "", req.Respond(ctx, workflow.Response{Status: 200})
		})
		opts := engine.Options{PublicURL: "https://example.com", RespondWithin: time.Hour}
		l.run(opts, wf)
		r := mustStart(l, wf, "")
		front, err := engine.New(l.store, opts)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = front.Close() }()
		hook, err := front.Webhook(t.Context(), "t")
		if err != nil {
			t.Fatal(err)
		}
		outcome := make(chan error, 1)
		began := time.Now()
		go func() {
			_, err := hook.Deliver(t.Context(), &workflow.Request{Method: http.MethodPost})
			outcome <- err
		}()
		l.advance(90 * time.Second)
		mustPause(l, r)
		wantIs(l, <-outcome, engine.ErrPaused)
		if took := time.Since(began); took < 90*time.Second || took > 2*90*time.Second {
			t.Errorf("the caller of a run that was paused after 90 s waited %v", took)
		}
	})
}

// The metrics have who pauses, and what becomes of callers who wait meanwhile.
func TestTelemetryOfPauses(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		s, ctx := newScope(), t.Context()
		wf := workflow.Define("answering", func(ctx workflow.Context, ends bool) (string, error) {
			h, err := workflow.NewWebhook(ctx, workflow.Token(workflow.InfoOf(ctx).RunID), workflow.RespondManually())
			if err != nil {
				return "", err
			}
			req, err := h.Wait(ctx)
			if err != nil || ends {
				return "", err
			}
			return "", req.Respond(ctx, workflow.Response{Status: 200})
		})
		l.run(s.on(engine.Options{PublicURL: "https://example.com"}), wf)
		deliver := func(token string) error {
			hook, err := l.eng.Webhook(ctx, token)
			if err != nil {
				t.Fatal(err)
			}
			_, err = hook.Deliver(ctx, &workflow.Request{Method: http.MethodPost})
			return err
		}
		for _, id := range []string{"run", "workflow", "answers", "ends"} {
			mustStart(l, wf, id == "ends", workflow.RunID(id))
		}
		one := wf.Get(l.eng, "run")
		mustPause(l, one)
		wantIs(l, deliver("run"), engine.ErrPaused)
		if err := wf.Pause(ctx, l.eng, workflow.PauseRequest{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantIs(l, deliver("workflow"), engine.ErrPaused)
		same(t, "tenter.workflow.paused", s.metric(t, "tenter.workflow.paused"), map[string]string{"": "1"})
		if err := wf.Resume(ctx, l.eng); err != nil {
			t.Fatal(err)
		}
		mustGoOn(l, one)
		if err := deliver("answers"); err != nil {
			t.Fatal(err)
		}
		wantIs(l, deliver("ends"), engine.ErrNoResponse)
		if err := one.Pause(ctx, workflow.PauseRequest{}); err == nil {
			t.Fatal("a run that has ended was paused")
		}
		same(t, "tenter.workflow.paused", s.metric(t, "tenter.workflow.paused"), map[string]string{"": "0"})
		same(t, "tenter.pause.ordered", s.metric(t, "tenter.pause.ordered"), map[string]string{
			"order=pause subject=run": "1", "order=pause subject=workflow": "1", "order=resume subject=run": "1", "order=resume subject=workflow": "1",
		})
		same(t, "tenter.request.held", s.metric(t, "tenter.request.held"), map[string]string{"outcome=answered": "1 in 0s", "outcome=paused": "2 in 0s", "outcome=unanswered": "1 in 0s"})
	})
}

// What nobody can have said, or no run can be, is refused.
func TestPauseRefused(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := listener(time.Hour)
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		long := strings.Repeat("x", workflow.MaxErrorText+1)
		for name, tt := range map[string]struct {
			err, want error
		}{
			"no such run":               {l.eng.PauseRun(t.Context(), "none", workflow.PauseRequest{}), workflow.ErrRunNotFound},
			"no such run to resume":     {l.eng.ResumeRun(t.Context(), "none"), workflow.ErrRunNotFound},
			"a long reason":             {r.Pause(t.Context(), workflow.PauseRequest{Why: long}), workflow.ErrPayloadTooLarge},
			"a long name":               {wf.Pause(by(t.Context(), long), l.eng, workflow.PauseRequest{}), workflow.ErrInvalidName},
			"a workflow without a name": {l.eng.PauseWorkflow(t.Context(), "", workflow.PauseRequest{}), workflow.ErrInvalidName},
		} {
			if !errors.Is(tt.err, tt.want) {
				t.Errorf("%s: error is %v, want %v", name, tt.err, tt.want)
			}
		}
		if info := wantStatus(l, r, workflow.StatusWaiting); info.Paused != nil {
			t.Errorf("the run is paused: %+v", info.Paused)
		}
		if err := r.Pause(t.Context(), workflow.PauseRequest{Why: "\x00\xff"}); err != nil {
			t.Fatal(err)
		}
		if info := wantStatus(l, r, workflow.StatusWaiting); info.Paused == nil || info.Paused.Why != "\uFFFD\uFFFD" {
			t.Errorf("the pause is %+v", info.Paused)
		}
	})
}

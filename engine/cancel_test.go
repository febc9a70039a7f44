package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// sleepFor stands for work that takes time and does not look at its context.
func sleepFor(d time.Duration) { <-time.After(d) }

// A run that returns ctx's error after a cancel is canceled; one that does something
// else about it is not.
func TestCancel(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end  func(error) error
		want workflow.Status
	}{
		"returns the error":      {func(err error) error { return err }, workflow.StatusCanceled},
		"wraps the error":        {func(err error) error { return fmt.Errorf("stopped: %w", err) }, workflow.StatusCanceled},
		"returns another":        {func(error) error { return errors.New("mine") }, workflow.StatusFailed},
		"completes all the same": {func(error) error { return nil }, workflow.StatusCompleted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				cleaned := 0
				wf := workflow.Define("long", func(ctx workflow.Context, _ string) (string, error) {
					hook, err := workflow.NewHook[string](ctx, workflow.Token("long"))
					if err != nil {
						return "", err
					}
					_, err = hook.Wait(ctx)
					if !errors.Is(err, context.Canceled) || !errors.Is(ctx.Err(), context.Canceled) {
						return "", fmt.Errorf("wait: %w, context: %w", err, ctx.Err())
					}
					for _, call := range []func() error{
						func() error { return workflow.Sleep(ctx, time.Hour) },
						func() error { return workflow.Do(ctx, "no", func(context.Context) error { return nil }) },
						func() error { _, err := workflow.NewHook[string](ctx); return err },
						func() error { _, err := define("child").Call(ctx, ""); return err },
					} {
						if err := call(); !errors.Is(err, context.Canceled) {
							return "", fmt.Errorf("durable call after the cancel: %w", err)
						}
					}
					after := workflow.WithoutCancel(ctx)
					if err := workflow.Sleep(after, time.Hour); err != nil {
						return "", err
					}
					if err := workflow.Do(after, "clean up", func(context.Context) error { cleaned++; return nil }); err != nil {
						return "", err
					}
					return "", tt.end(err)
				})
				l.run(engine.Options{CacheSize: noCache}, wf)
				r := mustStart(l, wf, "")
				if err := r.Cancel(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := r.Cancel(t.Context()); err != nil { // once more does no harm
					t.Fatal(err)
				}
				_, err := resultSoon(l, r)
				wantStatus(l, r, tt.want)
				if canceled := errors.Is(err, workflow.ErrCanceled); canceled != (tt.want == workflow.StatusCanceled) {
					t.Errorf("error is %v", err)
				}
				if errors.Is(err, workflow.ErrTerminated) {
					t.Errorf("%v is ErrTerminated", err)
				}
				if cleaned != 1 {
					t.Errorf("cleaned up %d times", cleaned)
				}
			})
		})
	}
}

// A cancel or deadline in the middle of a step: its context ends; if it succeeds all
// the same that is what counts.
func TestCancelInStep(t *testing.T) {
	t.Parallel()
	type outcome struct {
		Value    string
		Canceled bool
		Deadline bool
		Unknown  bool
		Attempts int
	}
	for name, tt := range map[string]struct {
		step func(context.Context) (string, error)
		want outcome
	}{
		"succeeds": {func(ctx context.Context) (string, error) {
			<-ctx.Done()
			sleepFor(5 * time.Second)
			return "charged", nil
		}, outcome{Value: "charged"}},
		"fails": {func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}, outcome{Canceled: true, Attempts: 1}},
		"fails otherwise": {func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return "", errors.New("mine")
		}, outcome{Canceled: true, Attempts: 1}},
		"does not return": {func(context.Context) (string, error) {
			sleepFor(time.Hour)
			return "too late", nil
		}, outcome{Canceled: true, Unknown: true, Attempts: 1}},
		"waits for its retry": {func(context.Context) (string, error) {
			return "", workflow.RetryAfter(errors.New("later"), time.Hour)
		}, outcome{Canceled: true, Attempts: 1}},
	} {
		for _, by := range []string{"cancel", "deadline"} {
			t.Run(name+" after "+by, func(t *testing.T) {
				t.Parallel()
				inLab(t, func(t *testing.T, l *lab) {
					var took time.Duration
					wf := workflow.Define("charging", func(ctx workflow.Context, _ string) (outcome, error) {
						inner := ctx
						if by == "deadline" {
							var cancel context.CancelFunc
							inner, cancel = workflow.WithTimeout(ctx, time.Minute)
							defer cancel()
						}
						began := workflow.Now(ctx)
						v, err := workflow.Step(inner, "charge", tt.step)
						took = workflow.Now(ctx).Sub(began)
						got := outcome{
							Value:    v,
							Canceled: errors.Is(err, context.Canceled),
							Deadline: errors.Is(err, context.DeadlineExceeded),
							Unknown:  errors.Is(err, workflow.ErrOutcomeUnknown),
						}
						if failed, ok := errors.AsType[*workflow.StepError](err); ok {
							got.Attempts = failed.Attempts
						}
						return got, nil
					})
					l.run(engine.Options{StepGrace: 20 * time.Second}, wf)
					r := mustStart(l, wf, "")
					l.advance(time.Minute - time.Second)
					if by == "cancel" {
						l.advance(time.Second)
						if err := r.Cancel(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
					want := tt.want
					if by == "deadline" && want.Canceled {
						want.Deadline = true
						want.Canceled = name == "fails" // the step's own error, and why it came to it
					}
					if diff := cmp.Diff(want, mustResult(l, r)); diff != "" {
						t.Error(diff)
					}
					if want := map[string]time.Duration{"succeeds": 65 * time.Second, "does not return": 80 * time.Second}[name]; want != 0 && took.Round(time.Second) != want {
						t.Errorf("took %v, want %v", took, want)
					}
					if name == "succeeds" && !slices.Contains(l.journal(r.ID()), "step_completed charge#1") {
						t.Errorf("the journal does not say so: %q", l.journal(r.ID()))
					}
					l.advance(2 * time.Hour) // the attempt that was given up returns
				})
			})
		}
	}
}

// A cancel that arrives together with the failure of a step's attempt ends the step:
// there is no attempt to be stopped any more, and none to come.
func TestACanceledStepWhoseAttemptFailsIsNotStranded(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		endFirst, failSecond := make(chan struct{}), make(chan struct{})
		wf := workflow.Define("pair", func(ctx workflow.Context, _ string) (string, error) {
			first := workflow.Go(ctx, func(ctx workflow.Context) (string, error) {
				return "", workflow.Do(ctx, "first", func(context.Context) error { <-endFirst; return nil })
			})
			err := workflow.Do(ctx, "second", func(context.Context) error { <-failSecond; return errors.New("no") })
			_, _ = first.Wait(ctx)
			return "", err
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		thaw := l.freeze()
		close(endFirst)
		synctest.Wait() // its result is being committed, and all else has to wait
		close(failSecond)
		l.advance(10 * time.Millisecond)
		if err := r.Cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		thaw()
		wantIs(l, mustFail(l, r), workflow.ErrCanceled)
	})
}

// A canceled step that returns just after it was given up, both before either could be
// recorded, has one outcome: the one that came first.
func TestAResultThatComesTogetherWithTheEndOfTheGracePeriodDoesNotCount(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		endOther := make(chan struct{})
		wf := workflow.Define("pair", func(ctx workflow.Context, _ string) (string, error) {
			free := workflow.WithoutCancel(ctx)
			other := workflow.Go(free, func(ctx workflow.Context) (string, error) {
				return "", workflow.Do(ctx, "other", func(context.Context) error { <-endOther; return nil })
			})
			err := workflow.Do(ctx, "slow", func(ctx context.Context) error {
				<-ctx.Done()
				sleepFor(5500 * time.Millisecond)
				return nil
			})
			_, _ = other.Wait(free)
			return "", errors.Join(err, workflow.Sleep(free, time.Hour))
		})
		l.run(engine.Options{StepGrace: 5 * time.Second}, wf)
		r := mustStart(l, wf, "")
		if err := r.Cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.advance(4 * time.Second)
		thaw := l.freeze()
		close(endOther)
		l.advance(3 * time.Second) // the grace period passes, then the step returns
		thaw()
		wantIs(l, mustFail(l, r), workflow.ErrOutcomeUnknown)
		wantStatus(l, r, workflow.StatusCanceled)
		if n := strings.Count(strings.Join(l.journal(r.ID()), "\n"), "slow#1"); n != 1 {
			t.Errorf("the step has %d outcomes: %q", n, l.journal(r.ID()))
		}
	})
}

// A deadline counts the time in which no worker was up, and what was accepted before
// it comes before it.
func TestDeadlineOverDowntime(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("late %v", late), func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				wf := workflow.Define("approval", func(ctx workflow.Context, _ string) (string, error) {
					hook, err := workflow.NewHook[string](ctx, workflow.Token("approval"))
					if err != nil {
						return "", err
					}
					inner, cancel := workflow.WithTimeout(ctx, 24*time.Hour)
					defer cancel()
					v, err := hook.Wait(inner)
					if errors.Is(err, context.DeadlineExceeded) {
						return "timeout", nil
					}
					return v, err
				})
				l.run(engine.Options{}, wf)
				r := mustStart(l, wf, "")
				l.advance(23 * time.Hour)
				if err := l.stop(); err != nil {
					t.Fatal(err)
				}
				client := l.client()
				l.advance(59 * time.Minute)
				want := "approved"
				if late {
					l.advance(30 * time.Minute)
					want = "timeout"
				}
				if _, err := workflow.Resume(t.Context(), client, "approval", "approved"); err != nil {
					t.Fatal(err)
				}
				l.advance(time.Hour)
				l.run(engine.Options{}, wf)
				if got := mustResult(l, workflow.Get[string](l.eng, r.ID())); got != want {
					t.Errorf("result is %q, want %q", got, want)
				}
			})
		})
	}
}

// Contexts end as those of package context do.
func TestContexts(t *testing.T) {
	t.Parallel()
	got, err := inWorkflow(t, func(ctx workflow.Context) (string, error) {
		outer, cancelOuter := workflow.WithTimeout(ctx, time.Hour)
		defer cancelOuter()
		inner, cancelInner := workflow.WithTimeout(outer, 2*time.Hour)
		defer cancelInner()
		want, _ := outer.Deadline()
		if at, ok := inner.Deadline(); !ok || !at.Equal(want) || !at.Equal(workflow.Now(ctx).Add(time.Hour)) {
			return fmt.Sprintf("inner deadline is %v, outer %v", at, want), nil
		}
		free := workflow.WithoutCancel(inner)
		if _, ok := free.Deadline(); ok {
			return "WithoutCancel keeps the deadline", nil
		}
		if err := workflow.Sleep(inner, 24*time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			return "", fmt.Errorf("sleep: %w", err)
		}
		select {
		case <-inner.Done():
		default:
			return "Done is open after the deadline", nil
		}
		if ctx.Err() != nil || free.Err() != nil || !errors.Is(outer.Err(), context.DeadlineExceeded) {
			return "the wrong ones have ended", nil
		}
		past, cancelPast := workflow.WithDeadline(ctx, workflow.Now(ctx).Add(-time.Second))
		defer cancelPast()
		if !errors.Is(past.Err(), context.DeadlineExceeded) {
			return "a deadline in the past has not passed", nil
		}
		mine, cancelMine := workflow.WithCancel(ctx)
		below, cancelBelow := workflow.WithTimeout(mine, time.Minute)
		defer cancelBelow()
		cancelMine()
		cancelMine()
		if !errors.Is(below.Err(), context.Canceled) {
			return "a cancel does not reach the context below", nil
		}
		return "fine", workflow.Sleep(ctx, time.Hour)
	})
	if got != "fine" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

// Terminate does not ask: no cleanup is executed, also if the run is parked and out of
// memory. The children are canceled.
func TestTerminate(t *testing.T) {
	t.Parallel()
	for name, cache := range map[string]int{"cached": 0, "evicted": noCache} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				cleaned := false
				child := workflow.Define("child", func(ctx workflow.Context, _ string) (string, error) {
					return "", workflow.Sleep(ctx, 24*time.Hour)
				})
				wf := workflow.Define("parent", func(ctx workflow.Context, _ string) (string, error) {
					defer func() {
						if workflow.Do(workflow.WithoutCancel(ctx), "clean up", func(context.Context) error { return nil }) == nil {
							cleaned = true
						}
					}()
					if _, err := workflow.NewHook[string](ctx, workflow.Token("t")); err != nil {
						return "", err
					}
					return child.Call(ctx, "", workflow.RunID("child-1"))
				})
				l.run(engine.Options{CacheSize: cache}, wf, child)
				r := mustStart(l, wf, "")
				if err := r.Terminate(t.Context(), "enough"); err != nil {
					t.Fatal(err)
				}
				err := mustFail(l, r)
				wantIs(l, err, workflow.ErrTerminated)
				wantIs(l, err, workflow.ErrCanceled)
				wantContains(l, err.Error(), "enough")
				wantStatus(l, r, workflow.StatusCanceled)
				wantIs(l, mustFail(l, workflow.Get[string](l.eng, "child-1")), workflow.ErrCanceled)
				_, err = workflow.Resume(t.Context(), l.eng, "t", "")
				wantIs(l, err, workflow.ErrHookNotFound)
				if cleaned {
					t.Error("cleaned up")
				}
			})
		})
	}
}

// The worker that executes a run learns that another process has terminated it.
func TestTerminateByAnotherProcessStopsTheStep(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		stopped := false
		wf := workflow.Define("long", func(ctx workflow.Context, _ string) (string, error) {
			return "", workflow.Do(ctx, "work", func(ctx context.Context) error {
				<-ctx.Done()
				stopped = true
				return ctx.Err()
			})
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		l.advance(5 * time.Second)
		other, err := engine.New(l.store, engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close() }()
		if err := other.TerminateRun(t.Context(), r.ID(), "enough"); err != nil {
			t.Fatal(err)
		}
		l.advance(time.Second)
		if !stopped {
			t.Error("the step goes on after its run was terminated")
		}
	})
}

// Terminate executes no code, so it can't tell which of the payloads in the journal
// were taken: what it records as unread is the mailbox. The others are in the journal.
func TestTerminateRecordsWhatIsInTheMailboxAsUnread(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("deaf", func(ctx workflow.Context, _ string) (string, error) {
			if _, err := workflow.NewHook[string](ctx, workflow.Token("t")); err != nil {
				return "", err
			}
			return "", workflow.Sleep(ctx, 24*time.Hour)
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		l.resume("t", "in the journal")
		if err := l.stop(); err != nil {
			t.Fatal(err)
		}
		client, err := engine.New(l.store, engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = client.Close() }()
		if _, err := workflow.Resume(t.Context(), client, "t", "in the mailbox"); err != nil {
			t.Fatal(err)
		}
		if err := client.TerminateRun(t.Context(), r.ID(), ""); err != nil {
			t.Fatal(err)
		}
		unread, err := client.Mailbox(t.Context(), r.ID())
		if err != nil || len(unread) != 1 || string(unread[0].Data) != `"in the mailbox"` {
			t.Errorf("unread %v, error %v; want what was in the mailbox", unread, err)
		}
		events, err := client.Journal(t.Context(), r.ID(), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(events, func(e inspect.Event) bool {
			return e.Kind == inspect.EventPayloadReceived && string(e.Data) == `"in the journal"`
		}) {
			t.Errorf("the journal has lost a payload: %v", events)
		}
	})
}

// Wake ends sleeps, not deadlines and not retries.
func TestWake(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("sleepy", func(ctx workflow.Context, _ string) (time.Duration, error) {
			inner, cancel := workflow.WithTimeout(ctx, 30*24*time.Hour)
			defer cancel()
			began := workflow.Now(ctx)
			other := workflow.Go(inner, func(ctx workflow.Context) (int, error) { return 0, workflow.Sleep(ctx, 365*24*time.Hour) })
			if err := workflow.Sleep(inner, 365*24*time.Hour); err != nil {
				return 0, err
			}
			if _, err := other.Wait(inner); err != nil {
				return 0, err
			}
			err := workflow.Select(inner, workflow.OnTimer(time.Hour, func() error { return nil }))
			return workflow.Now(ctx).Sub(began), err
		})
		l.run(engine.Options{CacheSize: noCache}, wf)
		r := mustStart(l, wf, "")
		l.advance(time.Minute)
		for range 2 {
			if err := r.Wake(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.advance(time.Minute)
		}
		if got := mustResult(l, r).Round(time.Second); got != time.Hour+time.Minute {
			t.Errorf("took %v, want the timer's hour and a minute", got)
		}
	})
}

// A run that is canceled before a worker has begun it says so, and nothing of steps that
// never began.
func TestCancelBeforeItBegins(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("wf", func(ctx workflow.Context, _ string) (string, error) {
			return "", workflow.Do(ctx, "slow", func(context.Context) error { return errors.New("it was executed") })
		})
		l.eng = l.client()
		r := mustStart(l, wf, "", workflow.RunID("r"))
		if err := r.Cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.run(engine.Options{}, wf)
		err := mustFail(l, workflow.Get[string](l.eng, "r"))
		if got, want := err.Error(), "run r of wf: canceled before it began"; got != want || !errors.Is(err, workflow.ErrCanceled) {
			t.Errorf("the error is %q, want %q, which is ErrCanceled", got, want)
		}
		wantStatus(l, workflow.Get[string](l.eng, "r"), workflow.StatusCanceled)
	})
}

// A step that is canceled before its first attempt has not failed after 0 attempts.
func TestStepIsCanceledBeforeItBegins(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		var got error
		wf := workflow.Define("wf", func(ctx workflow.Context, _ string) (string, error) {
			inner, cancel := workflow.WithCancel(ctx)
			branch := workflow.Go(inner, func(ctx workflow.Context) (string, error) {
				return "", workflow.Do(ctx, "step a", nothing)
			})
			workflow.Go(ctx, func(workflow.Context) (string, error) { cancel(); return "", nil })
			_, got = branch.Wait(ctx)
			return "", nil
		})
		l.run(engine.Options{}, wf)
		mustResult(l, mustStart(l, wf, ""))
		if want := "step a#1 was not attempted: context canceled"; got == nil || got.Error() != want {
			t.Errorf("the error is %v, want %q", got, want)
		}
	})
}

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// twoHooks opens hooks with the tokens a and b.
func twoHooks(ctx workflow.Context) (a, b *workflow.Hook[string], err error) {
	if a, err = workflow.NewHook[string](ctx, workflow.Token("a")); err != nil {
		return nil, nil, err
	}
	b, err = workflow.NewHook[string](ctx, workflow.Token("b"))
	return a, b, err
}

// eachOrder executes a workflow that waits for the hooks a and b, with the payloads
// sent in several orders, before and while it waits, live and replayed.
func eachOrder(t *testing.T, wait func(ctx workflow.Context, a, b *workflow.Hook[string]) ([]string, error), want map[string][]string) {
	t.Helper()
	for name, cache := range map[string]int{"cached": 0, "replayed": noCache} {
		for sent, want := range want {
			t.Run(fmt.Sprintf("%s, %s", sent, name), func(t *testing.T) {
				t.Parallel()
				inLab(t, func(t *testing.T, l *lab) {
					wf := workflow.Define("two", func(ctx workflow.Context, _ string) ([]string, error) {
						a, b, err := twoHooks(ctx)
						if err != nil {
							return nil, err
						}
						if err := workflow.Sleep(ctx, time.Minute); err != nil {
							return nil, err
						}
						return wait(ctx, a, b)
					})
					l.run(engine.Options{CacheSize: cache}, wf)
					r := mustStart(l, wf, "")
					before, later, _ := strings.Cut(sent, "|")
					for token := range strings.FieldsSeq(before) {
						l.resume(token, token)
					}
					l.advance(2 * time.Minute)
					for token := range strings.FieldsSeq(later) {
						l.resume(token, token)
					}
					if diff := cmp.Diff(want, mustResult(l, r)); diff != "" {
						t.Error(diff)
					}
				})
			})
		}
	}
}

// First takes the payload of one hook, and leaves the other's.
func TestFirst(t *testing.T) {
	t.Parallel()
	eachOrder(t, func(ctx workflow.Context, a, b *workflow.Hook[string]) ([]string, error) {
		var got []string
		for range 2 {
			i, s, err := workflow.First(ctx, a.Wait, b.Wait)
			if err != nil {
				return nil, err
			}
			got = append(got, fmt.Sprint(i, s))
		}
		return got, nil
	}, map[string][]string{
		"a b|": {"0a", "1b"},
		"b a|": {"0a", "1b"}, // both are ready: in the order of the arguments
		"a|b":  {"0a", "1b"},
		"b|a":  {"1b", "0a"},
		"|a b": {"0a", "1b"},
		"|b a": {"1b", "0a"},
		"a a|": {"0a", "0a"},
		"|b b": {"1b", "1b"},
	})
}

// So does Select.
func TestSelect(t *testing.T) {
	t.Parallel()
	eachOrder(t, func(ctx workflow.Context, a, b *workflow.Hook[string]) ([]string, error) {
		var got []string
		for range 2 {
			err := workflow.Select(ctx, nil,
				workflow.OnPayload(a, func(s string) error { got = append(got, "a"+s); return nil }), nil,
				workflow.OnPayload(b, func(s string) error { got = append(got, "b"+s); return nil }),
				workflow.OnTimer(24*time.Hour, func() error { return errors.New("too late") }),
			)
			if err != nil {
				return nil, err
			}
		}
		return got, nil
	}, map[string][]string{
		"a b|": {"aa", "bb"},
		"b a|": {"aa", "bb"},
		"|b a": {"bb", "aa"},
		"b|b":  {"bb", "bb"},
	})
}

func TestAll(t *testing.T) {
	t.Parallel()
	eachOrder(t, func(ctx workflow.Context, a, b *workflow.Hook[string]) ([]string, error) {
		return workflow.All(ctx, b.Wait, a.Wait)
	}, map[string][]string{
		"a b|": {"b", "a"},
		"|a b": {"b", "a"},
		"b|a":  {"b", "a"},
	})
}

// inWorkflow executes body as a workflow and returns what it comes to.
func inWorkflow(t *testing.T, body func(ctx workflow.Context) (string, error)) (got string, err error) {
	t.Helper()
	inLab(t, func(_ *testing.T, l *lab) {
		wf := workflow.Define("body", func(ctx workflow.Context, _ string) (string, error) { return body(ctx) })
		l.run(engine.Options{CacheSize: noCache}, wf)
		got, err = resultSoon(l, mustStart(l, wf, ""))
	})
	return got, err
}

func TestSelectPoll(t *testing.T) {
	t.Parallel()
	got, err := inWorkflow(t, func(ctx workflow.Context) (string, error) {
		began := workflow.Now(ctx)
		never := workflow.Go(ctx, func(ctx workflow.Context) (int, error) { return 0, workflow.Sleep(ctx, time.Hour) })
		var polled strings.Builder
		for range 3 {
			err := workflow.Select(ctx,
				workflow.OnDone(never, func(int, error) error { return errors.New("it is not ready") }),
				workflow.OnTimer(0, func() error { polled.WriteString("p"); return nil }))
			if err != nil {
				return "", err
			}
		}
		return fmt.Sprint(polled.String(), workflow.Now(ctx).Sub(began)), nil
	})
	if got != "ppp0s" || err != nil {
		t.Errorf("result is %q, error %v", got, err)
	}
}

func TestSelectErrors(t *testing.T) {
	t.Parallel()
	errMine := errors.New("mine")
	got, err := inWorkflow(t, func(ctx workflow.Context) (string, error) {
		if err := workflow.Select(ctx); err == nil {
			return "no case at all", nil
		}
		if err := workflow.Select(ctx, nil, nil); err == nil {
			return "only nil cases", nil
		}
		if _, _, err := workflow.First[int](ctx); err == nil {
			return "no function at all", nil
		}
		if all, err := workflow.All[int](ctx); len(all) != 0 || err != nil {
			return "all of nothing", err
		}
		err := workflow.Select(ctx, workflow.OnTimer(time.Second, func() error { return errMine }))
		if err != errMine { //nolint:errorlint // as it was returned
			return "the function's error", err
		}
		hook, err := workflow.NewHook[int](ctx)
		if err != nil {
			return "", err
		}
		hook.Close()
		if err := workflow.Select(ctx, workflow.OnPayload(hook, func(int) error { return nil })); !errors.Is(err, workflow.ErrHookClosed) {
			return "a closed hook", err
		}
		inner, cancel := workflow.WithCancel(ctx)
		cancel()
		taken := false
		err = workflow.Select(inner, workflow.OnTimer(0, func() error { taken = true; return nil }))
		if !errors.Is(err, context.Canceled) || taken {
			return "an ended context", err
		}
		i, _, err := workflow.First(inner, func(workflow.Context) (int, error) { return 1, nil })
		if i != -1 || !errors.Is(err, context.Canceled) {
			return "First with an ended context", err
		}
		return "fine", nil
	})
	if got != "fine" || err != nil {
		t.Errorf("%s: %v", got, err)
	}
}

// The timer of a Select that lost is stopped: it is not in the journal later.
func TestSelectTimerStops(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("race", func(ctx workflow.Context, _ string) (string, error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token("race"))
			if err != nil {
				return "", err
			}
			var got strings.Builder
			for range 2 {
				err := workflow.Select(ctx,
					workflow.OnPayload(hook, func(s string) error { got.WriteString(s); return nil }),
					workflow.OnTimer(2*time.Hour, func() error { got.WriteString("late"); return nil }))
				if err != nil {
					return "", err
				}
			}
			return got.String(), nil
		})
		l.run(engine.Options{CacheSize: noCache}, wf)
		r := mustStart(l, wf, "")
		l.advance(time.Hour)
		l.resume("race", "a")
		l.advance(90 * time.Minute) // past the first timer, not the second
		wantStatus(l, r, workflow.StatusWaiting)
		if got := mustResult(l, r); got != "alate" {
			t.Errorf("result is %q", got)
		}
		timers := 0
		for _, e := range l.journal(r.ID()) {
			if strings.HasPrefix(e, "timer_fired") {
				timers++
			}
		}
		if timers != 1 {
			t.Errorf("%d timers fired, want 1: %q", timers, l.journal(r.ID()))
		}
	})
}

// A case can be used in one Select after another; the time of a timer starts over.
func TestACaseCanBeUsedAgain(t *testing.T) {
	t.Parallel()
	got, err := inWorkflow(t, func(ctx workflow.Context) (string, error) {
		began := workflow.Now(ctx)
		hourly := workflow.OnTimer(time.Hour, func() error { return nil })
		for range 3 {
			if err := workflow.Select(ctx, hourly); err != nil {
				return "", err
			}
		}
		return workflow.Now(ctx).Sub(began).Truncate(time.Minute).String(), nil
	})
	if got != "3h0m0s" || err != nil {
		t.Errorf("took %s, %v; want 3 hours", got, err)
	}
}

// First cancels the losers: their steps are stopped and their branches unwound.
func TestFirstCancelsLosers(t *testing.T) {
	t.Parallel()
	loser := ""
	got, err := inWorkflow(t, func(ctx workflow.Context) (string, error) {
		i, s, err := workflow.First(ctx,
			func(ctx workflow.Context) (string, error) {
				err := workflow.Do(ctx, "long", func(ctx context.Context) error {
					<-ctx.Done()
					return ctx.Err()
				})
				loser = fmt.Sprint(errors.Is(err, context.Canceled))
				return "", err
			},
			func(ctx workflow.Context) (string, error) { return "quick", workflow.Sleep(ctx, time.Minute) })
		if err != nil {
			return "", err
		}
		return fmt.Sprint(i, s), workflow.Sleep(ctx, time.Minute)
	})
	if got != "1quick" || err != nil || loser != "true" {
		t.Errorf("result is %q, error %v, loser %q", got, err, loser)
	}
}

func TestFirstError(t *testing.T) {
	t.Parallel()
	_, err := inWorkflow(t, func(ctx workflow.Context) (string, error) {
		_, _, err := workflow.First(ctx,
			func(ctx workflow.Context) (int, error) { return 1, workflow.Sleep(ctx, time.Hour) },
			func(workflow.Context) (int, error) { return 0, errors.New("the first to return") })
		return "", err
	})
	if err == nil || !strings.Contains(err.Error(), "the first to return") {
		t.Errorf("error is %v", err)
	}
}

// The first error cancels the rest of All, and is returned when they have returned.
func TestAllError(t *testing.T) {
	t.Parallel()
	var ended []string
	_, err := inWorkflow(t, func(ctx workflow.Context) (string, error) {
		ended = nil
		wait := func(name string, d time.Duration, err error) func(workflow.Context) (string, error) {
			return func(ctx workflow.Context) (string, error) {
				slept := workflow.Sleep(ctx, d)
				ended = append(ended, fmt.Sprint(name, " ", slept))
				if slept != nil {
					return "", slept
				}
				return name, err
			}
		}
		_, err := workflow.All(ctx, wait("a", time.Hour, nil), wait("b", time.Minute, errors.New("b failed")), wait("c", time.Second, nil))
		if err != nil && len(ended) < 3 {
			return "", fmt.Errorf("returned while others had not: %q", ended)
		}
		return "", err
	})
	if err == nil || !strings.Contains(err.Error(), "b failed") {
		t.Errorf("error is %v, want b's", err)
	}
	if diff := cmp.Diff([]string{"c <nil>", "b <nil>", "a context canceled"}, ended); diff != "" {
		t.Error(diff)
	}
}

// A Future can be waited for more than once, by several branches.
func TestFutureWaits(t *testing.T) {
	t.Parallel()
	got, err := inWorkflow(t, func(ctx workflow.Context) (string, error) {
		f := workflow.Go(ctx, func(ctx workflow.Context) (string, error) { return "x", workflow.Sleep(ctx, time.Minute) })
		all, err := workflow.All(ctx, f.Wait, f.Wait, f.Wait)
		if err != nil {
			return "", err
		}
		last, err := f.Wait(ctx)
		return strings.Join(all, "") + last, err
	})
	if got != "xxxx" || err != nil {
		t.Errorf("result is %q, error %v", got, err)
	}
}

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// fleet is a few engines on one database, each with its own view of it.
type fleet struct {
	*lab
	probes  []*probe
	engines []*engine.Engine
	logs    []*logbook
	stops   []func() error
}

func (l *lab) fleet(n int, defs ...workflow.Definition) *fleet {
	l.Helper()
	f := &fleet{lab: l}
	for range n {
		f.join(newProbe(l.store), engine.Options{}, defs...)
	}
	l.stop = func() error {
		var errs []error
		for _, stop := range f.stops {
			errs = append(errs, stop())
		}
		return errors.Join(errs...)
	}
	return f
}

func (f *fleet) join(p *probe, opts engine.Options, defs ...workflow.Definition) {
	f.Helper()
	logs := &logbook{}
	opts.Logger = slog.New(slog.NewTextHandler(logs, nil))
	e, stop := f.runOn(p, opts, defs...)
	f.probes, f.engines, f.logs, f.stops = append(f.probes, p), append(f.engines, e), append(f.logs, logs), append(f.stops, stop)
}

func (f *fleet) fail(down func(op string) bool) {
	for _, p := range f.probes {
		p.fail(down)
	}
}

// busy is a workflow that always has something to do: steps, a hook, a timer.
type busy struct {
	mu       sync.Mutex
	executed map[string]int // by run and step
}

func (b *busy) workflow() *workflow.Workflow[int, string] {
	return workflow.Define("busy", func(ctx workflow.Context, n int) (string, error) {
		h, err := workflow.NewHook[string](ctx, workflow.Token(fmt.Sprint("t", n)))
		if err != nil {
			return "", err
		}
		for i := range 3 {
			if err := workflow.Do(ctx, fmt.Sprint("s", i), func(ctx context.Context) error {
				b.mu.Lock()
				b.executed[workflow.InfoOf(ctx).StepID]++
				b.mu.Unlock()
				select {
				case <-time.After(time.Duration(1+n%60) * time.Second):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}); err != nil {
				return "", err
			}
			if err := workflow.Sleep(ctx, time.Duration(n%30)*time.Second); err != nil {
				return "", err
			}
		}
		return h.Wait(ctx)
	})
}

// While a database fails everybody waits; then all goes on as if nothing had been.
func TestOutage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		down  func(op string) bool
		lasts time.Duration
		runs  int
	}{
		"of seconds":        {everything, 3 * time.Second, 60},
		"of minutes":        {everything, 5*time.Minute + 10*time.Second, 300},
		"of writes":         {writes, 5*time.Minute + 10*time.Second, 60},
		"of all but leases": {func(op string) bool { return op != "Renew" }, 5*time.Minute + 10*time.Second, 60},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				const workers = 3
				b := &busy{executed: map[string]int{}}
				wf := b.workflow()
				f := l.fleet(workers, wf)
				for n := range tt.runs {
					if _, err := wf.Start(t.Context(), f.engines[n%workers], n, workflow.RunID(fmt.Sprint("r", n))); err != nil {
						t.Fatal(err)
					}
				}
				l.advance(20 * time.Second)
				f.fail(tt.down)
				l.advance(tt.lasts)
				f.fail(nil)
				l.advance(20 * time.Second)
				for i, logs := range f.logs {
					wantTrouble(t, i, logs, tt.lasts)
				}
				l.advance(10 * time.Minute)
				for n := range tt.runs {
					if _, err := workflow.Resume(t.Context(), f.engines[n%workers], fmt.Sprint("t", n), "x"); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				for n := range tt.runs {
					got, err := wf.Get(f.engines[0], fmt.Sprint("r", n)).Result(t.Context())
					if err != nil || got != "x" {
						t.Fatalf("run %d: %q, %v", n, got, err)
					}
				}
				for id, n := range b.executed {
					if n > 1 {
						t.Errorf("step %s was executed %d times", id, n)
					}
				}
			})
		})
	}
}

// wantTrouble checks that the log of a worker tells what it has to about an outage.
func wantTrouble(t *testing.T, worker int, logs *logbook, lasted time.Duration) {
	t.Helper()
	text := logs.String()
	minutes := int(lasted / time.Minute)
	if n := logs.count("the store fails"); n != 1 {
		t.Errorf("worker %d: the outage begins %d times", worker, n)
	}
	if n := logs.count("the store still fails"); n < minutes-1 || n > minutes+1 {
		t.Errorf("worker %d: the log has %d reminders in %v", worker, n, lasted)
	}
	if n := logs.count("the store works again"); n != 1 {
		t.Errorf("worker %d: the outage is over %d times", worker, n)
	}
	if n := strings.Count(text, "\n"); n > minutes+6 {
		t.Errorf("worker %d: %d lines", worker, n)
	}
	for _, part := range []string{"connection refused", "lab.db"} {
		if !strings.Contains(text, part) {
			t.Errorf("worker %d: %q is not in the log", worker, part)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// Failures that come and go are one trouble.
func TestFlickeringStore(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		b := &busy{executed: map[string]int{}}
		wf := b.workflow()
		f := l.fleet(1, wf)
		for n := range 30 {
			if _, err := wf.Start(t.Context(), f.engines[0], n); err != nil {
				t.Fatal(err)
			}
		}
		var ops atomic.Int64
		f.fail(func(op string) bool { return ops.Add(1)%3 == 0 })
		l.advance(2 * time.Minute)
		f.fail(nil)
		l.advance(time.Minute)
		if n := strings.Count(f.logs[0].String(), "\n"); n > 10 {
			t.Errorf("%d lines:\n%s", n, f.logs[0])
		}
		if n := f.logs[0].count("the store works again"); n < 1 || n != f.logs[0].count("the store fails") {
			t.Errorf("it does not end as often as it begins:\n%s", f.logs[0])
		}
		for id, n := range b.executed {
			if n > 1 {
				t.Errorf("step %s was executed %d times", id, n)
			}
		}
	})
}

// What is asked of an engine while its store fails gets the error, soon, and it says
// what failed.
func TestVerbsDuringAnOutage(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		f := l.fleet(1, tokenWaiter, collector)
		e := f.engines[0]
		live := mustStartOn(l, e, collector, "live")
		other := mustStartOn(l, e, tokenWaiter, "t")
		e.Evict()
		l.resume2(e, "live", "x")
		f.fail(everything)
		began := time.Now()
		for name, verb := range map[string]func(ctx context.Context) error{
			"start":  func(ctx context.Context) error { _, err := tokenWaiter.Start(ctx, e, "u"); return err },
			"resume": func(ctx context.Context) error { _, err := workflow.Resume(ctx, e, "t", "x"); return err },
			"live":   func(ctx context.Context) error { _, err := workflow.Resume(ctx, e, "live", "y"); return err },
			"keyed": func(ctx context.Context) error {
				_, err := workflow.Resume(ctx, e, "live", "y", workflow.IdempotencyKey("k"))
				return err
			},
			"cancel":    other.Cancel,
			"terminate": func(ctx context.Context) error { return other.Terminate(ctx, "") },
			"wake":      other.Wake,
			"retry":     other.Retry,
			"result":    func(ctx context.Context) error { _, err := other.Result(ctx); return err },
			"info":      func(ctx context.Context) error { _, err := other.Info(ctx); return err },
			"runs":      func(ctx context.Context) error { _, err := e.Runs(ctx, inspect.RunFilter{}); return err },
			"hooks": func(ctx context.Context) error {
				_, err := e.Hooks(ctx, inspect.HookFilter{RunID: other.ID()})
				return err
			},
			"hook":    func(ctx context.Context) error { _, err := e.HookByToken(ctx, "t"); return err },
			"journal": func(ctx context.Context) error { _, err := e.Journal(ctx, other.ID(), 0, 0); return err },
			"mailbox": func(ctx context.Context) error { _, err := e.Mailbox(ctx, other.ID()); return err },
			"webhook": func(ctx context.Context) error { _, err := e.Webhook(ctx, "t"); return err },
		} {
			err := verb(t.Context())
			if !errors.Is(err, errDown) || strings.HasPrefix(err.Error(), "injected") {
				t.Errorf("%s: error is %v", name, err)
			}
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("all that took %v", took)
		}
		f.fail(nil)
		l.advance(10 * time.Second)
		l.resume2(e, "live", "end")
		got := mustResult(l, live)
		if len(got) < 1 || len(got) > 3 || got[0] != "x" {
			t.Errorf("got %q", got)
		}
		l.resume2(e, "t", "x")
		mustResult(l, other)
	})
}

func mustStartOn[In, Out any](l *lab, e *engine.Engine, w *workflow.Workflow[In, Out], in In) *workflow.Run[Out] {
	l.Helper()
	r, err := w.Start(l.Context(), e, in)
	if err != nil {
		l.Fatal(err)
	}
	synctest.Wait()
	return r
}

// resume2 sends a payload through one of several engines.
func (l *lab) resume2(e *engine.Engine, token string, payload any) {
	l.Helper()
	if _, err := workflow.Resume(l.Context(), e, token, payload); err != nil {
		l.Fatal(err)
	}
	synctest.Wait()
}

// A caller that waits for a result when the store begins to fail continues to wait.
func TestResultSurvivesAnOutage(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		f := l.fleet(1, tokenWaiter)
		p := newProbe(l.store)
		p.deaf = true
		client, err := engine.New(p, engine.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = client.Close() }()
		r := mustStartOn(l, client, tokenWaiter, "t")
		result := make(chan error, 1)
		go func() {
			got, err := r.Result(t.Context())
			if err == nil && got != "x" {
				err = fmt.Errorf("result is %q", got)
			}
			result <- err
		}()
		l.advance(time.Minute)
		p.fail(everything)
		l.resume2(f.engines[0], "t", "x")
		l.advance(10 * time.Minute)
		select {
		case err := <-result:
			t.Fatalf("it ended: %v", err)
		default:
		}
		p.fail(nil)
		l.advance(15 * time.Second)
		select {
		case err := <-result:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("it does not notice that the store works again")
			synctest.Wait()
		}
	})
}

// A worker begins while its store fails, and ends while it does.
func TestBeginAndEndDuringAnOutage(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		p := newProbe(l.store)
		p.fail(everything)
		wf := define("w")
		e, stop := l.runOn(p, engine.Options{}, wf)
		l.advance(2 * time.Minute)
		p.fail(nil)
		l.advance(15 * time.Second)
		if got := mustResult(l, mustStartOn(l, e, wf, "x")); got != "x" {
			t.Errorf("result is %q", got)
		}
		p.fail(everything)
		l.advance(time.Minute)
		if err := stop(); err != nil {
			t.Errorf("it owned nothing, and stopping it fails: %v", err)
		}

		s := &stepper{takes: 10 * time.Second}
		long := s.workflow()
		p = newProbe(l.store)
		e, stop = l.runOn(p, engine.Options{}, long)
		mustStartOn(l, e, long, "")
		p.fail(everything)
		l.advance(time.Minute)
		if err := stop(); err == nil || !strings.Contains(err.Error(), "the store failed") {
			t.Errorf("it could not hand its run over, and says %v", err)
		}
	})
}

package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/memdir"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// soon is a bound that no caller whose run's code holds it up may exceed. The engine's own
// is far below; time is fake.
const soon = time.Second

// stuckCode is workflow code that blocks on a plain channel, as often as it is executed.
type stuckCode struct {
	entered  chan struct{} // gets one each time
	released chan struct{}
}

func newStuckCode() *stuckCode {
	return &stuckCode{make(chan struct{}, 100), make(chan struct{})}
}

func (s *stuckCode) block() {
	s.entered <- struct{}{}
	<-s.released
}

// Start returns when the run is durable, whatever the run's first code does.
func TestStartOfCodeThatDoesNotYield(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		code := newStuckCode()
		wf := workflow.Define("stuck", func(ctx workflow.Context, in string) (string, error) {
			code.block()
			return workflow.Step(ctx, "after", func(context.Context) (string, error) { return in + "!", nil })
		})
		l.run(engine.Options{}, wf)
		began := time.Now()
		r := mustStart(l, wf, "in", workflow.RunID("stuck-1"))
		if took := time.Since(began); took > soon {
			t.Errorf("Start took %v", took)
		}
		if _, err := l.store.Run(t.Context(), r.ID()); err != nil {
			t.Fatalf("the run is not durable: %v", err)
		}
		_, err := wf.Start(t.Context(), l.eng, "again", workflow.RunID("stuck-1"))
		wantIs(l, err, workflow.ErrRunExists)
		close(code.released)
		if got := mustResult(l, r); got != "in!" {
			t.Errorf("result is %q", got)
		}
		if err := l.stop(); err != nil {
			t.Error(err)
		}
	})
}

// A run whose first code does not yield is seen and can be terminated.
func TestTerminateBeforeTheFirstCall(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		code := newStuckCode()
		wf := workflow.Define("stuck", func(workflow.Context, string) (string, error) {
			code.block()
			return "too late", nil
		})
		l.run(engine.Options{DrainTimeout: time.Second}, wf)
		r := mustStart(l, wf, "")
		l.advance(time.Minute)
		info := wantStatus(l, r, workflow.StatusRunning)
		if info.Events != 0 || info.Worker == "" {
			t.Errorf("%d events, worker %q", info.Events, info.Worker)
		}
		d, err := inspect.Load(t.Context(), l.eng, r.ID())
		if err != nil {
			t.Fatal(err)
		}
		wantContains(l, d.Explain(l.store.Now()), "its first code, which worker "+info.Worker+" executes, since 1 min")
		if err := r.Cancel(t.Context()); err != nil {
			t.Error(err)
		}
		if err := r.Wake(t.Context()); err != nil {
			t.Error(err)
		}
		if err := r.Terminate(t.Context(), "it hangs"); err != nil {
			t.Fatal(err)
		}
		wantIs(l, mustFail(l, r), workflow.ErrTerminated)
		close(code.released)
		l.advance(time.Minute)
		wantStatus(l, r, workflow.StatusCanceled)
		if got := l.journal(r.ID()); len(got) != 1 {
			t.Errorf("the journal is %v", got)
		}
	})
}

// A payload is acknowledged when it is durable, whatever the code does that it wakes; and
// the code gets it once.
func TestResumeOfCodeThatDoesNotYield(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		code := newStuckCode()
		wf := workflow.Define("stuck", func(ctx workflow.Context, token string) (got []string, err error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
			for err == nil && len(got) < 3 {
				var one string
				if one, err = hook.Wait(ctx); err == nil {
					code.block()
					got = append(got, one)
				}
			}
			return got, err
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "t")
		for _, payload := range []string{"a", "b", "c"} {
			began := time.Now()
			l.resume("t", payload)
			if took := time.Since(began); took > soon {
				t.Errorf("Resume took %v", took)
			}
		}
		close(code.released)
		got := mustResult(l, r)
		if len(got) != 3 || got[0] != "a" || got[1] != "b" || got[2] != "c" {
			t.Errorf("the code got %q", got)
		}
	})
}

// A payload that was withdrawn and then could not be sent otherwise was not sent: its
// caller was told so.
func TestWithdrawnPayloadIsGone(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		code := newStuckCode()
		wf := workflow.Define("stuck", func(ctx workflow.Context, token string) (got []string, err error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
			for err == nil && (len(got) == 0 || got[len(got)-1] != "last") {
				var one string
				if one, err = hook.Wait(ctx); err == nil {
					code.block()
					got = append(got, one)
				}
			}
			return got, err
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "t")
		failed := make(chan error)
		l.gate.set(func(g *gate) { g.refuse = errors.New("not now") })
		go func() {
			_, err := workflow.Resume(t.Context(), l.eng, "t", "lost")
			failed <- err
		}()
		if err := <-failed; err == nil {
			t.Fatal("accepted by a store that refuses it")
		}
		l.gate.set(func(g *gate) { g.refuse = nil })
		close(code.released)
		synctest.Wait()
		l.resume("t", "last")
		if got := mustResult(l, r); len(got) != 1 || got[0] != "last" {
			t.Errorf("the code got %q", got)
		}
	})
}

// What has no timer to wait for and no channel: an endless loop, a mutex. All is real
// here, for a bubble never comes to rest beside them.
func TestStartOfCodeThatSpins(t *testing.T) {
	t.Parallel()
	for name, block := range map[string]func(stop *atomic.Bool, mu *sync.Mutex){
		"endless loop": func(stop *atomic.Bool, _ *sync.Mutex) {
			for !stop.Load() {
			}
		},
		"mutex": func(_ *atomic.Bool, mu *sync.Mutex) {
			mu.Lock()
			defer mu.Unlock()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, err := sqlite.Open(filepath.Join(memdir.TempDir(t), "spin.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = st.Close() }()
			var stop atomic.Bool
			var mu sync.Mutex
			wf := workflow.Define("spin", func(workflow.Context, string) (string, error) {
				block(&stop, &mu)
				return "done", nil
			})
			eng, err := engine.New(st, engine.Options{Workflows: []workflow.Definition{wf}, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			running := make(chan error, 1)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { running <- eng.Run(ctx) }()
			mu.Lock()
			r, err := wf.Start(t.Context(), eng, "", workflow.RunID("spin-1"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := st.Run(t.Context(), "spin-1"); err != nil {
				t.Errorf("the run is not durable: %v", err)
			}
			stop.Store(true)
			mu.Unlock()
			if got, err := r.Result(t.Context()); err != nil || got != "done" {
				t.Errorf("result is %q, %v", got, err)
			}
			cancel()
			if err := errors.Join(<-running, eng.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// What makes a run's code go on beside callers of its own process: none of it waits for code
// that does not yield, and all of it is durable.
func TestNobodyWaitsForCodeThatDoesNotYield(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		code := newStuckCode()
		child := workflow.Define("child", func(workflow.Context, string) (string, error) {
			code.block()
			return "child", nil
		})
		parent := workflow.Define("parent", func(ctx workflow.Context, _ string) (string, error) {
			c := child.Go(ctx, "")
			if err := workflow.Do(ctx, "after", func(context.Context) error { return nil }); err != nil {
				return "", err
			}
			return c.Wait(ctx)
		})
		first := workflow.Define("first", func(ctx workflow.Context, token string) (string, error) {
			code.block()
			hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
			if err != nil {
				return "", err
			}
			return hook.Wait(ctx)
		})
		web := workflow.Define("web", func(ctx workflow.Context, token string) (string, error) {
			hook, err := workflow.NewWebhook(ctx, workflow.Token(token), workflow.RespondManually())
			if err != nil {
				return "", err
			}
			req, err := hook.Wait(ctx)
			if err != nil {
				return "", err
			}
			code.block()
			return string(req.Body), req.Respond(ctx, workflow.Response{Status: 200, Body: []byte("hello")})
		})
		l.run(engine.Options{PublicURL: "https://example.com"}, child, parent, first, web)
		prompt := func(what string, f func()) {
			began := time.Now()
			f()
			if took := time.Since(began); took > soon {
				t.Errorf("%s took %v", what, took)
			}
		}
		var p *workflow.Run[string]
		prompt("to start a parent", func() { p = mustStart(l, parent, "") })
		l.advance(time.Minute)
		if got := l.journal(p.ID()); len(got) != 2 {
			t.Errorf("the journal of a parent whose child blocks is %v", got)
		}
		prompt("OrStart", func() {
			l.resume("t", "payload", workflow.OrStart(first, "t", workflow.RunID("first-1")))
		})
		prompt("a second payload", func() { l.resume("t", "another") })
		w := mustStart(l, web, "w")
		hook, err := l.eng.Webhook(t.Context(), "w")
		if err != nil {
			t.Fatal(err)
		}
		answered := make(chan workflow.Response, 1)
		go func() {
			resp, err := hook.Deliver(t.Context(), &workflow.Request{Method: "POST", URL: &url.URL{}, Body: []byte("body")})
			if err != nil {
				t.Errorf("deliver: %v", err)
			}
			answered <- resp
		}()
		l.advance(5 * time.Second)
		if mail, err := l.eng.Mailbox(t.Context(), w.ID()); err != nil || len(mail) != 1 {
			t.Errorf("the mailbox of the webhook's run has %v, %v: the request is not durable", mail, err)
		}
		close(code.released)
		if got := <-answered; got.Status != 200 || string(got.Body) != "hello" {
			t.Errorf("answer %d %q", got.Status, got.Body)
		}
		for _, r := range []struct {
			run  *workflow.Run[string]
			want string
		}{{p, "child"}, {w, "body"}, {workflow.Get[string](l.eng, "first-1"), "payload"}} {
			if got := mustResult(l, r.run); got != r.want {
				t.Errorf("run %s came to %q, want %q", r.run.ID(), got, r.want)
			}
		}
	})
}

// Start gives up when its context ends, and a worker can be stopped, or die, beside code
// that blocks: the next one goes on with the run.
func TestLeaveCodeThatDoesNotYield(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(l *lab){
		"stop": func(l *lab) {
			began := time.Now()
			if err := l.stop(); err == nil {
				l.Error("stopped without a word about the code that did not end")
			}
			if took := time.Since(began); took > 5*time.Second {
				l.Errorf("took %v", took)
			}
			l.stop = func() error { return nil }
		},
		"kill": func(l *lab) { l.kill() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				code := newStuckCode()
				var mended atomic.Bool
				wf := workflow.Define("stuck", func(_ workflow.Context, in string) (string, error) {
					if !mended.Load() {
						code.block()
					}
					return in, nil
				})
				l.run(engine.Options{DrainTimeout: 3 * time.Second}, wf)
				ctx, cancel := context.WithCancel(t.Context())
				failed := make(chan error)
				go func() {
					_, err := wf.Start(ctx, l.eng, "x")
					failed <- err
				}()
				<-code.entered
				cancel()
				wantIs(l, <-failed, context.Canceled)
				r := mustStart(l, wf, "in", workflow.RunID("stuck-1"))
				leave(l)
				mended.Store(true)
				l.run(engine.Options{}, wf)
				if got := mustResult(l, workflow.Get[string](l.eng, r.ID())); got != "in" {
					t.Errorf("result is %q", got)
				}
				close(code.released)
				synctest.Wait()
			})
		})
	}
}

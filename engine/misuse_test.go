package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/sender"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

func define(name string, opts ...workflow.DefineOption) *workflow.Workflow[string, string] {
	return workflow.Define(name, func(_ workflow.Context, in string) (string, error) { return in, nil }, opts...)
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	hooks := func(h ...workflow.HookDefinition) engine.Options { return engine.Options{Hooks: h} }
	workflows := func(d ...workflow.Definition) engine.Options { return engine.Options{Workflows: d} }
	for name, tt := range map[string]struct {
		opts engine.Options
		want string
	}{
		"a workflow twice":         {workflows(define("a"), define("a")), `"a" version 1 is defined twice`},
		"a version twice":          {workflows(define("a", workflow.Version(2)), define("a"), define("a", workflow.Version(2))), "version 2 is defined twice"},
		"version 0":                {workflows(define("a", workflow.Version(0))), "versions count from 1"},
		"a version too high":       {workflows(define("a", workflow.Version(tooHigh()))), "up to 2147483647"},
		"an empty name":            {workflows(define("")), "empty"},
		"a name of two lines":      {workflows(define("a\nb")), "control characters"},
		"a nil workflow":           {workflows(nil), "nil"},
		"a nil *Workflow":          {workflows((*workflow.Workflow[int, int])(nil)), "nil"},
		"a nil function":           {workflows(workflow.Define[int, int]("a", nil)), "function is nil"},
		"a declared workflow":      {workflows(workflow.Declare[int, int]("a")), "declared but not implemented"},
		"a hook type twice":        {hooks(workflow.DefineHook[int]("h"), workflow.DefineHook[string]("h")), `"h" is defined twice`},
		"a nil hook type":          {hooks(nil), "nil"},
		"a nil *HookType":          {hooks((*workflow.HookType[int])(nil)), "empty"},
		"a nil sender":             {engine.Options{Senders: map[string]*sender.Sender{"hub": nil}}, `sender "hub" is nil`},
		"a hook type with no name": {hooks(workflow.DefineHook[int]("")), "empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				_, err := engine.New(l.store, tt.opts)
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error is %v, want one with %q", err, tt.want)
				}
			})
		})
	}
	if _, err := engine.New(nil, engine.Options{}); err == nil {
		t.Error("a nil store is accepted")
	}
}

// verbs are all that a client can do.
var verbs = map[string]func(context.Context, workflow.Client) error{
	"Start": func(ctx context.Context, c workflow.Client) error {
		_, err := define("a").Start(ctx, c, "")
		return err
	},
	"Result": func(ctx context.Context, c workflow.Client) error {
		_, err := workflow.Get[string](c, "r").Result(ctx)
		return err
	},
	"Info": func(ctx context.Context, c workflow.Client) error {
		_, err := workflow.Get[string](c, "r").Info(ctx)
		return err
	},
	"Status": func(ctx context.Context, c workflow.Client) error {
		_, err := workflow.Get[string](c, "r").Status(ctx)
		return err
	},
	"Cancel": func(ctx context.Context, c workflow.Client) error { return workflow.Get[string](c, "r").Cancel(ctx) },
	"Terminate": func(ctx context.Context, c workflow.Client) error {
		return workflow.Get[string](c, "r").Terminate(ctx, "")
	},
	"Wake":  func(ctx context.Context, c workflow.Client) error { return workflow.Get[string](c, "r").Wake(ctx) },
	"Retry": func(ctx context.Context, c workflow.Client) error { return workflow.Get[string](c, "r").Retry(ctx) },
	"HookType.Resume": func(ctx context.Context, c workflow.Client) error {
		_, err := workflow.DefineHook[string]("h").Resume(ctx, c, "t", "")
		return err
	},
}

// engineVerbs are those that an engine has on top.
var engineVerbs = map[string]func(context.Context, *engine.Engine) error{
	"Resume": func(ctx context.Context, e *engine.Engine) error {
		_, err := workflow.Resume(ctx, e, "t", "")
		return err
	},
	"HookByToken": func(ctx context.Context, e *engine.Engine) error { _, err := e.HookByToken(ctx, "t"); return err },
	"Runs": func(ctx context.Context, e *engine.Engine) error {
		_, err := e.Runs(ctx, inspect.RunFilter{})
		return err
	},
	"CountRuns": func(ctx context.Context, e *engine.Engine) error { _, err := e.CountRuns(ctx); return err },
	"Catalog":   func(ctx context.Context, e *engine.Engine) error { _, err := e.Catalog(ctx); return err },
	"Executing": func(ctx context.Context, e *engine.Engine) error { _, err := e.Executing(ctx, "r"); return err },
	"Watch":     func(ctx context.Context, e *engine.Engine) error { return e.Watch(ctx, "r", func(inspect.Change) {}) },
	"Hooks": func(ctx context.Context, e *engine.Engine) error {
		_, err := e.Hooks(ctx, inspect.HookFilter{})
		return err
	},
	"Mailbox": func(ctx context.Context, e *engine.Engine) error { _, err := e.Mailbox(ctx, "r"); return err },
	"Journal": func(ctx context.Context, e *engine.Engine) error { _, err := e.Journal(ctx, "r", 0, 0); return err },
	"Run":     func(ctx context.Context, e *engine.Engine) error { return e.Run(ctx) },
}

// eachVerb calls all verbs and checks their errors.
func eachVerb(ctx context.Context, e *engine.Engine, check func(error) bool) (wrong error) {
	note := func(verb string, err error) {
		if !check(err) {
			wrong = errors.Join(wrong, fmt.Errorf("%s: %w", verb, err))
		}
	}
	for name, verb := range verbs {
		note(name, verb(ctx, e))
	}
	for name, verb := range engineVerbs {
		note(name, verb(ctx, e))
	}
	return wrong
}

func TestNilClient(t *testing.T) {
	t.Parallel()
	says := func(err error) bool { return err != nil && strings.Contains(err.Error(), "nil") }
	for name, verb := range verbs {
		if err := verb(t.Context(), nil); !says(err) {
			t.Errorf("%s on a nil client: %v", name, err)
		}
	}
	if err := eachVerb(t.Context(), nil, says); err != nil {
		t.Errorf("on a nil *Engine: %v", err)
	}
	if err := (*engine.Engine)(nil).Close(); err != nil {
		t.Errorf("close a nil *Engine: %v", err)
	}
}

func TestClosedEngine(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := define("a")
		l.run(engine.Options{}, wf)
		waiting := make(chan error, 1)
		sleeper := workflow.Define("sleeper", func(ctx workflow.Context, _ string) (string, error) {
			return "", workflow.Sleep(ctx, time.Hour)
		})
		l.run(engine.Options{}, wf, sleeper)
		r := mustStart(l, sleeper, "")
		go func() {
			_, err := r.Result(t.Context())
			waiting <- err
		}()
		l.advance(time.Second)
		if err := l.stop(); err != nil {
			t.Fatal(err)
		}
		wantIs(l, <-waiting, workflow.ErrEngineClosed)
		closed := func(err error) bool { return errors.Is(err, workflow.ErrEngineClosed) }
		if err := eachVerb(t.Context(), l.eng, closed); err != nil {
			t.Error(err)
		}
		if err := l.eng.Close(); err != nil {
			t.Errorf("close again: %v", err)
		}
	})
}

func TestClosedStore(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		e, err := engine.New(l.store, engine.Options{Workflows: []workflow.Definition{define("a")}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = e.Close() }()
		if err := l.store.Close(); err != nil {
			t.Fatal(err)
		}
		closed := func(err error) bool { return errors.Is(err, store.ErrClosed) }
		if err := eachVerb(t.Context(), e, closed); err != nil {
			t.Error(err)
		}
	})
}

// The store goes away under an engine at work: it can still be stopped.
func TestStoreClosedUnderWorker(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("a", func(ctx workflow.Context, _ string) (string, error) {
			return "", workflow.Sleep(ctx, time.Minute)
		})
		l.run(engine.Options{}, wf)
		mustStart(l, wf, "")
		if err := l.store.Close(); err != nil {
			t.Fatal(err)
		}
		l.advance(time.Hour)
		if n := l.logs.count("level=ERROR"); n == 0 || n > 400 {
			t.Errorf("%d errors logged in an hour, want one every ten seconds or so", n)
		}
		began := time.Now()
		_ = l.stop() // with an error or without
		if took := time.Since(began); took > time.Minute {
			t.Errorf("stopping took %v", took)
		}
	})
}

// A workflow that is given a client can't use it.
func TestClientInWorkflow(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		says := func(err error) bool {
			return err != nil && strings.Contains(err.Error(), "step") && strings.Contains(err.Error(), "Call")
		}
		wf := workflow.Define("a", func(ctx workflow.Context, _ string) (string, error) {
			if err := eachVerb(ctx, l.eng, says); err != nil {
				return "", err
			}
			wrapped, cancel := context.WithCancel(ctx)
			defer cancel()
			return "refused", eachVerb(wrapped, l.eng, says)
		})
		l.run(engine.Options{}, wf)
		if got := mustResult(l, mustStart(l, wf, "")); got != "refused" {
			t.Errorf("result is %q", got)
		}
	})
}

// A step can use the client that ClientFrom gives it.
func TestClientInStep(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		echo := define("echo")
		wf := workflow.Define("a", func(ctx workflow.Context, _ string) (string, error) {
			return workflow.Step(ctx, "ask", func(ctx context.Context) (string, error) {
				r, err := echo.Start(ctx, workflow.ClientFrom(ctx), "hello", workflow.RunID(workflow.InfoOf(ctx).StepID))
				if err != nil {
					return "", err
				}
				return r.Result(ctx)
			})
		})
		l.run(engine.Options{}, wf, echo)
		if got := mustResult(l, mustStart(l, wf, "")); got != "hello" {
			t.Errorf("result is %q", got)
		}
	})
}

func TestInfoOf(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(){
		"InfoOf":     func() { workflow.InfoOf(t.Context()) },
		"ClientFrom": func() { workflow.ClientFrom(t.Context()) },
	} {
		func() {
			defer func() {
				if v := recover(); v == nil || !strings.Contains(fmt.Sprint(v), name) {
					t.Errorf("%s outside a run panics with %v", name, v)
				}
			}()
			f()
		}()
	}
	inLab(t, func(t *testing.T, l *lab) {
		type key struct{}
		var infos []workflow.Info
		wf := workflow.Define("info", func(ctx workflow.Context, _ string) (string, error) {
			infos = append(infos, workflow.InfoOf(ctx), workflow.InfoOf(context.WithValue(ctx, key{}, 1)))
			return "", workflow.Do(ctx, "look", func(ctx context.Context) error {
				infos = append(infos, workflow.InfoOf(ctx))
				return errors.New("again")
			}, workflow.MaxAttempts(2))
		}, workflow.Version(3))
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "", workflow.RunID("info-1"))
		began := time.Now()
		_ = mustFail(l, r)
		if len(infos) != 4 {
			t.Fatalf("%d infos, want 4: %v", len(infos), infos)
		}
		base := workflow.Info{RunID: "info-1", Workflow: "info", Version: 3}
		inWorkflow := base
		inWorkflow.Events = 1
		if infos[0] != inWorkflow || infos[1] != inWorkflow {
			t.Errorf("in the workflow: %+v, want %+v", infos[:2], inWorkflow)
		}
		for i, info := range infos[2:] {
			if info.Step != "look" || info.StepID != "info-1/look#1" || info.Attempt != i+1 || info.RunID != "info-1" {
				t.Errorf("in attempt %d: %+v", i+1, info)
			}
			if d := info.StartedAt.Sub(began); d < 0 || d > 2*time.Second {
				t.Errorf("attempt %d started %v after the first", i+1, d)
			}
		}
	})
}

func TestUnknownWorkflow(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		known, unknown := define("known"), define("unknown")
		l.run(engine.Options{Elsewhere: []string{"elsewhere"}}, known)
		_, err := unknown.Start(t.Context(), l.eng, "")
		wantIs(l, err, workflow.ErrUnknownWorkflow)
		wantContains(l, err.Error(), `"unknown"`, "Options.Workflows", "Options.Elsewhere")
		_, err = workflow.Resume(t.Context(), l.eng, "t", "", workflow.OrStart(unknown, ""))
		wantIs(l, err, workflow.ErrUnknownWorkflow)
		for _, version := range []int{-1, tooHigh()} {
			_, err := l.eng.StartRun(t.Context(), workflow.StartRequest{Workflow: "known", Version: version})
			wantIs(l, err, workflow.ErrInvalidName)
			wantContains(l, err.Error(), "versions count from 1")
		}
		if _, err := define("elsewhere").Start(t.Context(), l.eng, ""); err != nil {
			t.Errorf("a workflow that is executed elsewhere: %v", err)
		}
		client := l.client()
		r, err := unknown.Start(t.Context(), client, "in")
		if err != nil {
			t.Fatalf("a pure client may start any: %v", err)
		}
		info := wantStatus(l, r, workflow.StatusBlocked)
		wantContains(l, info.Reason, `"unknown"`)
		l.run(engine.Options{}, unknown)
		if got := mustResult(l, r); got != "in" {
			t.Errorf("result is %q", got)
		}
	})
}

func TestUnknownRun(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{}, define("a"))
		for name, verb := range verbs {
			err := verb(t.Context(), l.eng)
			switch name {
			case "Start":
			case "HookType.Resume":
				wantIs(l, err, workflow.ErrHookNotFound)
			default:
				if !errors.Is(err, workflow.ErrRunNotFound) {
					t.Errorf("%s: %v, want ErrRunNotFound", name, err)
				}
			}
		}
	})
}

func TestEndedRun(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := define("a")
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "in")
		mustResult(l, r)
		wantIs(l, r.Cancel(t.Context()), workflow.ErrRunEnded)
		wantIs(l, r.Terminate(t.Context(), ""), workflow.ErrRunEnded)
		wantIs(l, r.Wake(t.Context()), workflow.ErrRunEnded)
		refused, ok := errors.AsType[*workflow.RetryRefusedError](r.Retry(t.Context()))
		if !ok || !strings.Contains(refused.Reason, "completed") {
			t.Errorf("retry of a completed run: %v", refused)
		}
		_, err := wf.Start(t.Context(), l.eng, "in", workflow.RunID(r.ID()))
		wantIs(l, err, workflow.ErrRunExists)
		if exists, ok := errors.AsType[*workflow.RunExistsError](err); !ok || exists.RunID != r.ID() {
			t.Errorf("error is %v, want a *RunExistsError of %s", err, r.ID())
		}
	})
}

func TestRunTwice(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{}, define("a"))
		if err := l.eng.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "running already") {
			t.Errorf("second Run: %v", err)
		}
		if got := mustResult(l, mustStart(l, define("a"), "in")); got != "in" {
			t.Errorf("result is %q", got)
		}
		client := l.client()
		if err := client.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "Options.Workflows") {
			t.Errorf("Run of an engine without workflows: %v", err)
		}
	})
}

// Run can be called again after it has returned.
func TestRunAgain(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("a", func(ctx workflow.Context, _ string) (string, error) {
			return "done", workflow.Sleep(ctx, time.Hour)
		})
		e, err := engine.New(l.store, engine.Options{Workflows: []workflow.Definition{wf}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = e.Close() }()
		r, err := wf.Start(t.Context(), e, "")
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 25*time.Minute)
			if err := e.Run(ctx); err != nil {
				t.Fatal(err)
			}
			cancel()
		}
		if got := mustResult(l, r); got != "done" {
			t.Errorf("result is %q", got)
		}
	})
}

// tooHigh is a version above the highest. With 32 bits it comes out below the lowest.
func tooHigh() int {
	v := math.MaxInt32
	v++
	return v
}

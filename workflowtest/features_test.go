package workflowtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/sender"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
	"github.com/tenter-dev/tenter/workflowtest"
)

// What a run waits for is told while it waits for everything at once.
func TestState(t *testing.T) {
	t.Parallel()
	workflowtest.Test(t, with(trio, nap, order), func(t *testing.T, eng *workflowtest.Engine) {
		run := workflowtest.Start(eng, trio, "", workflow.RunID("t1"))
		s := eng.State(run)
		if s.Status != workflow.StatusWaiting || len(s.Hooks) != 2 || !s.Hooks[0].Awaited || s.Hooks[1].Token != "b" {
			t.Errorf("state is %v", s)
		}
		at := cmpopts.IgnoreFields(workflowtest.Child{}, "At")
		if diff := cmp.Diff([]workflowtest.Child{{RunID: "t1.nap.1", Workflow: "nap"}}, s.Children, at); diff != "" {
			t.Errorf("children (-want +got):\n%s", diff)
		}
		child := eng.State(workflow.Get[string](eng, "t1.nap.1"))
		want := []workflowtest.Timer{{Kind: "sleep", Until: time.Date(2000, 1, 3, 0, 0, 0, 0, time.UTC)}}
		approx := cmpopts.EquateApproxTime(time.Millisecond)
		if diff := cmp.Diff(want, child.Timers, approx, cmpopts.IgnoreFields(workflowtest.Timer{}, "At")); diff != "" {
			t.Errorf("timers (-want +got):\n%s", diff)
		}
		for _, at := range []string{s.Hooks[0].At, s.Children[0].At, child.Timers[0].At} {
			if !strings.HasPrefix(at, "failures_test.go:") {
				t.Errorf("it waits at %q", at)
			}
		}
		s.Hooks[1].Resume("enough")
		if got := workflowtest.Result(eng, run); got != "enough" {
			t.Errorf("result is %q", got)
		}
		if err := eng.Failure(workflow.Get[string](eng, "t1.nap.1")); !errors.Is(err, workflow.ErrCanceled) {
			t.Errorf("the child ends with %v", err)
		}
		if s := eng.State(run); len(s.Hooks)+len(s.Children)+len(s.Timers) != 0 {
			t.Errorf("at the end it waits for %v", s)
		}
	})
}

func TestStateOfSteps(t *testing.T) {
	t.Parallel()
	workflowtest.Test(t, with(order), func(t *testing.T, eng *workflowtest.Engine) {
		charge := eng.Step("charge")
		charge.Fail(errDeclined, 1)
		release := make(chan struct{})
		workflowtest.Replace(charge, func(context.Context) (string, error) { <-release; return "fake", nil })
		run := workflowtest.Start(eng, order, "42")
		began := time.Now()
		ignore := cmpopts.IgnoreFields(workflowtest.StepWait{}, "At")
		approx := cmpopts.EquateApproxTime(time.Millisecond)
		want := []workflowtest.StepWait{{ID: "charge#1", Attempt: 2, RetryAt: began.Add(time.Second), Err: errDeclined.Error()}}
		if diff := cmp.Diff(want, eng.State(run).Steps, ignore, approx); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
		eng.Advance(time.Minute)
		want = []workflowtest.StepWait{{ID: "charge#1", Attempt: 2, Since: began.Add(time.Second), Err: errDeclined.Error()}}
		if diff := cmp.Diff(want, eng.State(run).Steps, ignore, approx); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
		close(release)
		eng.Hook(run).Resume(decision{Approved: true})
		if got := workflowtest.Result(eng, run); got != "shipped, fake" {
			t.Errorf("result is %q", got)
		}
	})
}

// A run that is evicted whenever it parks is replayed at every await, and its state is
// told all the same.
func TestReplayAtEveryAwait(t *testing.T) {
	t.Parallel()
	opts := with(order)
	opts.CacheSize = -1
	workflowtest.Test(t, opts, func(t *testing.T, eng *workflowtest.Engine) {
		run := workflowtest.Start(eng, order, "42")
		if s := eng.State(run); len(s.Hooks) != 1 || !s.Hooks[0].Awaited || len(s.Timers) != 1 {
			t.Errorf("state is %v", s)
		}
		eng.Hook(run).Resume(decision{Approved: true})
		if got := workflowtest.Result(eng, run); got != "shipped, real receipt" {
			t.Errorf("result is %q", got)
		}
	})
}

func TestSteps(t *testing.T) {
	t.Parallel()
	two := func(name string) *workflow.Workflow[string, string] {
		return workflow.Define(name, func(ctx workflow.Context, _ string) (string, error) {
			return workflow.Step(ctx, "step", func(context.Context) (string, error) { return "real", nil })
		})
	}
	one, other := two("one"), two("other")
	workflowtest.Test(t, with(one, other), func(t *testing.T, eng *workflowtest.Engine) {
		all, of := eng.Step("step"), eng.Step("step").Of(other)
		result := func(w *workflow.Workflow[string, string]) string {
			return workflowtest.Result(eng, workflowtest.Start(eng, w, ""))
		}
		workflowtest.Replace(of, func(ctx context.Context) (string, error) { return "fake of " + workflow.InfoOf(ctx).Workflow, nil })
		if a, b := result(one), result(other); a != "real" || b != "fake of other" {
			t.Errorf("%q, %q", a, b)
		}
		workflowtest.Replace(all, func(context.Context) (string, error) { return "fake", nil })
		if a, b := result(one), result(other); a != "fake" || b != "fake" {
			t.Errorf("the last one counts: %q, %q", a, b)
		}
		of.Fail(workflow.Fatal(errDeclined))
		if err := eng.Failure(workflowtest.Start(eng, other, "")); !errors.Is(err, errDeclined) {
			t.Errorf("error is %v", err)
		}
		all.Restore()
		of.Fail(errDeclined)
		failed, ok := errors.AsType[*workflow.StepError](eng.Failure(workflowtest.Start(eng, other, "")))
		if !ok || failed.Attempts != 4 {
			t.Errorf("error is %v", failed)
		}
		if a, b := result(one), of.Executions(); a != "real" || b != 2+1+4 {
			t.Errorf("%q, %d executions", a, b)
		}
		if n := all.Executions(); n != 3+2+1+4 {
			t.Errorf("%d executions of all", n)
		}
	})
}

// A step may take hours, if that is said, and is waited for afterwards.
func TestLongStep(t *testing.T) {
	t.Parallel()
	workflowtest.Test(t, with(order), func(t *testing.T, eng *workflowtest.Engine) {
		workflowtest.Replace(eng.Step("charge"), func(ctx context.Context) (string, error) {
			select {
			case <-time.After(6 * time.Hour):
				return "at last", nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		})
		run := workflowtest.Start(eng, order, "42")
		eng.Advance(5 * time.Hour)
		eng.Hook(run).Resume(decision{Approved: true})
		if got := workflowtest.Result(eng, run); got != "shipped, at last" {
			t.Errorf("result is %q", got)
		}
	})
}

// A step that always kills fails in the end, as in production.
func TestKillAlways(t *testing.T) {
	t.Parallel()
	workflowtest.Test(t, with(order, nap), func(t *testing.T, eng *workflowtest.Engine) {
		eng.Step("charge").Kill()
		healthy := workflowtest.Start(eng, nap, time.Hour)
		run := workflowtest.Start(eng, order, "42")
		failed, ok := errors.AsType[*workflow.StepError](eng.Failure(run))
		if !ok || failed.Attempts != 4 || !strings.Contains(failed.Error(), "the worker died") {
			t.Errorf("error is %v", failed)
		}
		if got := workflowtest.Result(eng, healthy); got != "awake" {
			t.Errorf("the other run: %q", got)
		}
	})
}

// pay is a transactional step of an application that the test does not have.
var pay = workflow.Define("pay", func(ctx workflow.Context, _ string) (string, error) {
	return workflow.TxStep(ctx, "pay", noBank{}, func(context.Context, string) (string, error) { return "paid", nil })
})

type noBank struct{}

func (noBank) Transact(context.Context, func(tx string, joined any) error) error {
	return errors.New("there is no bank")
}

func TestTransactionalStep(t *testing.T) {
	t.Parallel()
	workflowtest.CrashEverywhere(t, with(pay), func(t *testing.T, eng *workflowtest.Engine) {
		workflowtest.Replace(eng.Step("pay"), func(context.Context) (string, error) { return "paid in the test", nil })
		if got := workflowtest.Result(eng, workflowtest.Start(eng, pay, "")); got != "paid in the test" {
			t.Errorf("result is %q", got)
		}
	})
	workflowtest.Test(t, with(pay), func(t *testing.T, eng *workflowtest.Engine) {
		if err := eng.Failure(workflowtest.Start(eng, pay, "")); !strings.Contains(err.Error(), "there is no bank") {
			t.Errorf("error is %v", err)
		}
	})
}

// gate answers a request after an approval.
var gated = workflow.Define("gated", func(ctx workflow.Context, _ string) (string, error) {
	approval, err := workflow.NewHook[string](ctx, workflow.Token("gate"))
	if err != nil {
		return "", err
	}
	hook, err := workflow.NewWebhook(ctx, workflow.RespondManually(), workflow.Verify("github"), workflow.DedupeHeader("X-Id"))
	if err != nil {
		return "", err
	}
	req, err := hook.Wait(ctx)
	if err != nil {
		return "", err
	}
	text, err := approval.Wait(ctx)
	if err != nil {
		return "", err
	}
	return text, req.Respond(ctx, workflow.Text(http.StatusOK, text))
})

func TestDelivery(t *testing.T) {
	t.Parallel()
	opts := with(gated)
	opts.Senders = map[string]*sender.Sender{
		"github": sender.Must(sender.New(sender.Options{Name: "test", Verify: func(r *sender.Request, _ time.Time) error {
			if r.Header.Get("X-Signature") != "good" {
				return errors.New("bad signature")
			}
			return nil
		}})),
	}
	opts.PublicURL = "https://hooks.example.com/app/"
	workflowtest.CrashEverywhere(t, opts, func(t *testing.T, eng *workflowtest.Engine) {
		run := workflowtest.Start(eng, gated, "")
		hook := eng.Hook(run)
		if !strings.HasPrefix(hook.URL(), "https://hooks.example.com/app/.well-known/") {
			t.Errorf("URL is %s", hook.URL())
		}
		request := func(method string, header ...string) *http.Request {
			req, err := http.NewRequestWithContext(t.Context(), method, hook.URL(), strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(header); i += 2 {
				req.Header.Set(header[i], header[i+1])
			}
			return req
		}
		if got := eng.Send(request("GET")); got.Status != http.StatusMethodNotAllowed || !strings.Contains(got.Header.Get("Allow"), "POST") {
			t.Errorf("GET: %d %v", got.Status, got.Header)
		}
		if got := eng.Send(request("POST")); got.Status != http.StatusUnauthorized {
			t.Errorf("no signature: %d", got.Status)
		}
		first := eng.Deliver(request("POST", "X-Signature", "good", "X-Id", "1"))
		again := eng.Deliver(request("POST", "X-Signature", "good", "X-Id", "1"))
		if first.Answered() || again.Answered() {
			t.Error("it is answered before the approval")
		}
		eng.Hook(run).Resume("come in")
		for _, d := range []*workflowtest.Delivery{first, again} {
			if got := d.Response(); got.Status != http.StatusOK || string(got.Body) != "come in" {
				t.Errorf("%d %s", got.Status, got.Body)
			}
		}
		if got := workflowtest.Result(eng, run); got != "come in" {
			t.Errorf("result is %q", got)
		}
		if got := eng.Send(request("POST", "X-Signature", "good")); got.Status != http.StatusNotFound {
			t.Errorf("after the end: %d", got.Status)
		}
	})
}

// Nobody answers: the caller gets what it would get, and time passes until then.
func TestResponseTimeout(t *testing.T) {
	t.Parallel()
	workflowtest.Test(t, with(gated), func(t *testing.T, eng *workflowtest.Engine) {
		s := eng.State(workflowtest.Start(eng, gated, ""))
		if s.Status != workflow.StatusBlocked || !strings.Contains(s.Reason, "sender") {
			t.Errorf("state is %v", s)
		}
	})
	workflowtest.Test(t, with(echo, order), func(t *testing.T, eng *workflowtest.Engine) {
		hook := eng.Hook(workflowtest.Start(eng, echo, 1))
		began := time.Now()
		body, w := io.Pipe() // that is never finished before the caller gives up
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, hook.URL(), body)
		if err != nil {
			t.Fatal(err)
		}
		d := eng.Deliver(req)
		eng.Advance(time.Minute)
		if d.Answered() {
			t.Error("answered before it was sent")
		}
		_, _ = w.Write([]byte("late"))
		_ = w.Close()
		if got := d.Response(); string(got.Body) != "late" || time.Since(began) < time.Minute {
			t.Errorf("%d %s", got.Status, got.Body)
		}
	})
}

// An application with a route and a handler of its own.
func TestHandle(t *testing.T) {
	t.Parallel()
	workflowtest.Test(t, with(echo), func(t *testing.T, eng *workflowtest.Engine) {
		run := workflowtest.Start(eng, echo, 1)
		token := eng.Hook(run).Token
		eng.Handle("POST /mine", server.Webhook(eng.Engine(), func(*http.Request) (string, error) { return token, nil }, server.Options{}))
		resp, err := eng.HTTP().Post("https://app.test/mine", "text/plain", strings.NewReader("hi")) //nolint:noctx // as a user would
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "hi" {
			t.Errorf("%s %v", body, err)
		}
	})
}

var talk = workflow.Define("talk", func(ctx workflow.Context, room string) ([]string, error) {
	hook, err := workflow.NewHook[string](ctx, workflow.Token("talk:"+room))
	if err != nil {
		return nil, err
	}
	defer hook.Close()
	var all []string
	for msg, err := range hook.All(ctx) {
		if err != nil {
			return all, err
		}
		if msg == "/stop" {
			return append(all, workflow.NewID(ctx)), nil
		}
		all = append(all, msg)
	}
	return all, nil
})

// The engine is a client like any other, with OrStart and errors. IDs and what derives
// from secrets are the same each time.
func TestClient(t *testing.T) {
	t.Parallel()
	var results []string
	for range 2 {
		workflowtest.Test(t, with(talk, nap), func(t *testing.T, eng *workflowtest.Engine) {
			if _, err := workflow.Resume(t.Context(), eng, "talk:a", "x"); !errors.Is(err, workflow.ErrHookNotFound) {
				t.Errorf("error is %v", err)
			}
			info, err := workflow.Resume(t.Context(), eng, "talk:a", "x", workflow.OrStart(talk, "a"))
			if err != nil || !info.Started {
				t.Fatalf("%+v %v", info, err)
			}
			eng.Hook(workflow.Get[[]string](eng, info.RunID)).Resume("/stop")
			got := workflowtest.Result(eng, talk.Get(eng, info.RunID))
			results = append(results, info.RunID+" "+strings.Join(got, " "))
			if _, err := workflow.Define("unknown", func(workflow.Context, int) (int, error) { return 0, nil }).Start(t.Context(), eng, 1); !errors.Is(err, workflow.ErrUnknownWorkflow) {
				t.Errorf("error is %v", err)
			}
			sleeper := workflowtest.Start(eng, nap, 1000*time.Hour)
			if err := sleeper.Cancel(t.Context()); err != nil {
				t.Error(err)
			}
			if s := eng.State(sleeper).Status; s != workflow.StatusCanceled {
				t.Errorf("it is %s", s)
			}
			runs, err := eng.Engine().Runs(t.Context(), inspect.RunFilter{})
			if err != nil || len(runs) != 2 || runs[0].ID != sleeper.ID() {
				t.Errorf("%v %v, the newest is to come first", runs, err)
			}
		})
	}
	if results[0] != results[1] {
		t.Errorf("%v differ", results)
	}
}

// Cleanup functions of the test come before the end of the engine.
func TestCleanup(t *testing.T) {
	t.Parallel()
	var ended atomic.Bool
	workflowtest.Test(t, with(nap), func(t *testing.T, eng *workflowtest.Engine) {
		run := workflowtest.Start(eng, nap, time.Hour)
		t.Cleanup(func() {
			if _, err := run.Result(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
			ended.Store(true)
		})
	})
	if !ended.Load() {
		t.Error("no cleanup")
	}
}

// Others may wait for a run while the test goes on.
func TestGoroutines(t *testing.T) {
	t.Parallel()
	workflowtest.Test(t, with(talk), func(t *testing.T, eng *workflowtest.Engine) {
		run := workflowtest.Start(eng, talk, "a")
		results := make(chan []string)
		for range 10 {
			go func() {
				got, err := run.Result(t.Context())
				if err != nil {
					t.Error(err)
				}
				results <- got
			}()
		}
		for range 20 {
			eng.Advance(24 * time.Hour)
			go func() { _, _ = workflow.Resume(t.Context(), eng, "talk:a", "x") }()
		}
		eng.Advance(time.Hour)
		eng.Hook(run).Resume("/stop")
		for range 10 {
			if got := <-results; len(got) != 21 || slices.Contains(got[:20], "/stop") {
				t.Errorf("it got %d", len(got))
			}
		}
	})
}

func TestManyHooks(t *testing.T) {
	t.Parallel()
	many := workflow.Define("many", func(ctx workflow.Context, n int) (string, error) {
		for range n {
			if _, err := workflow.NewHook[string](ctx); err != nil {
				return "", err
			}
		}
		return "", workflow.Sleep(ctx, time.Hour)
	})
	workflowtest.Test(t, with(many), func(t *testing.T, eng *workflowtest.Engine) {
		run := workflowtest.Start(eng, many, 2001)
		if n := len(eng.State(run).Hooks); n != 2001 {
			t.Errorf("%d hooks are open, want 2001", n)
		}
	})
}

// A conflict of a run with itself names the line that opened the hook.
func TestConflictNamesTheLine(t *testing.T) {
	t.Parallel()
	twice := workflow.Define("twice", func(ctx workflow.Context, _ string) (string, error) {
		if _, err := workflow.NewHook[string](ctx, workflow.Token("t")); err != nil {
			return "", err
		}
		_, err := workflow.NewHook[string](ctx, workflow.Token("t"))
		return "", err
	})
	workflowtest.Test(t, with(twice), func(t *testing.T, eng *workflowtest.Engine) {
		err := eng.Failure(workflowtest.Start(eng, twice, ""))
		if want := "of this same run, opened at features_test.go:"; !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want in it %q", err, want)
		}
	})
}

// What an engine refuses is refused here as well.
func TestStrictNamesAndPayloads(t *testing.T) {
	t.Parallel()
	type answer struct {
		Approved bool `json:"approved"`
	}
	answers := workflow.DefineHook[answer]("answer")
	ask := workflow.Define("ask", func(ctx workflow.Context, _ string) (bool, error) {
		hook, err := answers.New(ctx, workflow.Token("ask"))
		if err != nil {
			return false, err
		}
		a, err := hook.Wait(ctx)
		return a.Approved, err
	})
	opts := with(ask)
	opts.Hooks = []workflow.HookDefinition{answers}
	workflowtest.Test(t, opts, func(t *testing.T, eng *workflowtest.Engine) {
		run := workflowtest.Start(eng, ask, "", workflow.RunID("r"))
		for _, id := range []string{"", "\xff"} {
			if _, err := ask.Start(t.Context(), eng, "", workflow.RunID(id)); !errors.Is(err, workflow.ErrInvalidName) {
				t.Errorf("run ID %q: error is %v", id, err)
			}
		}
		for _, payload := range []string{`{"aproved": true}`, `{"Approved": true}`, `{"approved": false, "approved": true}`} {
			_, err := workflow.Resume(t.Context(), eng, "ask", json.RawMessage(payload))
			if _, ok := errors.AsType[*workflow.PayloadError](err); !ok {
				t.Errorf("payload %s: error is %v", payload, err)
			}
		}
		if s := eng.State(run); s.Status != workflow.StatusWaiting {
			t.Errorf("state is %v", s)
		}
		eng.State(run).Hooks[0].Resume(answer{Approved: true})
		if !workflowtest.Result(eng, run) {
			t.Error("it is not approved")
		}
	})
}

package workflowtest_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
	"github.com/tenter-dev/tenter/workflowtest"
)

func with(defs ...workflow.Definition) engine.Options { return engine.Options{Workflows: defs} }

type decision struct {
	Approved bool
}

var errDeclined = workflow.DefineError("workflowtest_test: card declined")

// order charges, waits for an approval for a day, and ships.
var order = workflow.Define("order", func(ctx workflow.Context, id string) (string, error) {
	receipt, err := workflow.Step(ctx, "charge", func(context.Context) (string, error) { return "real receipt", nil })
	if err != nil {
		return "", err
	}
	hook, err := workflow.NewHook[decision](ctx, workflow.Metadata(map[string]string{"order": id}))
	if err != nil {
		return "", err
	}
	defer hook.Close()
	patient, cancel := workflow.WithTimeout(ctx, 24*time.Hour)
	defer cancel()
	d, err := hook.Wait(patient)
	if errors.Is(err, context.DeadlineExceeded) {
		return "late, " + receipt, nil
	}
	if err != nil || !d.Approved {
		return "refused, " + receipt, err
	}
	err = workflow.Do(ctx, "ship", func(context.Context) error { return nil })
	return "shipped, " + receipt, err
})

func TestApproved(t *testing.T) {
	t.Parallel()
	workflowtest.Test(t, with(order), func(t *testing.T, eng *workflowtest.Engine) {
		charge := eng.Step("charge")
		workflowtest.Replace(charge, func(context.Context) (string, error) { return "fake receipt", nil })
		charge.Fail(errDeclined, 1, 2)
		run := workflowtest.Start(eng, order, "42")
		hook := eng.Hook(run)
		if string(hook.Metadata) != `{"order":"42"}` || !hook.Awaited || hook.At == "" {
			t.Errorf("hook is %+v", hook)
		}
		t.Log(eng.State(run))
		eng.Advance(23 * time.Hour)
		hook.Resume(decision{Approved: true})
		if got := workflowtest.Result(eng, run); got != "shipped, fake receipt" {
			t.Errorf("result is %q", got)
		}
		if n := charge.Executions(); n != 3 {
			t.Errorf("charge was executed %d times", n)
		}
		const want = `0s      started "42"
          step charge#1
        step_retried charge#1 "workflowtest_test: card declined", again in 1s
1s      step_retried charge#1 "workflowtest_test: card declined", again in 2s
3s      step_completed charge#1 "fake receipt"
          hook 1
          deadline 1 for 24h
23h0m3s payload_received 1 {"Approved":true}
          step ship#1
        step_completed ship#1
          stop 1
          close 1
        completed "shipped, fake receipt"
`
		if diff := cmp.Diff(want, eng.Journal(run)); diff != "" {
			t.Errorf("journal (-want +got):\n%s", diff)
		}
	})
}

func TestKill(t *testing.T) {
	t.Parallel()
	workflowtest.Test(t, with(order), func(t *testing.T, eng *workflowtest.Engine) {
		charge := eng.Step("charge").Of(order)
		charge.Kill(1)
		run := workflowtest.Start(eng, order, "42")
		eng.Hook(run).Resume(decision{})
		if got := workflowtest.Result(eng, run); got != "refused, real receipt" {
			t.Errorf("result is %q", got)
		}
		if n := charge.Executions(); n != 2 {
			t.Errorf("charge was executed %d times", n)
		}
	})
}

func TestCrashEverywhere(t *testing.T) {
	t.Parallel()
	workflowtest.CrashEverywhere(t, with(order), func(t *testing.T, eng *workflowtest.Engine) {
		charge := eng.Step("charge")
		charge.Fail(errDeclined, 1)
		run := workflowtest.Start(eng, order, "42")
		eng.Hook(run)
		want := 2
		if strings.Contains(t.Name(), "/before") { // what is lost is executed again
			want = 4
		}
		if got := charge.Executions(); got != want {
			t.Errorf("charge was executed %d times, want %d", got, want)
		}
		eng.Advance(25 * time.Hour)
		if got := workflowtest.Result(eng, run); got != "late, real receipt" {
			t.Errorf("result is %q", got)
		}
	})
}

var echo = workflow.Define("echo", func(ctx workflow.Context, n int) (int, error) {
	hook, err := workflow.NewWebhook(ctx, workflow.RespondManually())
	if err != nil {
		return 0, err
	}
	defer hook.Close()
	for i := range n {
		req, err := hook.Wait(ctx)
		if err != nil {
			return i, err
		}
		if err := req.Respond(ctx, workflow.Text(http.StatusTeapot, string(req.Body))); err != nil {
			return i, err
		}
	}
	return n, nil
})

func TestWebhook(t *testing.T) {
	t.Parallel()
	workflowtest.CrashEverywhere(t, with(echo), func(t *testing.T, eng *workflowtest.Engine) {
		run := workflowtest.Start(eng, echo, 2)
		hook := eng.Hook(run)
		for range 2 {
			resp := hook.PostForm(url.Values{"a": {"b"}})
			if string(resp.Body) != "a=b" || resp.Status != http.StatusTeapot {
				t.Errorf("%d %s", resp.Status, resp.Body)
			}
		}
		if n := workflowtest.Result(eng, run); n != 2 {
			t.Errorf("%d answers", n)
		}
		t.Log("\n" + eng.Journal(run))
	})
}

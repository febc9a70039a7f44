package workflowtest_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tenter-dev/tenter/workflow"
	"github.com/tenter-dev/tenter/workflowtest"
)

type tally struct{ Sum, Restarts int }

// adder adds what comes to its inbox, restarts after every second number, and ends at 0.
var adder = workflow.Declare[tally, tally]("adder")

var adding = adder.Implement(func(ctx workflow.Context, in tally) (tally, error) {
	inbox, err := workflow.NewHook[int](ctx, workflow.Token("inbox"))
	if err != nil {
		return in, err
	}
	defer inbox.Close()
	for range 2 {
		n, err := inbox.Wait(ctx)
		if err != nil || n == 0 {
			return in, err
		}
		sum := in.Sum
		in.Sum, err = workflow.Step(ctx, "add", func(context.Context) (int, error) { return sum + n, nil })
		if err != nil {
			return in, err
		}
	}
	in.Restarts++
	return adder.Restart(ctx, in)
})

// A run that restarts is one run for its test, and it stands crashes as others do.
func TestRestart(t *testing.T) {
	t.Parallel()
	workflowtest.CrashEverywhere(t, with(adding), func(t *testing.T, eng *workflowtest.Engine) {
		add := eng.Step("add")
		run := workflowtest.Start(eng, adder, tally{}, workflow.RunID("a1"))
		first := eng.Hook(run)
		for n := range 3 {
			eng.Hook(run).Resume(n + 1)
		}
		hook := eng.Hook(run)
		if hook.ID != first.ID || hook.Token != "inbox" || !hook.Awaited || !strings.HasPrefix(hook.At, "restart_test.go:") {
			t.Errorf("the hook was %+v, and is %+v", first, hook)
		}
		if s := eng.State(run); s.Generation != 1 || s.Status != workflow.StatusWaiting || len(s.Hooks) != 1 {
			t.Errorf("in its second generation it is %+v", s)
		}
		add.Fail(errDeclined, 1)
		hook.Resume(4)
		eng.Advance(time.Second)
		hook.Resume(5)
		hook.Resume(0)
		if got, want := workflowtest.Result(eng, run), (tally{Sum: 15, Restarts: 2}); got != want {
			t.Errorf("it came to %+v, want %+v", got, want)
		}
		want := 5 + 2 // the first attempts of the last two failed
		if strings.Contains(t.Name(), "/before") {
			want *= 2
		}
		if n := add.Executions(); n != want {
			t.Errorf("%d attempts, want %d", n, want)
		}
		const journal = `0s      started {"Sum":0,"Restarts":0}
          hook 1 token inbox
        hook_claimed 1 "RUN.h1"
        payload_received 1 1
          step add#1
        step_completed add#1 1
        payload_received 1 2
          step add#2
        step_completed add#2 3
          restart 1
        restarted 1 {"version":1}
        started generation 1, took payloads {"Sum":3,"Restarts":1}
          hook 1.1 token inbox
        hook_claimed 1.1 {"id":"RUN.h1","created_at":"2000-01-01T00:00:00Z"}
        payload_received 1 3
          step add#1.1
        step_completed add#1.1 6
        payload_received 1 4
          step add#1.2
        step_retried add#1.2 "workflowtest_test: card declined", again in 1s
1s      step_completed add#1.2 10
          restart 2
        restarted 2 {"version":1}
        started generation 2, took payloads {"Sum":10,"Restarts":2}
          hook 2.1 token inbox
        hook_claimed 2.1 {"id":"RUN.h1","created_at":"2000-01-01T00:00:00Z"}
        payload_received 1 5
          step add#2.1
        step_retried add#2.1 "workflowtest_test: card declined", again in 1s
        payload_received 1 0
2s      step_completed add#2.1 15
          close 2.1
        completed {"Sum":15,"Restarts":2}
`
		if diff := cmp.Diff(journal, eng.Journal(run)); diff != "" {
			t.Errorf("journal (-want +got):\n%s", diff)
		}
	})
}

// At the end of a test each generation is replayed.
func TestReplayOfGenerations(t *testing.T) {
	t.Parallel()
	var executions atomic.Int64
	counted := workflow.Define("counted", func(ctx workflow.Context, n int) (int, error) {
		executions.Add(1)
		if n == 3 {
			return n, nil
		}
		return workflow.Restart[int](ctx, n+1)
	})
	workflowtest.Test(t, with(counted), func(t *testing.T, eng *workflowtest.Engine) {
		if got := workflowtest.Result(eng, workflowtest.Start(eng, counted, 0)); got != 3 {
			t.Errorf("it came to %d", got)
		}
	})
	if n := executions.Load(); n != 2*4 {
		t.Errorf("4 generations were executed %d times, want each once, and replayed once", n)
	}
}

// Steps of later generations are told by their IDs there.
func TestStateOfStepsAfterRestart(t *testing.T) {
	t.Parallel()
	workflowtest.Test(t, with(adding), func(t *testing.T, eng *workflowtest.Engine) {
		run := workflowtest.Start(eng, adder, tally{})
		for n := range 2 {
			eng.Hook(run).Resume(n + 1)
		}
		add := eng.Step("add")
		release := make(chan struct{})
		workflowtest.Replace(add, func(context.Context) (int, error) { <-release; return 100, nil })
		add.Fail(errDeclined, 1)
		began := time.Now()
		eng.Hook(run).Resume(3)
		ignore := cmpopts.IgnoreFields(workflowtest.StepWait{}, "At")
		approx := cmpopts.EquateApproxTime(time.Millisecond)
		want := []workflowtest.StepWait{{ID: "add#1.1", Attempt: 2, RetryAt: began.Add(time.Second), Err: errDeclined.Error()}}
		if diff := cmp.Diff(want, eng.State(run).Steps, ignore, approx); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
		eng.Advance(time.Minute)
		want = []workflowtest.StepWait{{ID: "add#1.1", Attempt: 2, Since: began.Add(time.Second), Err: errDeclined.Error()}}
		if diff := cmp.Diff(want, eng.State(run).Steps, ignore, approx); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
		close(release)
		eng.Hook(run).Resume(0)
		if got := workflowtest.Result(eng, run); got.Sum != 100 {
			t.Errorf("it came to %+v", got)
		}
	})
}

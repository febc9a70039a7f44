package workflowtest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/workflow"
	"github.com/tenter-dev/tenter/workflowtest"
)

func TestFakeClient(t *testing.T) {
	t.Parallel()
	var c workflowtest.FakeClient
	ctx := t.Context()
	order := workflow.Declare[string, string]("order")
	paid := workflow.DefineHook[int]("paid")
	is := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: error is %v, want %v", what, err, want)
		}
	}

	run, err := order.Start(ctx, &c, "tea", workflow.RunID("order-42"))
	is("start", err, nil)
	_, err = order.Start(ctx, &c, "tea", workflow.RunID("order-42"))
	is("start again", err, workflow.ErrRunExists)
	other, err := order.Start(ctx, &c, "milk")
	is("start another", err, nil)
	if diff := cmp.Diff([]workflow.StartRequest{
		{Workflow: "order", RunID: "order-42", Input: []byte(`"tea"`)}, {Workflow: "order", RunID: other.ID(), Input: []byte(`"milk"`)},
	}, c.Starts()); diff != "" {
		t.Errorf("starts (-want +got):\n%s", diff)
	}

	_, err = paid.Resume(ctx, &c, "paid:42", 7)
	is("resume no hook", err, workflow.ErrHookNotFound)
	c.OpenHook(workflow.HookInfo{Token: "paid:42", RunID: "order-42", Type: "paid"})
	_, err = workflow.DefineHook[int]("refunded").Resume(ctx, &c, "paid:42", 7)
	if _, ok := errors.AsType[*workflow.HookTypeError](err); !ok {
		t.Errorf("resume a hook of another type: error is %v", err)
	}
	_, err = workflow.Resume(ctx, &c, "", 7)
	is("resume without a token", err, workflow.ErrInvalidToken)
	for _, duplicate := range []bool{false, true} {
		h, err := paid.Resume(ctx, &c, "paid:42", 7, workflow.IdempotencyKey("k"))
		is("resume", err, nil)
		if h.RunID != "order-42" || h.Duplicate != duplicate {
			t.Errorf("resumed %+v, want a duplicate: %t", h, duplicate)
		}
	}
	name := "paid"
	want := []workflow.ResumeRequest{{Token: "paid:42", Payload: []byte("7"), Type: &name, IdempotencyKey: "k"}}
	if diff := cmp.Diff(want, c.Resumes()); diff != "" {
		t.Errorf("resumes (-want +got):\n%s", diff)
	}

	for _, started := range []bool{true, false} {
		h, err := workflow.Resume(ctx, &c, "chat:ann", "hello", workflow.OrStart(order, "ann", workflow.RunID("chat")))
		is("resume or start", err, nil)
		if h.RunID != "chat" || h.Started != started {
			t.Errorf("resumed %+v, want it started: %t", h, started)
		}
	}

	is("wake", run.Wake(ctx), nil)
	is("cancel", run.Cancel(ctx), nil)
	is("terminate", other.Terminate(ctx, "no milk"), nil)
	is("cancel what has ended", other.Cancel(ctx), workflow.ErrRunEnded)
	is("cancel nothing", workflow.Get[string](&c, "nothing").Cancel(ctx), workflow.ErrRunNotFound)
	_, err = other.Result(ctx)
	is("a terminated run", err, workflow.ErrTerminated)
	is("a terminated run", err, workflow.ErrCanceled)
	if diff := cmp.Diff([]workflowtest.Control{
		{Verb: "wake", RunID: "order-42"}, {Verb: "cancel", RunID: "order-42"}, {Verb: "terminate", RunID: other.ID(), Reason: "no milk"},
	}, c.Controls()); diff != "" {
		t.Errorf("controls (-want +got):\n%s", diff)
	}

	if s, err := run.Status(ctx); err != nil || s != workflow.StatusRunning {
		t.Errorf("status is %s, %v", s, err)
	}
	_, err = run.PlanFork(ctx, workflow.AtStep("charge#1"))
	is("plan a fork", err, nil)
	fork, err := run.Fork(ctx, workflow.AtStep("charge#1"), workflow.ForkID("again"))
	is("fork", err, nil)
	_, err = run.Fork(ctx, workflow.AtPosition(1), workflow.ForkID("again"))
	is("fork twice", err, workflow.ErrRunExists)
	_, err = workflow.Get[string](&c, "nothing").Fork(ctx, workflow.AtPosition(1))
	is("fork nothing", err, workflow.ErrRunNotFound)
	if diff := cmp.Diff([]workflow.ForkRequest{{RunID: "order-42", Step: "charge#1", ForkID: "again"}}, c.Forks()); diff != "" {
		t.Errorf("forks (-want +got):\n%s", diff)
	}
	if info, err := fork.Info(ctx); err != nil || info.ForkedFrom == nil || info.ForkedFrom.RunID != "order-42" {
		t.Errorf("the fork is %+v, %v", info, err)
	}
	late, cancel := context.WithCancel(ctx)
	cancel()
	_, err = run.Result(late)
	is("wait with a context that has ended", err, context.Canceled)
	c.Fail("order-42", workflow.ErrHookClosed)
	_, err = run.Result(ctx)
	is("a run that has failed", err, workflow.ErrHookClosed)
	is("retry", run.Retry(ctx), nil)
	done := make(chan string)
	go func() {
		got, err := run.Result(ctx)
		if err != nil {
			t.Errorf("result: %v", err)
		}
		done <- got
	}()
	c.Complete("order-42", "sent")
	if got := <-done; got != "sent" {
		t.Errorf("result is %q", got)
	}
	_, err = c.HookByToken(ctx, "paid:42")
	is("a hook of a run that has ended", err, workflow.ErrHookNotFound)

	c.Refuse(workflow.ErrEngineClosed)
	_, err = order.Start(ctx, &c, "tea")
	is("start when all is refused", err, workflow.ErrEngineClosed)
}

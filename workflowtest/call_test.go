package workflowtest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/workflow"
	"github.com/tenter-dev/tenter/workflowtest"
)

var (
	reserve    = workflow.DefineCall[int, string]("reserve")
	errSoldOut = workflow.DefineError("workflowtest_test: sold out")
)

// hall has two seats, and needs an hour for each.
var hall = workflow.Define("hall", func(ctx workflow.Context, _ string) (int, error) {
	calls, err := reserve.Open(ctx)
	if err != nil {
		return 0, err
	}
	for left := 2; ; {
		call, err := calls.Wait(ctx)
		if err != nil {
			return left, err
		}
		switch {
		case call.Input == 0:
			return left, workflow.Do(ctx, "answer", func(ctx context.Context) error { return call.Return(ctx, "closed") })
		case call.Input < 0:
			continue
		case call.Input > left:
			err = call.Refuse(ctx, errSoldOut)
		default:
			left -= call.Input
			if err = workflow.Sleep(ctx, time.Hour); err == nil {
				err = call.Return(ctx, "reserved")
			}
		}
		if err != nil {
			return left, err
		}
	}
})

// A call lets time pass until it is answered, wherever processes are killed.
func TestCalls(t *testing.T) {
	t.Parallel()
	workflowtest.CrashEverywhere(t, with(hall), func(t *testing.T, eng *workflowtest.Engine) {
		run := workflowtest.Start(eng, hall, "")
		hook := eng.Hook(run)
		if !hook.Call || hook.Webhook {
			t.Errorf("the hook is %+v", hook.HookInfo)
		}
		key := workflow.IdempotencyKey("k")
		for range 2 {
			if got, err := reserve.Call(t.Context(), eng, hook.Token, 2, key); got != "reserved" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		}
		if _, err := reserve.Call(t.Context(), eng, hook.Token, 1); !errors.Is(err, errSoldOut) {
			t.Errorf("the refusal is %v", err)
		}
		if got, err := reserve.Answer(t.Context(), eng, hook.Token, "k"); got != "reserved" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		if got, err := reserve.Call(t.Context(), eng, hook.Token, 0); got != "closed" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		if left := workflowtest.Result(eng, run); left != 0 {
			t.Errorf("%d seats are left", left)
		}
	})
}

// A caller whom nobody will answer does not wait until the end of the test.
func TestCallThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	workflowtest.Test(t, with(hall), func(t *testing.T, eng *workflowtest.Engine) {
		run := workflowtest.Start(eng, hall, "")
		_, err := reserve.Call(t.Context(), eng, eng.Hook(run).Token, -1)
		if err == nil || !strings.Contains(err.Error(), "does not answer: nothing will happen any more") || !strings.Contains(err.Error(), "call_test.go:") {
			t.Errorf("error is %v", err)
		}
	})
}

func TestFakeCalls(t *testing.T) {
	t.Parallel()
	var c workflowtest.FakeClient
	ctx := t.Context()
	_, err := reserve.Call(ctx, &c, "t", 1)
	if !errors.Is(err, workflow.ErrHookNotFound) {
		t.Errorf("no hook: %v", err)
	}
	c.OpenHook(workflow.HookInfo{Token: "t", RunID: "r", Type: "reserve", Call: true})
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	_, err = reserve.Call(short, &c, "t", 1)
	if _, ok := errors.AsType[*workflow.UnansweredError](err); !ok || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody answers: %v", err)
	}
	c.AnswerCalls(func(r workflow.CallRequest) (any, error) {
		if string(r.Input) == "3" {
			return nil, errSoldOut
		}
		return "seat " + string(r.Input), nil
	})
	for _, n := range []int{2, 4} {
		if got, err := reserve.Call(ctx, &c, "t", n, workflow.IdempotencyKey("k")); got != "seat 2" || err != nil {
			t.Errorf("%d: got %q, %v", n, got, err)
		}
	}
	if got, err := reserve.Answer(ctx, &c, "t", "k"); got != "seat 2" || err != nil {
		t.Errorf("again: got %q, %v", got, err)
	}
	if _, err := reserve.Answer(ctx, &c, "t", "other"); !errors.Is(err, workflow.ErrHookNotFound) {
		t.Errorf("unknown key: %v", err)
	}
	if _, err := reserve.Call(ctx, &c, "t", 3); !errors.Is(err, errSoldOut) {
		t.Errorf("refused: %v", err)
	}
	name := "reserve"
	want := []workflow.CallRequest{
		{Token: "t", Input: []byte("1"), Type: &name}, {Token: "t", Input: []byte("2"), Type: &name, IdempotencyKey: "k"}, {Token: "t", Input: []byte("3"), Type: &name},
	}
	if diff := cmp.Diff(want, c.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

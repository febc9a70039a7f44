package scenario_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// S9: wait for an approval for at most 24 h, then escalate. What comes after the
// deadline is still there for a later Wait.

var timedApproval = workflow.Declare[string, string]("timed-approval")

func (l *ledger) approveInTime(ctx workflow.Context, doc string) (string, error) {
	hook, err := workflow.NewHook[string](ctx, workflow.Token("timed:"+doc))
	if err != nil {
		return "", err
	}
	defer hook.Close()
	inTime, cancel := workflow.WithTimeout(ctx, 24*time.Hour)
	defer cancel()
	answer, err := hook.Wait(inTime)
	if !errors.Is(err, context.DeadlineExceeded) {
		return answer, err
	}
	err = workflow.Do(ctx, "escalate", func(ctx context.Context) error {
		return errors.Join(busy(ctx, 5*time.Second), l.enter(ctx, "escalate "+doc))
	})
	if err != nil {
		return "", err
	}
	answer, err = hook.Wait(ctx)
	return "late: " + answer, err
}

func TestS09HookOrTimeout(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		l := &ledger{}
		w.boot(timedApproval.Implement(l.approveInTime))
		early := start(w, timedApproval, "early", "a")
		late := start(w, timedApproval, "late", "b")
		began := time.Now()
		w.advance(23*time.Hour + 59*time.Minute)
		w.send("timed:a", "yes")
		want(w, early, "yes")
		w.status(late.ID(), workflow.StatusWaiting)
		l.want(w.t)

		w.advance(24*time.Hour + time.Second - time.Since(began))
		w.send("timed:b", "no") // while it escalates
		w.advance(time.Hour)
		l.want(w.t, "escalate b")
		want(w, late, "late: no")
	})
}

func TestS09WaitsOnAfterTheDeadline(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		l := &ledger{}
		w.boot(timedApproval.Implement(l.approveInTime))
		run := start(w, timedApproval, "run", "a")
		w.advance(30 * time.Hour)
		w.status(run.ID(), workflow.StatusWaiting)
		l.want(w.t, "escalate a")
		w.advance(300 * 24 * time.Hour)
		w.send("timed:a", "at last")
		want(w, run, "late: at last")
	})
}

package scenario_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// S26: a cancel, or a deadline, arrives while the charge is executing and succeeds:
// the code sees the success and can refund; the journal says so.

type purchase struct {
	Deadline time.Duration `json:"deadline"`
}

var shop = workflow.Declare[purchase, string]("shop")

func (l *ledger) buy(ctx workflow.Context, p purchase) (string, error) {
	patient, cancel := workflow.WithTimeout(ctx, p.Deadline)
	defer cancel()
	receipt, err := workflow.Step(patient, "charge", func(ctx context.Context) (string, error) {
		<-time.After(10 * time.Second) // a provider that can't be stopped half-way
		return "receipt", l.enter(ctx, "charge")
	})
	cleanup := workflow.WithoutCancel(ctx)
	switch {
	case errors.Is(err, workflow.ErrOutcomeUnknown): // its worker is gone: maybe it was charged
		receipt = "unknown"
	case err != nil:
		return "", err
	}
	if patient.Err() == nil {
		return receipt, nil
	}
	refund := func(ctx context.Context) error { return l.enter(ctx, "refund") }
	if err := workflow.Do(cleanup, "refund "+receipt, refund); err != nil {
		return "", err
	}
	return "refunded", patient.Err()
}

func TestS26CanceledInMidCharge(t *testing.T) {
	t.Parallel()
	for _, how := range []struct {
		name     string
		deadline time.Duration
		cancel   bool
		err      error
		cause    store.Kind
	}{
		{"cancel", time.Hour, true, workflow.ErrCanceled, store.CancelRequested},
		{"deadline", 5 * time.Second, false, context.DeadlineExceeded, store.TimerFired},
	} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(w *world) {
				l := &ledger{}
				w.boot(shop.Implement(l.buy))
				run := start(w, shop, "purchase", purchase{how.deadline})
				w.advance(5 * time.Second)
				if how.cancel {
					cancelRun(w, run.ID())
				}
				w.advance(time.Minute)
				_, err := result(w, run)
				if !errors.Is(err, how.err) {
					w.t.Errorf("purchase: %v, want %v", err, how.err)
				}
				if w.died {
					if !slices.Contains(l.entries(), "refund") {
						w.t.Errorf("nobody got the money back: %v", l.entries())
					}
					return
				}
				l.want(w.t, "charge", "refund")
				events, err := w.eng.Journal(w.t.Context(), run.ID(), 0, 0)
				if err != nil {
					w.t.Fatal(err)
				}
				var kinds []store.Kind
				for _, e := range events {
					kinds = append(kinds, store.Kind(e.Kind))
				}
				if i, j := slices.Index(kinds, how.cause), slices.Index(kinds, store.StepCompleted); i < 0 || j < i {
					w.t.Errorf("journal: %v; want a success after %s", kinds, how.cause)
				}
			})
		})
	}
}

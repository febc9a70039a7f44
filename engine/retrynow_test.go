package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// payThenRest is a step that is broken for as long as a flag says so, and an hour of sleep after it.
func payThenRest(broken *bool, attempts *[]int) *workflow.Workflow[string, string] {
	return workflow.Define("pay", func(ctx workflow.Context, _ string) (string, error) {
		err := workflow.Do(ctx, "charge", func(ctx context.Context) error {
			*attempts = append(*attempts, workflow.InfoOf(ctx).Attempt)
			if *broken {
				return workflow.RetryAfter(errors.New("closed"), time.Hour)
			}
			return nil
		})
		if err != nil {
			return "", err
		}
		return "paid", workflow.Sleep(ctx, time.Hour)
	})
}

// A step that waits for its next attempt is attempted at once, and its attempts count on. Nothing else
// of the run changes.
func TestRetryNow(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		broken, attempts := true, []int{}
		wf := payThenRest(&broken, &attempts)
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		wantStatus(l, r, workflow.StatusWaiting)
		began := time.Now()
		if err := r.Retry(by(t.Context(), "ada")); err != nil {
			t.Fatal(err)
		}
		wantStatus(l, r, workflow.StatusWaiting)
		broken = false
		if err := r.Retry(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := mustResult(l, r); got != "paid" || !slices.Equal(attempts, []int{1, 2, 3}) {
			t.Errorf("result is %q after attempts %v", got, attempts)
		}
		if took := time.Since(began); took < time.Hour || took > time.Hour+time.Minute {
			t.Errorf("it took %v: the sleep is an hour, and the retries came at once", took)
		}
		var controls []string
		d, err := inspect.Load(t.Context(), l.eng, r.ID())
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range d.Items {
			if it.Kind == inspect.KindControl {
				controls = append(controls, it.Name)
			}
		}
		if want := []string{"retry now", "retry now"}; !slices.Equal(controls, want) {
			t.Errorf("the timeline has the controls %v, want %v", controls, want)
		}
	})
}

// The order is as durable as all else: a worker that gets the run later obeys it too, whether the order is
// still to be taken or in the journal.
func TestRetryNowIsDurable(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		var attempts []int
		wf := workflow.Define("pay", func(ctx workflow.Context, _ string) (string, error) {
			return "paid", workflow.Do(ctx, "charge", func(ctx context.Context) error {
				attempts = append(attempts, workflow.InfoOf(ctx).Attempt)
				switch len(attempts) {
				case 1:
					return workflow.RetryAfter(errors.New("closed"), time.Hour)
				case 2:
					<-ctx.Done() // the worker dies meanwhile
					return ctx.Err()
				}
				return nil
			})
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		wantStatus(l, r, workflow.StatusWaiting)
		if err := l.stop(); err != nil {
			t.Fatal(err)
		}
		if err := workflow.Get[string](l.client(), r.ID()).Retry(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		l.run(engine.Options{}, wf)
		if !slices.Equal(attempts, []int{1, 2}) || !slices.ContainsFunc(l.journal(r.ID()), func(e string) bool { return strings.Contains(e, "retry_now") }) {
			t.Fatalf("attempts are %v, journal %v", attempts, l.journal(r.ID()))
		}
		l.kill()
		l.run(engine.Options{}, wf)
		if got := mustResult(l, workflow.Get[string](l.eng, r.ID())); got != "paid" || !slices.Equal(attempts, []int{1, 2, 2}) {
			t.Errorf("result is %q after attempts %v", got, attempts)
		}
		if took := time.Since(began); took > 10*time.Minute {
			t.Errorf("after the crash, the attempt came %v after the order", took)
		}
	})
}

// Where no step waits there is nothing to try again.
func TestRetryNowRefused(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		broken, attempts := false, []int{}
		wf := payThenRest(&broken, &attempts)
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		wantStatus(l, r, workflow.StatusWaiting)
		before := len(l.journal(r.ID()))
		err := r.Retry(t.Context())
		wantContains(l, err.Error(), "it is waiting", "a step waiting for its next attempt")
		if mail, err := l.eng.Mailbox(t.Context(), r.ID()); err != nil || len(mail) > 0 || len(l.journal(r.ID())) != before {
			t.Errorf("what was refused is in the mailbox: %v, %v", mail, err)
		}
		if got := mustResult(l, r); got != "paid" {
			t.Errorf("result is %q", got)
		}
	})
}

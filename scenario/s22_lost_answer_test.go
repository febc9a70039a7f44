package scenario_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// S22: a Resume commits, its caller never hears of it and tries again with the same
// idempotency key.

// loseAnswer resumes a hook; the payload is committed, and the engine is killed
// before it can say so.
func loseAnswer(w *world, token, payload string, key workflow.ResumeOption) {
	w.t.Helper()
	w.mortal.after = true
	w.mortal.left.Store(1)
	if _, err := workflow.Resume(w.t.Context(), w.eng, token, payload, key); err == nil {
		w.t.Fatal("the answer was not lost")
	}
	w.idle()
}

func TestS22LostAnswer(t *testing.T) {
	t.Parallel()
	undisturbed(t, func(w *world) {
		w.boot(guest)
		run := start(w, guest, "run", "Ada")
		hook, err := w.eng.HookByToken(w.t.Context(), "room")
		if err != nil {
			w.t.Fatal(err)
		}
		key := workflow.IdempotencyKey("payment-1")
		loseAnswer(w, "room", "paid", key)
		hook.Duplicate = true
		for range 3 {
			info, err := workflow.Resume(w.t.Context(), w.eng, "room", "paid", key)
			if err != nil {
				w.t.Fatal(err)
			}
			if diff := cmp.Diff(hook, info); diff != "" {
				w.t.Errorf("the retry (-want +got):\n%s", diff)
			}
		}
		w.send("room", "bye")
		want(w, run, "paid")
	})
}

// TestS22AwakeWithoutRetry: the run goes on though the caller never comes back.
func TestS22AwakeWithoutRetry(t *testing.T) {
	t.Parallel()
	undisturbed(t, func(w *world) {
		w.boot(guest)
		run := start(w, guest, "run", "Ada")
		loseAnswer(w, "room", "bye", workflow.IdempotencyKey("k"))
		want(w, run, "")
	})
}

// TestS22Concurrently: the same payload from many at once, as from an impatient proxy.
func TestS22Concurrently(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		w.boot(guest)
		run := start(w, guest, "run", "Ada")
		accepted := make(chan bool, 5)
		for range cap(accepted) {
			eng, life := w.eng, w.mortal.life
			go func() {
				info, err := workflow.Resume(life, eng, "room", "paid", workflow.IdempotencyKey("payment-1"))
				accepted <- err == nil && !info.Duplicate
			}()
		}
		first := 0
		for range cap(accepted) {
			if <-accepted {
				first++
			}
		}
		if first > 1 || first == 0 && !w.dead() {
			w.t.Errorf("%d of the same payloads were accepted as the first", first)
		}
		w.idle()
		if _, err := do(w, func(ctx context.Context, c *engine.Engine) (workflow.HookInfo, error) {
			return workflow.Resume(ctx, c, "room", "paid", workflow.IdempotencyKey("payment-1"))
		}); err != nil {
			w.t.Error(err)
		}
		w.send("room", "bye")
		want(w, run, "paid")
	})
}

// TestS22RefusedUsesNoKey: what was refused may be sent again under its key.
func TestS22RefusedUsesNoKey(t *testing.T) {
	t.Parallel()
	undisturbed(t, func(w *world) {
		w.boot(guest)
		key := workflow.IdempotencyKey("k")
		if _, err := workflow.Resume(w.t.Context(), w.eng, "room", "bye", key); !errors.Is(err, workflow.ErrHookNotFound) {
			w.t.Fatalf("resume: %v, want ErrHookNotFound", err)
		}
		run := start(w, guest, "run", "Ada")
		if info, err := workflow.Resume(w.t.Context(), w.eng, "room", "bye", key); err != nil || info.Duplicate {
			w.t.Fatalf("resume: %+v, %v", info, err)
		}
		want(w, run, "")
	})
}

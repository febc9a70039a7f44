package scenario_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// S28: as S22, but the run has completed, and another run has the token, when the
// retry comes.

func TestS28RetryTooLate(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		w.boot(guest)
		first := start(w, guest, "first", "Ada")
		key := workflow.IdempotencyKey("farewell")
		bye := func() (workflow.HookInfo, error) {
			return do(w, func(ctx context.Context, c *engine.Engine) (workflow.HookInfo, error) {
				return workflow.Resume(ctx, c, "room", "bye", key)
			})
		}
		receipt, err := bye()
		if err != nil {
			w.t.Fatal(err)
		}
		want(w, first, "")
		receipt.Duplicate = true
		again := func(when string) {
			w.t.Helper()
			info, err := bye()
			if err != nil {
				w.t.Fatalf("%s: %v", when, err)
			}
			if diff := cmp.Diff(receipt, info); diff != "" || info.RunID != "first" {
				w.t.Errorf("%s (-first receipt +retry):\n%s", when, diff)
			}
			w.idle()
		}
		again("nobody has the token")
		second := start(w, guest, "second", "Bob")
		again("another run has the token")
		w.status(second.ID(), workflow.StatusWaiting)
		w.send("room", "hello")
		w.send("room", "bye, Bob")
		want(w, second, "hello")
		again("that has ended too")
	})
}

package scenario_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/workflow"
)

// S10: a second run claims an active token: it gets the owner's run ID at once and
// hands its own payload over. After the first closes or ends, the token is free.

// A guest comes to the room. If it is free the guest takes it, and collects what is said there
// until somebody says bye; "go on" closes the room's door only. If the room is taken the guest says
// its name to the run that has it.
var guest = workflow.Define("guest", visit)

func visit(ctx workflow.Context, name string) (string, error) {
	hook, err := workflow.NewHook[string](ctx, workflow.Token("room"))
	if taken, ok := errors.AsType[*workflow.HookConflictError](err); ok {
		err := workflow.Do(ctx, "hand over", func(ctx context.Context) error {
			key := workflow.IdempotencyKey(workflow.InfoOf(ctx).StepID)
			_, err := workflow.Resume(ctx, workflow.ClientFrom(ctx), taken.Token, name, key)
			return err
		})
		return "after " + taken.RunID, err
	}
	if err != nil {
		return "", err
	}
	defer hook.Close()
	var heard []string
	for said, err := range hook.All(ctx) {
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(said, "bye") {
			break
		}
		heard = append(heard, said)
		if said == "close" {
			hook.Close()
			outside, err := workflow.NewHook[string](ctx, workflow.Token("outside "+name))
			if err != nil {
				return "", err
			}
			said, err := outside.Wait(ctx)
			if err != nil {
				return "", err
			}
			heard = append(heard, said)
		}
	}
	return strings.Join(heard, ","), nil
}

func TestS10TokenConflict(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		w.boot(guest)
		first := start(w, guest, "first", "Ada")
		second := start(w, guest, "second", "Bob")
		want(w, second, "after first")
		w.send("room", "close")
		w.idle()

		// The first has closed its hook and goes on: the room is free.
		third := start(w, guest, "third", "Cleo")
		w.send("room", "hello")
		fourth := start(w, guest, "fourth", "Dan")
		want(w, fourth, "after third")
		w.send("outside Ada", "cold here")
		want(w, first, "Bob,close,cold here")
		w.send("room", "bye, Cleo")
		want(w, third, "hello,Dan")

		// The third has ended: the room is free.
		fifth := start(w, guest, "fifth", "Eve")
		w.send("room", "bye, Eve")
		want(w, fifth, "")
	})
}

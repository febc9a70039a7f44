package workflow

import (
	"fmt"

	"github.com/tenter-dev/tenter/internal/run"
)

// Patched reports whether the run takes the way of a change to its code, the patch with an ID of
// the author's own: true if it reaches the call with code that has it, false if it had passed the
// place before the call was there. It is decided once for each run and ID, however often the call is
// made, and is the same on replay. So a change that adds, removes or renames durable calls need not
// be a new [Version]:
//
//	if workflow.Patched(ctx, "fraud check") {
//		if err := workflow.Do(ctx, "check", check); err != nil {
//			return err
//		}
//	}
//
// When the last run that had passed the place has ended, remove the condition and keep the change:
// what journals have of the patch is passed over.
//
// Workers that know the patch and such that do not must not execute the same runs at a time: a run
// that took the patch is blocked by code without it, and goes on when code with it is there.
//
// The ID has 1 to 512 bytes of valid UTF-8 without control characters; with another, and outside
// the workflow's own code, Patched panics, with [ErrInvalidName] or [ErrNotInWorkflow].
func Patched(ctx Context, id string) bool {
	s := mustCheck(ctx)
	if bad := run.BadName(id, run.MaxName); bad != "" {
		panic(fmt.Errorf("workflow.Patched: ID %q: %w: %s", id, ErrInvalidName, bad))
	}
	return s.Patched(id)
}

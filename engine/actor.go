package engine

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/workflow"
)

// actorOf returns who does what is done with ctx, as it is stored.
func actorOf(ctx context.Context) (string, error) {
	a := workflow.ActorOf(ctx)
	if bad := run.BadActor(a.Name, a.Via, a.Link); bad != "" {
		return "", fmt.Errorf("%w: %s", workflow.ErrInvalidName, bad)
	}
	return journal.Actor(a).Encode(), nil
}

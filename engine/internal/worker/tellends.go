package worker

import (
	"context"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/outage"
)

// inUse is how long a worker waits for runs that are in use just then.
const inUse = 20 * time.Millisecond

// tellEnds goes on with reporting the ends of runs that too many await for one commit, or runs that are
// in use, until the worker stops. All workers do: one that ended a run may have died.
func (w *Worker) tellEnds() {
	pause := inUse
	inBatches(w, "report ends", w.untold, w.perhapsUntold, func(ctx context.Context) (more bool, err error) {
		told, more, err := w.store.TellEnds(ctx)
		switch {
		case err != nil || !more:
		case told == 0:
			outage.Sleep(ctx, pause)
			pause = min(2*pause, time.Second)
		default:
			pause = inUse
		}
		return more, err
	})
}

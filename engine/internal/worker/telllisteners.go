package worker

import (
	"cmp"
	"context"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/outage"
	"github.com/tenter-dev/tenter/internal/planted"
)

// listenersAtOnce is how many listeners a worker tells in one commit: so few that the transitions
// of others, which may have to wait for it, hardly notice.
const listenersAtOnce = 20

// tellListeners goes on with publications that too many listen to for one commit, until the worker
// stops. All workers do: one that has begun with it may have died.
func (w *Worker) tellListeners() {
	perhaps := w.perhapsBehind
	if planted.PublicationLeft.Here() {
		perhaps = nil
		select {
		case <-w.behind:
		case <-w.ending:
			return
		}
	}
	inBatches(w, "publish to more listeners", w.behind, perhaps, func(ctx context.Context) (more bool, err error) {
		began := time.Now()
		told, more, err := w.store.TellListeners(ctx, min(cmp.Or(w.opts.PublishAtOnce, listenersAtOnce), listenersAtOnce))
		switch {
		case err != nil || !more:
		case told == 0:
			outage.Sleep(ctx, inUse)
		default: // others get three quarters of the time, with what inBatches leaves them
			outage.Sleep(ctx, time.Since(began))
		}
		return more, err
	})
}

package worker

import (
	"time"

	"github.com/tenter-dev/tenter/engine/internal/outage"
	"github.com/tenter-dev/tenter/internal/saturate"
)

const (
	// PruneEvery is how often a worker looks for runs that are to be deleted.
	PruneEvery = time.Minute
	// pruneEvents is about how many events are deleted in one operation: few, since all
	// commits wait for it.
	pruneEvents = 500
)

// prune deletes runs that ended Options.KeepEnded ago, until the worker stops. All workers
// call it; the first to come does the work.
func (w *Worker) prune() {
	keep := w.opts.KeepEnded
	if keep == 0 {
		return
	}
	tick := time.NewTicker(PruneEvery)
	defer tick.Stop()
	var s outage.Backoff
	defer s.Quit(w.outages)
	for {
		began := time.Now()
		_, more, err := w.store.Prune(w.ctx, saturate.After(w.store.Now(), -keep), pruneEvents)
		pause := time.Since(began) // others get half of the time
		switch {
		case w.Draining():
			return
		case err != nil:
			pause = s.Failed(w.outages, "prune", "", err)
		default:
			s.Passed(w.outages)
		}
		if err != nil || more {
			if !outage.Sleep(w.ctx, pause) {
				return
			}
			continue
		}
		select {
		case <-tick.C:
		case <-w.ending:
			return
		}
	}
}

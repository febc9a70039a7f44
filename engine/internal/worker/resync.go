package worker

import (
	"slices"

	"github.com/tenter-dev/tenter/engine/internal/outage"
	"github.com/tenter-dev/tenter/store"
)

// resync notifies the runs at work here that have mail or have been ended, each time that the
// store has signaled All. Claims find parked runs.
func (w *Worker) resync() {
	var backoff outage.Backoff
	defer backoff.Quit(w.outages)
	for {
		select {
		case <-w.missed:
		case <-w.ctx.Done():
			return
		}
		w.notifyHeld()
		runs := w.atWork()
		if len(runs) == 0 {
			continue
		}
		s, err := w.store.Resync(w.ctx, store.Signal{Mail: runs, Ended: runs})
		if err != nil {
			if w.ctx.Err() != nil || !outage.Sleep(w.ctx, backoff.Failed(w.outages, "look for messages", "", err)) {
				return
			}
			w.missAll()
			continue
		}
		backoff.Passed(w.outages)
		for _, id := range slices.Concat(s.Mail, s.Ended) {
			w.mu.Lock()
			a := w.actors[id]
			w.mu.Unlock()
			if a == nil || !a.notify() {
				w.trigger()
			}
		}
	}
}

// missAll makes resync ask the store.
func (w *Worker) missAll() {
	select {
	case w.missed <- struct{}{}:
	default:
	}
}

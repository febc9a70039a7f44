package engine

import (
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/outage"
	"github.com/tenter-dev/tenter/internal/saturate"
)

const (
	// pruneEvery is how often a worker looks for runs that are to be deleted.
	pruneEvery = time.Minute
	// pruneEvents is about how many events are deleted in one operation: few, for all
	// that commit wait for it.
	pruneEvents = 500
)

// checkKeepEnded says what is wrong with Options.KeepEnded.
func (o *Options) checkKeepEnded() error {
	switch {
	case o.KeepEnded > 0 && o.KeepEnded < pruneEvery:
		return fmt.Errorf("Options.KeepEnded is %v: it is at least %v", o.KeepEnded, pruneEvery)
	case o.KeepEnded > 0 && o.KeepEnded < o.DedupeFor:
		return fmt.Errorf("Options.KeepEnded is %v, and DedupeFor %v: a start or payload that is repeated within that time must still find its run", o.KeepEnded, o.DedupeFor)
	}
	return nil
}

// prune deletes runs that ended Options.KeepEnded ago, until the worker stops. All
// workers do; who comes first does the work.
func (w *worker) prune() {
	keep := w.e.opts.KeepEnded
	if keep == 0 {
		return
	}
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	var s outage.Backoff
	defer s.Quit(w.e.outages)
	for {
		began := time.Now()
		_, more, err := w.store.Prune(w.ctx, saturate.After(w.store.Now(), -keep), pruneEvents)
		pause := time.Since(began) // half of the time is for others
		switch {
		case w.draining():
			return
		case err != nil:
			pause = s.Failed(w.e.outages, "prune", "", err)
		default:
			s.Passed(w.e.outages)
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

package worker

import (
	"context"
	"time"

	"github.com/tenter-dev/tenter/internal/saturate"
)

const (
	// PruneEvery is how often a worker looks for runs that are to be deleted. It looks more often if
	// they are kept for a short time: at most a tenth more is stored than what is to be kept.
	PruneEvery = time.Minute
	// pruneEvents is about how many events are deleted in one operation: few, since all
	// commits wait for it.
	pruneEvents = 500
)

// prune deletes what ended some time ago, until the worker stops; never, if the time is 0. All
// workers call it; the first to come does the work.
func (w *Worker) prune(verb string, keep time.Duration, ended func(ctx context.Context, before time.Time, limit int) (pruned int, more bool, err error)) {
	if keep == 0 {
		return
	}
	tick := time.NewTicker(min(PruneEvery, keep/10))
	defer tick.Stop()
	inBatches(w, verb, tick.C, nil, func(ctx context.Context) (more bool, err error) {
		_, more, err = ended(ctx, saturate.After(w.store.Now(), -keep), pruneEvents)
		return more, err
	})
}

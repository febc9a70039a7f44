package worker

import (
	"context"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/outage"
)

// lookAgain is how long a worker waits at least, if there is only a chance that others have left it
// work, from one look to the next.
const lookAgain = time.Second

// inBatches does work for all runs one batch after another while there is more, and again whenever
// again says so, until the worker stops. If perhaps says that there may be more, it looks too, but not
// more often than lookAgain. verb is what the work does.
func inBatches[T any](w *Worker, verb string, again <-chan T, perhaps <-chan struct{}, batch func(ctx context.Context) (more bool, err error)) {
	var s outage.Backoff
	defer s.Quit(w.outages)
	for {
		began := time.Now()
		more, err := batch(w.ctx)
		pause := time.Since(began) // others get half of the time
		switch {
		case w.Draining():
			return
		case err != nil:
			pause = s.Failed(w.outages, verb, "", err)
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
		case <-again:
		case <-perhaps:
			select {
			case <-again:
			case <-time.After(lookAgain - time.Since(began)):
			case <-w.ending:
				return
			}
		case <-w.ending:
			return
		}
	}
}

// notify notes in a channel of size 1 that something is so.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

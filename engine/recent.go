package engine

import (
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// recent has the results of runs that have just completed here while nobody waited for
// them: who resumes a run and then asks for its result need not ask the store. A run that
// has completed has done so for ever; one that has failed may be retried.
//
// It is guarded by Engine.mu.
type recent struct {
	results map[string]recentResult
	order   [mostRecent]string // of their IDs, a ring
	next    int
}

type recentResult struct {
	*workflow.RunResult
	at time.Time
}

const (
	// mostRecent and largestRecent bound the memory that results take.
	mostRecent    = 256
	largestRecent = 4 << 10

	// recently is how long they are given out. No run is deleted that soon, see
	// Options.KeepEnded, so its ID is still its own.
	recently = time.Second
)

func (r *recent) add(res *workflow.RunResult) {
	if res.Status != workflow.StatusCompleted || len(res.Output) > largestRecent {
		return
	}
	if r.results == nil {
		r.results = make(map[string]recentResult)
	}
	delete(r.results, r.order[r.next])
	r.results[res.RunID], r.order[r.next] = recentResult{res, time.Now()}, res.RunID
	r.next = (r.next + 1) % mostRecent
}

// get returns the result of a run, or nil.
func (r *recent) get(runID string) *workflow.RunResult {
	if res := r.results[runID]; time.Since(res.at) < recently {
		return res.RunResult
	}
	return nil
}

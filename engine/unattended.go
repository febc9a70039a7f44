package engine

import (
	"context"
	"strconv"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/store"
)

// unattendedAfter is how long a run must have had something to do, and nobody to execute it,
// before that is logged for a waiting caller.
const unattendedAfter = 5 * time.Second

// warnUnattended logs, once for each workflow, that a caller waits for a run that has
// something to do but no worker to execute it, most likely because Run was not called. The
// leases of the workers of all processes tell whether there is one. A parked run has no worker
// either, but waits for the outside world.
//
// However many callers wait, one of them looks every few seconds. The others get false.
func (e *Engine) warnUnattended(ctx context.Context, runID string) bool {
	e.mu.Lock()
	recent := time.Since(e.attended) < unattendedAfter
	if !recent {
		e.attended = time.Now()
	}
	e.mu.Unlock()
	if !recent {
		e.lookForWorkers(ctx, runID)
	}
	return !recent
}

func (e *Engine) lookForWorkers(ctx context.Context, runID string) {
	e.refreshLease()
	r, err := e.store.Run(ctx, runID)
	// Else it is attended, or blocked, which its worker has logged.
	if err != nil || r.Paused != nil || r.Status != store.Blocked || r.BlockedBuild != "" || !journal.ReasonCode(r.BlockedReason).Unattended() {
		return
	}
	since, err := e.busySince(ctx, &r)
	if err != nil || since.IsZero() || e.store.Now().Sub(since) < unattendedAfter {
		return
	}
	e.mu.Lock()
	told := e.unattended[r.Workflow]
	if e.unattended == nil {
		e.unattended = map[string]bool{}
	}
	e.unattended[r.Workflow] = true
	here := "this engine is a client: it has no Options.Workflows"
	switch {
	case e.defs[r.Workflow] == nil && len(e.defs) > 0:
		here = "this engine does not have the workflow"
	case e.defs[r.Workflow] == nil:
	case e.definition(r.Workflow, r.Version) == nil:
		here = "this engine does not have version " + strconv.Itoa(r.Version)
	case e.worker != nil:
		here = "this engine executes the workflow, but its lease has lapsed"
	case e.ran == nil:
		here = "Engine.Run of this engine was not called"
	default:
		here = "Engine.Run of this engine has returned: " + *e.ran
	}
	e.mu.Unlock()
	if !told {
		e.log.WarnContext(ctx, "a run is waited for that nobody executes: it goes on when a worker that has its workflow is started, with Engine.Run",
			"run", r.ID, "workflow", r.Workflow, "since", since.UTC(), "here", here, "elsewhere", r.BlockedReason)
	}
}

// busySince returns since when a run has had something to do; zero: it has nothing.
func (e *Engine) busySince(ctx context.Context, r *store.Run) (time.Time, error) {
	l, err := e.store.Load(ctx, r.ID, r.Events)
	if err != nil {
		return time.Time{}, err
	}
	since := r.WakeAt
	if len(l.Mail) > 0 && (since.IsZero() || l.Mail[0].AcceptedAt.Before(since)) {
		since = l.Mail[0].AcceptedAt
	}
	if since.After(e.store.Now()) {
		return time.Time{}, nil
	}
	return since, nil
}

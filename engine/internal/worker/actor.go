package worker

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/engine/internal/outage"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
)

// actor is a run that is live in this worker. It has a goroutine only while it has something
// to do; then it loops: take in what has arrived, let the code continue, commit all of it as
// one transition, and only then begin what the code asked for.
//
// A parked actor is a cache: it does not own the run, and what it remembers is true as long as
// the run's epoch does not change, which each of its transitions checks.
type actor struct {
	w        *Worker
	id       string
	workflow string
	traced   context.Context //nolint:containedctx // carries the run's trace

	mu      sync.Mutex
	inbox   []arrival
	hasMail bool // the mailbox may have messages
	active  bool // a goroutine runs loop
	gone    bool // no longer the run's actor

	ending atomic.Bool // it commits the run's end and will deliver it; placed here it costs no padding

	parked *list.Element // in worker.parked, guarded by worker.mu

	turnSince atomic.Int64 // when workflow code began to execute; 0: it does not; for the watchdog and for callers

	// The rest belongs to the goroutine that runs loop.

	head       store.Run // as of the actor's last transition
	def        *run.Workflow
	x          *execution.Execution // nil: to be rebuilt from the journal
	schedule   schedule             // of the execution's steps
	optimistic *optimisticClaim     // nil unless the next transition claims the run
	owned      bool                 // this worker owns the run
	suspect    bool                 // the last owner died
	mailRead   bool                 // the mailbox has been read in this round
	moreMail   bool                 // the mailbox has more than was read
	behind     bool                 // a payload was sent to the mailbox, which has not been read since
	held       bool                 // the run is paused: see worker.holding
	seq        int64
	attempts   map[string]*attempt
	start      *starting      // of a run born here, until its first transition is durable
	quarantine *quarantine    // nil: the run is not in quarantine
	backoff    outage.Backoff // before the store is tried again
	lapses     int32          // of the lease, before the run was last read or written
	alarm      *time.Timer    // for what is due while this worker owns the run: no claim finds the run then
	longevity  *longevity     // nil: there is nothing to remember
}

// optimisticClaim is the claim of a free run by the first transition that its code leads to.
type optimisticClaim struct {
	signaled time.Time   // when a signal named the run
	overdue  *time.Timer // claims the run if that transition takes long
}

// longevity is what an actor remembers of a run that lives long.
type longevity struct {
	warned   int64     // events at the last warning of a long journal
	restarts int       // in a row, of generations that nothing has come to
	until    time.Time // when the next of these may come; zero: it is not decided
	stale    int64     // the epoch as of which the execution is true, if others went on; 0: it is up to date
}

// lives returns what the actor remembers of a run that lives long.
func (a *actor) lives() *longevity {
	if a.longevity == nil {
		a.longevity = &longevity{}
	}
	return a.longevity
}

// holding is what an actor knows of a run that is paused and has attempts under way.
type holding struct {
	outcomes []store.Message // to be deposited
	unsure   bool            // it is not known whether a deposit was written, or will be
}

// arrival is what comes to an actor from this process: one of the fields after at is set.
type arrival struct {
	at       time.Time
	delivery *delivery
	result   *result      // of an attempt
	long     *attempt     // has executed long enough to be shown
	overdue  *attempt     // has not returned within the grace period
	claimed  *store.Run   // this worker has claimed the run
	event    *store.Event // about something noticed by this worker
	crashed  string       // step whose attempt a worker announced before it died
	unbegun  string       // canceled step whose attempt did not call its function
}

// resultRef returns the step whose result this is, or "".
func (in *arrival) resultRef() string {
	if in.result == nil {
		return ""
	}
	return in.result.ref
}

// starting is a run that is born in this worker.
type starting struct {
	handoff
	run store.NewRun
}

// delivery is a payload that the transition that takes it in may also accept.
type delivery struct {
	handoff
	hookID  string
	data    []byte
	orStart *store.NewRun
	trace   string
	actor   string
}

// fold brings the schedule up to date after the execution was fed an event.
func (a *actor) fold(e *store.Event, replayed bool) {
	a.schedule.fold(e, replayed)
	asked, canceled := a.x.TakeSteps()
	for _, s := range asked {
		a.schedule.ask(s.Ref, &s.Spec)
	}
	for _, s := range canceled {
		a.schedule.cancel(s.Ref, s.Canceled)
	}
	clear(asked)
	clear(canceled)
}

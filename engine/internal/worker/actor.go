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

// actor is a run that is live in this worker. It has a goroutine only while it has
// something to do; then it goes round: take in what has arrived, let the code go on,
// commit all of it as one transition, and only then begin what the code asked for.
//
// A parked actor is a cache: it holds no lease, and what it remembers is true for as
// long as the run's epoch stands still, which each of its transitions checks.
type actor struct {
	w        *Worker
	id       string
	workflow string
	traced   context.Context //nolint:containedctx // has the run's trace

	mu      sync.Mutex
	inbox   []arrival
	hasMail bool // there may be mail
	active  bool // a goroutine goes round
	gone    bool // not the run's actor any more

	ending atomic.Bool // it commits the end of the run, and tells what comes of it; here it costs no padding

	parked *list.Element // in worker.parked, guarded by worker.mu

	turnSince atomic.Int64 // when workflow code began to execute, 0: it does not; for the watchdog and for callers

	// The rest belongs to the goroutine that goes round.

	head       store.Run // as of our last transition
	def        *run.Workflow
	x          *execution.Execution // nil: to be rebuilt from the journal
	schedule   schedule             // of the execution's steps
	owned      bool                 // this worker owns the run
	suspect    bool                 // and its last owner died
	mailRead   bool                 // the mailbox was read in this round
	moreMail   bool                 // and there is more than was read
	behind     bool                 // a payload was sent to the mailbox that was not read since
	seq        int64
	attempts   map[string]*attempt
	start      *starting      // of a run born here, until its first transition is durable
	quarantine *quarantine    // nil: the run is not in quarantine
	backoff    outage.Backoff // before the store is tried again
	lapses     int64          // of the lease, before the run was last read or written
	alarm      *time.Timer    // for what is due while this worker owns the run: no claim finds it then
	warned     int64          // events at the last warning of a long journal
}

// arrival is what comes to an actor from this process: one of its fields is set.
type arrival struct {
	at       time.Time
	delivery *delivery
	result   *result      // of an attempt
	long     *attempt     // executes for so long that it is to be shown
	overdue  *attempt     // has not returned within the grace period
	claimed  *store.Run   // this worker has claimed the run
	event    *store.Event // about something that this worker has noticed
	crashed  string       // step whose attempt was announced by a worker that died
	unbegun  string       // canceled step whose attempt has not called its function
}

// resultRef returns the step whose result this is, or nothing.
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

// delivery is a payload that may be accepted by the very transition that takes it in.
type delivery struct {
	handoff
	hookID  string
	data    []byte
	orStart *store.NewRun
	trace   string
}

// fold has the schedule follow the execution, which has been fed an event.
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

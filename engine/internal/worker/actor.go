package worker

import (
	"container/list"
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/engine/internal/outage"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/saturate"
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

// post hands something to the actor. It returns false if it is gone.
func (a *actor) post(in arrival) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone {
		return false
	}
	a.inbox = append(a.inbox, in)
	a.wake()
	return true
}

// notify says that there may be mail. It returns false if the actor is gone.
func (a *actor) notify() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone {
		return false
	}
	a.hasMail = true
	a.wake()
	return true
}

// wake is called with a.mu held.
func (a *actor) wake() {
	if !a.active {
		a.active = true
		a.w.busy(a)
		go a.loop()
	}
}

func (a *actor) loop() {
	growStack()
	for {
		a.mu.Lock()
		inbox, hasMail := a.inbox, a.hasMail
		if (len(inbox) == 0 && !hasMail && a.x != nil) || a.gone {
			a.active = false
			victim := a.w.idle(a)
			a.mu.Unlock()
			if victim != nil {
				victim.evict()
			}
			return
		}
		a.inbox, a.hasMail = nil, false
		a.mu.Unlock()
		a.round(inbox, hasMail)
	}
}

// growStack has the stack of a new goroutine grow while there is next to nothing on it.
// Deep in a round, where it would grow otherwise, copying it takes as long as encoding a
// transition.
//
//go:noinline
func growStack() {
	var room [4 << 10]byte
	runtime.KeepAlive(&room)
}

// round takes in what has arrived. What can't be taken in now is put back.
func (a *actor) round(inbox []arrival, hasMail bool) {
	for _, in := range inbox {
		if in.claimed != nil {
			if a.start != nil { // its ID is taken, by the run that was claimed
				a.start.done <- store.ErrExists
				a.start = nil
			}
			hasMail = a.claimed(in.claimed) || hasMail
		}
	}
	if a.start == nil && !a.owned && a.x == nil {
		a.leave(inbox) // whoever claims the run goes on with it
		a.w.trigger()
		return
	}
	var mail []store.Message
	switch {
	case a.start != nil:
		mail = a.born()
	case a.x == nil:
		var ok bool
		if mail, inbox, ok = a.rebuild(inbox); !ok {
			return
		}
	case hasMail:
		var ok bool
		if mail, ok = a.readMail(inbox); !ok {
			return
		}
	}
	a.advance(mail, inbox)
}

// claimed makes this worker the owner. If the run is as the actor remembers it, it
// goes on without a replay. It reports whether there may be mail.
func (a *actor) claimed(r *store.Run) bool {
	if r.Epoch <= a.head.Epoch {
		return !a.owned // it came along with others, and if it is not at work here that was long ago
	}
	changed := (r.Epoch != a.head.Epoch+1 || r.Events != a.head.Events) && !planted.ParkedKept.Here()
	if a.x != nil && (changed || r.Suspicion >= suspicious) {
		a.forget()
	}
	a.head = *r
	a.seq = 0
	a.own(true)
	return true
}

// own says whether this worker owns the run.
func (a *actor) own(owned bool) {
	if a.owned != owned {
		a.owned = owned
		a.w.countOwned(owned)
	}
	if suspect := owned && a.head.Suspicion > 0; a.suspect != suspect {
		a.suspect = suspect
		a.w.countSuspect(suspect)
	}
	if !owned && a.alarm != nil {
		a.alarm.Stop()
	}
}

// setAlarm makes an owned run go round at a time; zero is never.
func (a *actor) setAlarm(at time.Time) {
	switch {
	case !a.owned || at.IsZero():
		if a.alarm != nil {
			a.alarm.Stop()
		}
	case a.alarm == nil:
		a.alarm = time.AfterFunc(at.Sub(a.w.store.Now()), func() { a.notify() })
	default:
		a.alarm.Reset(at.Sub(a.w.store.Now()))
	}
}

// forget throws the execution away. Attempts go on, for the next one to find.
func (a *actor) forget() {
	a.w.unindexHooks(a)
	if a.x != nil {
		a.x.Close()
		a.x, a.schedule = nil, schedule{}
	}
}

// leave ends the actor: the run is another worker's, or nobody's here. What was
// delivered goes through the mailbox.
func (a *actor) leave(inbox []arrival) {
	a.mu.Lock()
	a.gone = true
	inbox = append(inbox, a.inbox...)
	a.inbox = nil
	a.mu.Unlock()
	a.w.remove(a)
	a.forget()
	for _, at := range a.attempts {
		at.abandon()
	}
	if a.start != nil {
		a.start.done <- ErrDeclined
		a.start = nil
	}
	a.leaveQuarantine()
	a.own(false)
	a.backoff.Quit(a.w.outages)
	for _, in := range inbox {
		if in.delivery != nil {
			in.delivery.done <- ErrDeclined
		}
		if in.claimed != nil {
			a.w.again.Store(true) // it is ours, and nobody here goes on with it
			a.w.trigger()
		}
	}
}

// putBack returns arrivals to the front of the inbox.
func (a *actor) putBack(inbox []arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	kept := inbox[:0]
	for _, in := range inbox {
		if in.claimed == nil {
			kept = append(kept, in)
		}
	}
	a.inbox = append(kept, a.inbox...)
}

// declineInbox answers the deliveries that have arrived.
func (a *actor) declineInbox() {
	a.mu.Lock()
	defer a.mu.Unlock()
	declineAll(a.inbox)
	a.inbox = slices.DeleteFunc(a.inbox, func(in arrival) bool { return in.delivery != nil })
}

// born makes the execution of a run that begins here, and its first message.
func (a *actor) born() []store.Message {
	a.start.release()
	n := a.start.run
	at := a.w.store.Now()
	a.head = store.Run{
		ID: n.ID, Workflow: n.Workflow, Version: n.Version, Secret: n.Secret, Trace: n.Trace,
		CreatedAt: at, Epoch: 1,
	}
	a.x = a.newExecution()
	return []store.Message{{Kind: store.Started, Data: n.Input, AcceptedAt: saturate.Time(at)}}
}

func (a *actor) newExecution() *execution.Execution {
	a.traced = a.w.tel.Within(a.w.ctx, &a.head)
	return execution.New(a.traced, &a.head, a.def, a.w.env, a.w.log)
}

// readMail loads the mail of a live run, and checks that it is as we remember it.
func (a *actor) readMail(inbox []arrival) ([]store.Message, bool) {
	lapses := a.w.lease.lapses.Load()
	l, err := a.w.store.Load(a.w.ctx, a.id, a.head.Events)
	switch {
	case errors.Is(err, store.ErrNotFound):
		a.leave(inbox)
		return nil, false
	case err != nil:
		a.putBack(inbox)
		a.troubled("read the mailbox", err)
		return nil, false
	case l.Run.Epoch != a.head.Epoch || l.Run.Events != a.head.Events || l.Run.Status.Ended() || a.foreign(&l.Run):
		if a.owned {
			a.w.lost.Add(1)
			a.w.tel.Lost(a.traced)
		}
		a.leave(inbox)
		a.w.trigger() // signals may have come to this actor
		return nil, false
	}
	a.lapses, a.mailRead, a.moreMail = lapses, true, l.More
	a.own(l.Run.Worker == a.w.id)
	return l.Mail, true
}

// foreign reports whether another worker owns a run.
func (a *actor) foreign(r *store.Run) bool { return r.Worker != "" && r.Worker != a.w.id }

// rebuild replays the journal of a run that this worker owns. It returns the mail,
// and what of the arrivals still counts.
func (a *actor) rebuild(inbox []arrival) (mail []store.Message, left []arrival, ok bool) {
	if a.backoff.Waiting() { // a replay for nothing is to be spared, if nothing can be written
		if _, err := a.w.lease.ensure(); err != nil {
			a.putBack(inbox)
			a.troubled("renew the lease", err)
			return nil, nil, false
		}
	}
	lapses := a.w.lease.lapses.Load()
	l, err := a.w.store.Load(a.w.ctx, a.id, 0)
	if err != nil {
		a.putBack(inbox)
		if errors.Is(err, store.ErrNotFound) {
			a.leave(nil)
		} else {
			a.troubled("load the run", err)
		}
		return nil, nil, false
	}
	if l.Run.Epoch != a.head.Epoch || l.Run.Status.Ended() || a.foreign(&l.Run) {
		a.leave(inbox)
		a.w.trigger()
		return nil, nil, false
	}
	a.lapses = lapses
	a.head = l.Run
	a.own(l.Run.Worker == a.w.id)
	if n := len(l.Events); n > 0 && l.Events[n-1].Epoch == a.head.Epoch {
		a.seq = max(a.seq, l.Events[n-1].Seq) // it goes on in the same epoch
	}
	if a.def = a.w.definition(l.Run.Workflow, l.Run.Version); a.def == nil {
		a.block(inbox, journal.ReasonNoDefinition(l.Run.Workflow))
		return nil, nil, false
	}
	if !a.enterQuarantine(inbox) {
		return nil, nil, false
	}
	x := a.newExecution()
	a.x = x
	if d := a.replay(l.Events); d != nil {
		a.block(inbox, d.String())
		return nil, nil, false
	}
	x.Rejoin(l.Backlog)
	x.Reask()
	// Results are found through the attempts, outcomes by asking again.
	left = slices.DeleteFunc(inbox, func(in arrival) bool {
		at := a.attempts[in.resultRef()]
		return in.delivery == nil && (at == nil || at.result != nil)
	})
	a.schedule.takenOver(a.w.store.Now())
	for _, s := range a.schedule.steps {
		if s.marked > 0 && a.attempts[s.ref] == nil {
			left = append(left, arrival{at: a.w.store.Now(), crashed: s.ref})
		}
		if at := a.attempts[s.ref]; at != nil && at.result != nil {
			left = append(left, arrival{at: at.result.at, result: at.result})
		}
	}
	slices.SortStableFunc(left, func(x, y arrival) int { return x.at.Compare(y.at) })
	a.mailRead, a.moreMail = true, l.More
	if a.quarantine != nil {
		a.quarantine.suspects = a.schedule.refs()
	}
	for ref, at := range a.attempts {
		if a.schedule.get(ref) == nil && at.result != nil {
			delete(a.attempts, ref)
		}
	}
	return l.Mail, left, true
}

func (a *actor) replay(events []store.Event) *execution.Divergence {
	began := time.Now()
	a.turnSince.Store(began.UnixNano())
	defer a.turnSince.Store(0)
	for i := range events {
		if d := a.x.Replay(&events[i]); d != nil {
			return d
		}
		a.fold(&events[i], true)
	}
	a.w.tel.Replayed(a.traced, a.head.Workflow, len(events), time.Since(began))
	return nil
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

// arrive adds an arrival from the actor's own goroutine.
func (a *actor) arrive(in arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inbox = append(a.inbox, in)
}

// block parks the run until a worker of another build takes it up, or somebody
// retries it.
func (a *actor) block(inbox []arrival, reason string) {
	a.forget()
	if a.start != nil {
		a.leave(inbox) // it is started through the mailbox, and whoever claims it blocks it
		return
	}
	a.logger().ErrorContext(a.traced, "run is blocked", "reason", reason)
	a.w.tel.Blocked(a.traced, a.head.Workflow)
	for {
		t := a.transition(store.Blocked)
		t.BlockedBuild, t.BlockedReason = a.w.opts.Build, reason
		t.WakeAt = t.At
		t.Suspicion, t.Crashes = 0, 0
		_, err := a.commit(t)
		switch {
		case errors.Is(err, store.ErrConflict):
			a.putBack(inbox)
			a.markMail()
			return
		case err == nil, errors.Is(err, store.ErrFenced):
			a.leave(inbox)
			return
		}
		l, known := a.clarify(t, err, func(error) {})
		if !known || l.Run.Worker != a.w.id {
			a.leave(inbox)
			return
		}
		a.head = l.Run
		a.own(true)
	}
}

// troubled waits before the store is tried again. What was delivered meanwhile goes through
// the mailbox, where its sender learns of the trouble.
func (a *actor) troubled(verb string, err error) {
	a.forget()
	a.declineInbox()
	if a.w.ctx.Err() != nil {
		a.leave(nil)
		return
	}
	if !outage.Sleep(a.w.ctx, a.backoff.Failed(a.w.outages, verb, a.id, err)) {
		a.leave(nil)
	}
}

package engine

import (
	"bytes"
	"errors"
	"slices"
	"sort"
	"time"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
)

// maxBatch bounds the events of one transition.
const maxBatch = 256

// batch is a transition in the making.
type batch struct {
	a        *actor
	events   []store.Event
	took     []int64
	guard    time.Time // becomes NoMailBefore
	offers   []*offer
	resolved []string // steps whose attempt has become an event
	stop     []*attempt
	show     []*attempt
	begin    []*step
	next     time.Time // when the run has something to do of itself: a timer or a retry
}

// advance feeds what has arrived, in the order of time, and commits what comes of it.
func (a *actor) advance(mail []store.Message, inbox []arrival) {
	b := &batch{a: a}
	mail, inbox = b.feedAll(mail, inbox)
	if a.x.diverged != nil {
		// Not seen in a replay: the code is not deterministic within one turn.
		a.block(inbox, a.x.diverged.String())
		return
	}
	if a.x.finished {
		declineOffers(inbox)
		inbox = nil
	}
	a.putBack(inbox)
	if len(mail) > 0 {
		a.repoke()
	}
	t := b.transition()
	if t == nil {
		b.stopCanceled() // after a rebuild: what canceled them is durable
		a.setAlarm(b.next)
		b.start()
		return
	}
	effects := a.x.effects
	a.x.effects = nil
	outcomes, err := a.commit(t)
	if err != nil {
		b.refused(t, err)
		return
	}
	b.committed(t, effects, outcomes)
}

// feedAll feeds mail, arrivals and timers in the order of their times; timers come
// before what was accepted when they were due. It returns what is left.
func (b *batch) feedAll(mail []store.Message, inbox []arrival) ([]store.Message, []arrival) {
	a, x := b.a, b.a.x
	a.turnSince.Store(time.Now().UnixNano())
	defer a.turnSince.Store(0)
	now := microseconds(a.w.store.Now())
	drains := b.drains(len(mail) > 0 || a.mailRead)
	a.mailRead = false
	b.settleCanceled()
	for !x.finished && x.diverged == nil && len(b.events) < maxBatch {
		until, isMail := now, false
		switch {
		case len(mail) > 0 && (len(inbox) == 0 || !inbox[0].at.Before(mail[0].AcceptedAt)):
			until, isMail = mail[0].AcceptedAt, true
		case len(inbox) > 0:
			until = inbox[0].at
		}
		if t := x.timers.next(); t != nil && !t.at.After(until) {
			b.guard = later(b.guard, t.at)
			b.feed(store.Event{Kind: store.TimerFired, Ref: t.ref(), At: t.at})
			continue
		}
		switch {
		case isMail:
			m := mail[0]
			mail = mail[1:]
			if m.ID != 0 {
				b.took = append(b.took, m.ID)
			}
			b.feed(store.Event{Kind: m.Kind, Ref: m.Ref, Data: m.Data, At: m.AcceptedAt, OrStart: m.OrStart})
		case len(inbox) > 0:
			in := inbox[0]
			inbox = inbox[1:]
			b.take(in)
		case len(drains) > 0:
			b.feed(store.Event{Kind: store.HookDrained, Ref: drains[0], At: now})
			drains = drains[1:]
		default:
			return mail, inbox
		}
	}
	return mail, inbox
}

// drains returns the closed hooks whose last payloads are in the mail that has just
// been read.
func (b *batch) drains(mailRead bool) []string {
	var refs []string
	if mailRead {
		for _, s := range b.a.x.unsettled {
			if d, ok := s.(*drain); ok {
				refs = append(refs, d.hook.ref)
			}
		}
	}
	return refs
}

func later(t, u time.Time) time.Time {
	if u.After(t) {
		return u
	}
	return t
}

// take feeds an arrival.
func (b *batch) take(in arrival) {
	a := b.a
	switch {
	case in.event != nil:
		in.event.At = in.at
		b.feed(*in.event)
	case in.crashed != "":
		if s := a.x.steps[in.crashed]; s != nil && s.marked > 0 && a.attempts[s.ref] == nil {
			e := a.crashed(s)
			e.At = in.at
			b.feed(*e)
		}
	case in.offer != nil:
		h := a.x.hookByID[in.offer.hookID]
		if h == nil {
			in.offer.done <- errDeclined
			return
		}
		b.offers = append(b.offers, in.offer)
		b.guard = store.Always
		b.feed(store.Event{
			Kind: store.PayloadReceived, Ref: in.offer.hookID, Data: in.offer.data, OrStart: in.offer.orStart,
			At: microseconds(in.at),
		})
	case in.result != nil:
		at := a.attempts[in.result.ref]
		if at == nil || at.number != in.result.number || slices.Contains(b.resolved, at.ref) {
			return
		}
		at.result = in.result
		at.abandon()
		e := a.stepEvent(in.result)
		if e == nil {
			delete(a.attempts, at.ref)
			return
		}
		e.At = in.at
		b.resolved = append(b.resolved, at.ref)
		b.feed(*e)
	case in.long != nil:
		if a.attempts[in.long.ref] == in.long && in.long.result == nil {
			b.show = append(b.show, in.long)
		}
	case in.overdue != nil:
		s := a.x.steps[in.overdue.ref]
		if s != nil && a.attempts[s.ref] == in.overdue && in.overdue.result == nil {
			e := a.unknownOutcome(s, "the attempt has not returned within "+a.w.e.opts.StepGrace.String()+" after it was canceled")
			e.At = in.at
			b.resolved = append(b.resolved, s.ref)
			b.feed(*e)
		}
	}
}

// feed gives one event to the code.
func (b *batch) feed(e store.Event) {
	a := b.a
	e.Position = a.head.Events + int64(len(b.events)) + 1
	e.At = microseconds(e.At)
	a.x.feed(&e)
	b.events = append(b.events, e)
	if !a.x.finished && a.x.diverged == nil {
		b.settleCanceled()
	}
}

// settleCanceled ends canceled steps of which no attempt is executing, and has the
// others stopped.
func (b *batch) settleCanceled() {
	a := b.a
	for len(a.x.canceling) > 0 && !a.x.finished {
		s := a.x.canceling[0]
		a.x.canceling = a.x.canceling[1:]
		if s.done {
			continue
		}
		if at := a.attempts[s.ref]; at != nil && !slices.Contains(b.resolved, s.ref) {
			b.stop = append(b.stop, at)
			continue
		}
		e := a.canceledStep(s)
		if s.begun {
			e = a.unknownOutcome(s, "the worker that executed it is gone, and it was canceled")
		}
		e.At = a.x.now
		b.feed(*e)
	}
}

// transition completes the batch. It returns nil if there is nothing to be written.
func (b *batch) transition() *store.Transition {
	a, x := b.a, b.a.x
	if x.finished {
		return b.end()
	}
	now := microseconds(a.w.store.Now())
	b.begin, b.next = b.due(now)
	if t := x.timers.next(); t != nil && (b.next.IsZero() || t.at.Before(b.next)) {
		b.next = t.at
	}
	executing := 0
	for _, at := range a.attempts {
		if at.result == nil && !slices.Contains(b.resolved, at.ref) {
			executing++
		}
	}
	keep := executing > 0 || len(x.unsettled) > 0
	status, wake := store.Waiting, b.next
	switch {
	case len(b.begin) > 0 && a.w.draining():
		b.begin = nil
		status, wake = store.Running, now
	case keep || len(b.begin) > 0:
		keep, status, wake = true, store.Running, now
	}
	if len(b.events) == 0 && len(x.effects) == 0 && len(b.show) == 0 && keep == a.held && a.start == nil {
		return nil
	}
	t := a.transition(status)
	t.WakeAt, t.Keep = wake, keep
	b.fill(t)
	return t
}

// due returns the steps to begin now, and when the next one is to begin otherwise.
func (b *batch) due(now time.Time) (begin []*step, next time.Time) {
	a := b.a
	for _, s := range a.x.steps {
		switch {
		case a.attempts[s.ref] != nil && !slices.Contains(b.resolved, s.ref) || s.canceled != nil:
		case s.retryAt.After(now):
			if next.IsZero() || s.retryAt.Before(next) {
				next = s.retryAt
			}
		default:
			begin = append(begin, s)
		}
	}
	if len(begin) > 1 {
		sort.Slice(begin, func(i, j int) bool { return begin[i].order < begin[j].order })
	}
	if a.solo != nil {
		begin = a.solo.admit(b, begin)
	}
	return begin, next
}

// end makes the transition that ends the run.
func (b *batch) end() *store.Transition {
	a, x := b.a, b.a.x
	f := x.failure
	if limit := a.w.e.opts.MaxPayload; f == nil && len(x.result) > limit {
		large := tooLarge("the result of the run", len(x.result), limit)
		f = &large
	}
	e := store.Event{Kind: store.RunCompleted, Data: x.result, At: x.now}
	status, parent := store.Completed, store.ChildCompleted
	if f != nil {
		e.Kind, status, parent = store.RunFailed, store.Failed, store.ChildFailed
		if x.cancelRequested && slices.Contains(f.Is, run.IsCanceled) {
			e.Kind, status = store.RunCanceled, store.Canceled
			f.Is = append(f.Is, run.IsRunCanceled)
		}
		e.Data = encodeFailure(f)
	}
	e.Position = a.head.Events + int64(len(b.events)) + 1
	b.events = append(b.events, e)
	if a.head.ParentID != "" {
		x.emit(&store.Effect{Kind: store.Send, Message: store.Message{
			RunID: a.head.ParentID, Kind: parent, Ref: a.head.ParentRef, Data: e.Data,
		}}, nil)
	}
	t := a.transition(status)
	t.TookAny = x.took
	for _, it := range x.untaken() {
		t.Unread = append(t.Unread, store.Message{
			RunID: a.id, Kind: store.PayloadReceived, Ref: it.hookID, Data: it.data, AcceptedAt: it.at, OrStart: it.orStart,
		})
	}
	b.fill(t)
	return t
}

func (b *batch) fill(t *store.Transition) {
	a := b.a
	t.Events, t.Took, t.NoMailBefore = b.events, b.took, b.guard
	for _, e := range a.x.effects {
		t.Effects = append(t.Effects, *e.Effect)
	}
	for _, at := range b.show {
		t.Executing = append(t.Executing, store.Attempt{
			RunID: a.id, Step: at.ref, Attempt: at.number, StartedAt: at.started, Worker: a.w.id,
		})
	}
	for _, ref := range b.resolved {
		if at := a.attempts[ref]; at != nil && at.shown {
			t.Executed = append(t.Executed, ref)
		}
	}
	t.Suspicion, t.Crashes = a.suspicion(len(b.resolved) > 0)
}

// transition returns an empty one.
func (a *actor) transition(status store.Status) *store.Transition {
	a.seq++
	t := &store.Transition{
		RunID:     a.id,
		Worker:    a.w.id,
		Epoch:     a.head.Epoch,
		Seq:       a.seq,
		After:     a.head.Events,
		At:        microseconds(a.w.store.Now()),
		Status:    status,
		Suspicion: a.head.Suspicion,
		Crashes:   a.head.Crashes,
	}
	if a.def != nil {
		t.Version = a.def.Version
	}
	if a.start != nil {
		t.Create = &a.start.run
	}
	return t
}

// commit writes a transition, under a valid lease if it keeps the run.
func (a *actor) commit(t *store.Transition) ([]store.Outcome, error) {
	if t.Keep {
		if err := a.w.lease.ensure(); err != nil {
			return nil, err
		}
	}
	a.ending.Store(t.Status.Ended())
	outcomes, err := a.w.store.Apply(a.w.ctx, t)
	if err != nil {
		a.ending.Store(false)
	}
	return outcomes, err
}

// committed does what had to wait for the transition to be durable.
func (b *batch) committed(t *store.Transition, effects []effect, outcomes []store.Outcome) {
	a, x := b.a, b.a.x
	a.pause = 0
	a.head.Events += int64(len(t.Events))
	a.head.Suspicion, a.head.Crashes, a.head.Mark = t.Suspicion, t.Crashes, false
	a.head.Status, a.head.Version = t.Status, t.Version
	a.hold(t.Keep)
	if a.start != nil {
		a.start.done <- nil
		a.start = nil
	}
	for _, o := range b.offers {
		o.done <- nil
	}
	for _, log := range x.logs {
		log()
	}
	x.logs = nil
	for _, ref := range b.resolved {
		a.attempts[ref].abandon()
		delete(a.attempts, ref)
	}
	for _, at := range b.show {
		at.shown = true
	}
	a.w.follow(a)
	if t.Status.Ended() {
		a.w.ended(a, t)
		a.leave(nil)
		return
	}
	a.warn()
	for i, o := range outcomes {
		if s := effects[i].settler; s != nil {
			kind, ref, data := s.outcome(o)
			if kind == "" {
				continue
			}
			a.arrive(arrival{at: a.w.store.Now(), event: &store.Event{Kind: kind, Ref: ref, Data: data}})
		}
	}
	if slices.ContainsFunc(x.unsettled, func(s settler) bool { _, ok := s.(*drain); return ok }) {
		a.repoke()
	}
	b.stopCanceled()
	if !t.WakeAt.IsZero() && !t.Keep {
		a.w.wakeAt(t.WakeAt)
	}
	a.setAlarm(b.next)
	b.start()
	if a.solo != nil && len(a.attempts) == 0 {
		a.endSolo()
	}
	if !a.held && a.head.Suspicion >= suspicious {
		a.leave(nil) // what comes next for it has to pass the quarantine again
		a.w.trigger()
	}
}

// stopCanceled has the attempts of canceled steps stopped. What canceled them is
// durable.
func (b *batch) stopCanceled() {
	a := b.a
	for _, at := range b.stop {
		at.stop()
		at.grace = time.AfterFunc(a.w.e.opts.StepGrace, func() { a.post(arrival{at: time.Now(), overdue: at}) })
	}
}

// start begins the steps whose decision is durable.
func (b *batch) start() {
	if len(b.begin) == 0 {
		return
	}
	if err := b.a.w.lease.ensure(); err != nil {
		b.a.troubled("renew the lease", err)
		b.a.repoke()
		return
	}
	for _, s := range b.begin {
		b.a.begin(s)
	}
}

// refused handles a transition that was not written, or maybe was.
func (b *batch) refused(t *store.Transition, err error) {
	a := b.a
	switch {
	case errors.Is(err, store.ErrExists) && a.start != nil:
		a.start.done <- err
		a.start = nil
		a.fenced()
	case errors.Is(err, store.ErrFenced):
		b.decline()
		a.fenced()
	case errors.Is(err, store.ErrConflict):
		b.decline()
		a.forget()
		a.repoke()
	default:
		b.doubt(t, err)
	}
}

// decline sends what was offered the long way.
func (b *batch) decline() {
	for _, o := range b.offers {
		o.done <- errDeclined
	}
}

// fenced gives the run up, unless it is this worker that has claimed it meanwhile.
func (a *actor) fenced() {
	a.forget()
	a.mu.Lock()
	mine := slices.ContainsFunc(a.inbox, func(in arrival) bool { return in.claimed != nil })
	a.mu.Unlock()
	a.hold(false)
	if !mine {
		a.leave(nil)
		a.w.trigger() // signals may have come to this actor
	}
}

// doubt finds out whether a transition was written whose answer is lost. Until that
// is known nobody is told anything.
func (b *batch) doubt(t *store.Transition, err error) {
	a, start := b.a, b.a.start
	a.start = nil
	for {
		a.troubled("commit", err)
		if a.isGone() {
			b.answer(start, err) // the worker stops: nobody here will know
			return
		}
		var l store.Loaded
		l, err = a.w.store.Load(a.w.ctx, a.id, t.After)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			continue
		}
		written := len(l.Events) > 0 && l.Events[0].Epoch == t.Epoch && l.Events[0].Seq == t.Seq
		if start != nil && written {
			written = bytes.Equal(l.Run.Secret, t.Create.Secret) // else another run has the ID
		}
		if !written {
			b.answer(start, errDeclined)
		} else {
			b.answer(start, nil)
		}
		a.settle(t, l.Run, written, start != nil)
		return
	}
}

// answer tells who waits for the transition what became of it.
func (b *batch) answer(start *starting, err error) {
	if start != nil {
		start.done <- err
	}
	for _, o := range b.offers {
		o.done <- err
	}
}

// settle goes on after a doubt, with the run as the store has it.
func (a *actor) settle(t *store.Transition, head store.Run, written, born bool) {
	switch {
	case written && t.Status.Ended():
		a.w.ended(a, t)
		a.leave(nil)
	case !written && born:
		a.leave(nil)
	case head.Worker != a.w.id || head.Epoch != t.Epoch:
		a.leave(nil)
		a.w.trigger()
	default:
		a.head = head
		a.hold(true)
		a.repoke()
	}
}

func (a *actor) isGone() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gone
}

// repoke makes the next round read the mailbox.
func (a *actor) repoke() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.poked = true
}

// declineOffers answers the offers that come after the run's end.
func declineOffers(inbox []arrival) {
	for _, in := range inbox {
		if in.offer != nil {
			in.offer.done <- errDeclined
		}
	}
}

// warnEvents is the length of a journal that is worth a warning, and each double of it.
const warnEvents = 20_000

func (a *actor) warn() {
	if a.head.Events >= max(warnEvents, 2*a.warned) {
		a.warned = a.head.Events
		a.w.log.Warn("the journal is getting long: replays take time; consider to end the run and start a successor",
			"run", a.id, "workflow", a.head.Workflow, "events", a.head.Events)
	}
}

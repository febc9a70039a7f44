package worker

import (
	"slices"
	"strconv"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

// advance feeds what has arrived, in order of time, and commits the outcome.
func (a *actor) advance(mail []store.Message, inbox []arrival) {
	b := &batch{a: a}
	mail, inbox = b.feedAll(mail, inbox)
	if b.err != nil {
		b.decline()
		a.putBack(inbox)
		a.markMail()
		a.troubled("read a backlog", b.err)
		return
	}
	if d := a.x.Divergence(); d != nil {
		b.decline() // deliveries wait in the mailbox, like the rest
		a.block(inbox, d.String())
		return
	}
	if reason := a.unfit(); reason != "" {
		b.decline()
		a.block(inbox, reason)
		return
	}
	if a.x.Finished() {
		if a.x.Restarting() != nil {
			b.settleAttempts(inbox)
		}
		declineAll(inbox)
		inbox = nil
	}
	a.putBack(inbox)
	if !a.x.Finished() && (len(mail) > 0 || b.more || a.x.Pulling()) {
		a.markMail()
	}
	if !b.carry() {
		b.decline()
		a.startOver()
		return
	}
	var t *store.Transition
	if a.x.Restarting() != nil {
		t = b.restart(saturate.Time(a.w.store.Now()))
	} else {
		t = b.transition()
	}
	if t == nil {
		a.backoff.Passed(a.w.outages)
		b.stopCanceled() // after a rebuild: what canceled them is durable
		a.setAlarm(b.next)
		b.start()
		return
	}
	started := a.w.tel.StartingChildren(a.traced, t, b.effects)
	if planted.StepBeforeCommit.Here() {
		b.start()
		b.begin = nil
	}
	b.responding(true)
	outcomes, err := a.commit(t)
	if err != nil {
		if !refused(err) {
			started(err)
		}
		b.responding(false)
		b.failed(t, err)
		return
	}
	started(nil)
	b.committed(t, outcomes)
}

// feedAll feeds mail, arrivals and timers in the order of their times; a timer comes before
// what was accepted at the moment it was due. It returns what is left.
func (b *batch) feedAll(mail []store.Message, inbox []arrival) ([]store.Message, []arrival) {
	a, x := b.a, b.a.x
	a.turnSince.Store(time.Now().UnixNano())
	defer a.turnSince.Store(0)
	now := saturate.Time(a.w.store.Now())
	b.mail, b.more = mail, a.moreMail
	a.moreMail, a.behind = false, a.behind && !a.mailRead
	x.UnsureBacklogs()
	var drains []string // closed hooks whose last payloads are in the mail just read
	if (len(mail) > 0 || a.mailRead) && !b.more {
		drains = x.Drains()
	}
	if n := len(mail); planted.SwappedMailbox.Here() && n > 1 {
		mail[n-1], mail[n-2] = mail[n-2], mail[n-1]
	}
	a.mailRead = false
	if len(mail) > 0 && mail[0].Kind == store.Forked { // before all that is due: with it the fork is one
		m := mail[0]
		mail = mail[1:]
		b.took = append(b.took, m.ID)
		b.feed(store.Event{Kind: m.Kind, Ref: m.Ref, Data: m.Data, At: m.AcceptedAt, Actor: m.Actor}, "")
	}
	b.settleCanceled()
	for x.AtRest() && len(b.events) < maxBatch {
		pulled := x.Pulled()
		if pulled != nil && !b.readAhead(pulled) {
			break
		}
		if pulled != nil && !pulled.Next().After(x.Now()) {
			b.pull(pulled)
			continue
		}
		if len(mail) == 0 && b.more {
			break // it is not known what comes next
		}
		until, isMail := now, false
		if pulled != nil && (len(mail) == 0 || pulled.Next().Before(mail[0].AcceptedAt)) {
			until = pulled.Next()
			if len(inbox) > 0 && inbox[0].at.Before(until) {
				until, pulled = inbox[0].at, nil
			}
		} else {
			pulled = nil
		}
		switch {
		case pulled != nil:
		case len(mail) > 0 && (len(inbox) == 0 || !inbox[0].at.Before(mail[0].AcceptedAt)):
			until, isMail = mail[0].AcceptedAt, true
		case len(inbox) > 0:
			until = inbox[0].at
		}
		if timer, at := x.NextTimer(); timer != 0 && !at.After(until) {
			if !planted.TimerTooEarly.Here() {
				b.guard = later(b.guard, at)
			}
			b.feed(store.Event{Kind: store.TimerFired, Ref: strconv.Itoa(timer), At: at}, "")
			continue
		}
		switch {
		case pulled != nil:
			b.pull(pulled)
		case isMail:
			m := mail[0]
			mail = mail[1:]
			if slices.Contains(b.took, m.ID) {
				continue // it came with the attempt that sent it
			}
			if x.Defer(&m, b.more) {
				continue
			}
			if m.ID != 0 {
				b.took = append(b.took, m.ID)
			}
			if planted.DroppedAtTakeOver.Here() && m.Kind == store.PayloadReceived && a.head.Suspicion > 0 ||
				planted.CancelSwallowed.Here() && m.Kind == store.CancelRequested && len(a.attempts) > 0 {
				continue
			}
			if isOutcome(m.Kind) {
				b.resolve(m.Ref)
			}
			b.feed(store.Event{Kind: m.Kind, Ref: m.Ref, Data: m.Data, At: m.AcceptedAt, OrStart: m.OrStart, Actor: m.Actor}, m.Trace)
		case len(inbox) > 0:
			in := inbox[0]
			inbox = inbox[1:]
			b.take(in)
		case len(drains) > 0:
			b.feed(store.Event{Kind: store.HookDrained, Ref: drains[0], At: now}, "")
			drains = drains[1:]
		default:
			return mail, inbox
		}
	}
	return mail, inbox
}

// take feeds an arrival.
func (b *batch) take(in arrival) {
	a := b.a
	switch {
	case in.event != nil:
		in.event.At = in.at
		b.feed(*in.event, "")
	case in.crashed != "":
		if s := a.schedule.get(in.crashed); s != nil && s.marked > 0 && a.attempts[s.ref] == nil {
			e := s.crashed(a.w.store.Now())
			e.At = in.at
			b.feed(*e, "")
		}
	case in.unbegun != "":
		if s := a.schedule.get(in.unbegun); s != nil && a.attempts[s.ref] == nil {
			s.settle = true
			b.settleCanceled()
		}
	case in.delivery != nil:
		if in.delivery.isTakenBack() {
			return
		}
		if intake := a.x.Intake(in.delivery.hookID); intake != execution.Direct || a.behind {
			a.behind = a.behind || intake == execution.Behind // the store would refuse another one before it
			in.delivery.done <- ErrDeclined
			return
		}
		if planted.AnsweredTooEarly.Here() {
			in.delivery.done <- nil
		} else {
			b.deliveries = append(b.deliveries, in.delivery)
		}
		b.guard = saturate.Beyond
		b.feed(store.Event{
			Kind: store.PayloadReceived, Ref: in.delivery.hookID, Data: in.delivery.data, OrStart: in.delivery.orStart,
			Actor: in.delivery.actor, At: saturate.Time(in.at),
		}, in.delivery.trace)
	case in.result != nil:
		at := a.attempts[in.result.ref]
		if at == nil || at.number != in.result.number || slices.Contains(b.resolved, at.ref) {
			return
		}
		at.result = in.result
		at.abandon()
		e := a.stepEvent(a.schedule.get(at.ref), in.result)
		if e == nil {
			delete(a.attempts, at.ref)
			if s := a.schedule.get(at.ref); s != nil && s.canceled != nil {
				// No one attempts the step again. Its result may be in the mailbox.
				a.arrive(arrival{at: in.at, unbegun: s.ref})
				a.markMail()
			}
			return
		}
		e.At = in.at
		if in.result.message != 0 {
			b.took = append(b.took, in.result.message)
		}
		b.resolve(at.ref)
		b.feed(*e, "")
	case in.long != nil:
		if a.attempts[in.long.ref] == in.long && in.long.result == nil {
			b.show = append(b.show, in.long)
		}
	case in.overdue != nil:
		s := a.schedule.get(in.overdue.ref)
		if s != nil && a.attempts[s.ref] == in.overdue && in.overdue.result == nil {
			e := s.unreturned(a.w.opts.StepGrace)
			e.At = in.at
			b.resolve(s.ref)
			b.feed(*e, "")
		}
	}
}

// carry reports whether everything handed to the run is still the transition's to carry. What
// a caller has taken back, because the code took too long, is in the mailbox or about to be,
// and the code has to get it from there.
func (b *batch) carry() bool {
	if s := b.a.start; s != nil && !s.carry() {
		return false
	}
	for _, o := range b.deliveries {
		if !o.carry() {
			return false
		}
	}
	return true
}

// resolve notes that the outcome of a step's attempt, if there is one, has become an event.
func (b *batch) resolve(ref string) {
	if b.a.attempts[ref] != nil && !slices.Contains(b.resolved, ref) {
		b.resolved = append(b.resolved, ref)
	}
}

// feed gives one event to the code. trace is that of the sender, if the event is a payload.
func (b *batch) feed(e store.Event, trace string) {
	a := b.a
	e.Position = a.head.Events + int64(len(b.events)) + 1
	e.At = saturate.Time(e.At)
	a.x.Feed(&e, trace)
	a.fold(&e, false)
	b.events = append(b.events, e)
	if a.x.AtRest() {
		b.settleCanceled()
	}
}

// settleCanceled ends canceled steps that have no executing attempt, and stops the attempts of
// the others.
func (b *batch) settleCanceled() {
	a := b.a
	for !a.x.Finished() && !b.more { // its result may be in the mailbox
		s := a.schedule.nextCanceled()
		if s == nil {
			return
		}
		if at := a.attempts[s.ref]; at != nil && !slices.Contains(b.resolved, s.ref) {
			b.stop = append(b.stop, at)
			continue
		}
		if b.inMail(s) {
			continue // the attempt has returned before it could be canceled
		}
		e := s.unattempted()
		if s.begun && s.spec.Transact == nil {
			e = s.unknownOutcome("the worker that executed it is gone, and it was canceled")
		}
		e.At = a.x.Now()
		b.feed(*e, "")
	}
}

// pull feeds the first payload of a backlog.
func (b *batch) pull(bl *execution.Backlog) {
	m, stored := bl.Pull()
	if planted.ActorForgotten.Here() {
		m.Actor = ""
	}
	if stored {
		b.pulled = append(b.pulled, m.ID)
	} else {
		b.took = append(b.took, m.ID)
	}
	b.feed(store.Event{Kind: m.Kind, Ref: m.Ref, Data: m.Data, At: m.AcceptedAt, OrStart: m.OrStart, Actor: m.Actor}, m.Trace)
}

// readAhead determines whether another payload waits behind the first one of a backlog. It
// returns false if a commit must come first, or if the store has failed.
func (b *batch) readAhead(bl *execution.Backlog) bool {
	known, err := bl.ReadAhead(func(hook string, after int64, n int) ([]store.Message, bool, error) {
		return b.a.w.store.Backlog(b.a.w.ctx, b.a.id, hook, after, n)
	})
	b.err = err
	return known
}

// inMail reports whether the outcome of an attempt of a step is in the mailbox.
func (b *batch) inMail(s *scheduled) bool {
	return slices.ContainsFunc(b.mail, func(m store.Message) bool {
		return isOutcome(m.Kind) && m.Ref == s.ref && !slices.Contains(b.took, m.ID)
	})
}

// isOutcome reports whether a message is the outcome of an attempt: of a transactional step, or of
// one that has returned while its run was paused.
func isOutcome(kind store.Kind) bool {
	return kind == store.StepCompleted || kind == store.StepFailed || kind == store.StepRetried
}

package worker

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

const (
	suspicious = 2 // take-overs from a lapsed lease without progress, from which on a run is in quarantine
	maxCrashes = 3 // of its code in quarantine, before the run is blocked

	// quarantineFor is how long an attempt in quarantine keeps others out.
	quarantineFor = 10 * time.Second
)

// quarantine is a run in quarantine. Something has killed its worker more than once, maybe
// this run: so at most one run at a time, and of its suspect steps one at a time,
// executes under a durable mark. A crash then convicts exactly what was marked, and
// nothing else.
type quarantine struct {
	suspects []string // steps that were outstanding
	leave    func()
	timer    *time.Timer
}

// enterQuarantine waits for the run's turn in quarantine, if it is to go there. It returns
// false if the run was given up.
func (a *actor) enterQuarantine(inbox []arrival) bool {
	if a.quarantine != nil || a.head.Suspicion < suspicious {
		return true
	}
	if a.head.Crashes >= maxCrashes {
		a.block(inbox, journal.ReasonKilledWorkers(a.head.Crashes))
		return false
	}
	if !a.probation() {
		a.leave(inbox)
		return false
	}
	a.quarantine = &quarantine{leave: sync.OnceFunc(func() { <-a.w.quarantineSlot })}
	t := a.transition(store.Running)
	t.Mark, t.Keep, t.WakeAt = true, true, saturate.Time(a.w.store.Now())
	if _, err := a.commit(t); err != nil {
		a.leaveQuarantine()
		switch {
		case errors.Is(err, store.ErrFenced):
			a.leave(inbox)
			return false
		case !errors.Is(err, store.ErrConflict):
			if l, known := a.clarify(t, err, func(error) {}); known {
				a.settle(t, &l)
			}
			if a.isGone() {
				a.leave(inbox)
				return false
			}
		}
		a.putBack(inbox)
		a.markMail()
		return false
	}
	a.logger().WarnContext(a.traced, "run is in quarantine: its worker died more than once")
	return true
}

// probation waits for the run's turn in quarantine. One that has been convicted waits
// for the lease time before that: if workers are being killed by something else, it
// shows while the run is not executing and bears no mark. It returns false if the
// worker ends first.
func (a *actor) probation() bool {
	if a.head.Crashes > 0 {
		wait := time.NewTimer(a.w.opts.Lease)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-a.w.ending:
			return false
		}
	}
	select {
	case a.w.quarantineSlot <- struct{}{}:
		return true
	case <-a.w.ending:
		return false
	}
}

// leaveQuarantine lets the next one in.
func (a *actor) leaveQuarantine() {
	if a.quarantine != nil {
		if a.quarantine.timer != nil {
			a.quarantine.timer.Stop()
		}
		a.quarantine.leave()
		a.quarantine = nil
	}
}

// admit lets one suspect step begin at a time, and marks it.
func (q *quarantine) admit(b *batch, begin []*scheduled) []*scheduled {
	a := b.a
	executing := slices.ContainsFunc(q.suspects, b.executing)
	var admitted []*scheduled
	for _, s := range begin {
		if slices.Contains(q.suspects, s.ref) {
			if executing {
				continue
			}
			if a.w.Draining() { // it is left to the next worker, without a mark
				admitted = append(admitted, s)
				continue
			}
			executing = true
			b.feed(store.Event{Kind: store.StepStarted, Ref: s.ref, At: a.x.Now()}, "")
			if q.timer == nil {
				q.timer = time.AfterFunc(quarantineFor, q.leave)
			}
		}
		admitted = append(admitted, s)
	}
	return admitted
}

// suspicion returns what is to be recorded: progress clears a run, in quarantine
// only once all its suspect steps have an outcome.
func (a *actor) suspicion(progress bool) (suspicion, crashes int) {
	if a.quarantine != nil {
		progress = !slices.ContainsFunc(a.quarantine.suspects, func(ref string) bool { return a.schedule.get(ref) != nil })
	}
	if progress {
		return 0, 0
	}
	return a.head.Suspicion, a.head.Crashes
}

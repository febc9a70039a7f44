package worker

import (
	"slices"
	"strconv"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/waiting"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

// unspaced is how many restarts in a row, of generations that nothing has come to, are carried out
// at once. Further ones are spaced.
const unspaced = 10

// restart makes the transition that ends the generation and begins the next. While attempts are
// executing it makes one that comes before, and stops them: those of two generations never overlap.
func (b *batch) restart(now time.Time) *store.Transition {
	a, x := b.a, b.a.x
	executing := false
	for ref, at := range a.attempts {
		if b.executing(ref) && at.result == nil {
			executing = true
			if at.grace == nil {
				b.stop = append(b.stop, at)
			}
		}
	}
	wait := executing
	if until := a.restartAt(now); until.After(now) || a.start != nil { // the run is to be created first
		b.next, wait = until, true
	}
	if !wait {
		x.Leave()
	}
	b.effects, b.spans = x.TakeEffects(), x.TakeSpans()
	if wait && len(b.events) == 0 && len(b.effects) == 0 && a.owned && a.start == nil {
		return nil
	}
	t := a.transition(store.Running)
	t.Keep, t.WakeAt = true, now
	t.Defer, t.Admit = x.ChangedBacklogs()
	if !wait {
		next := x.NextStart()
		b.events = append(b.events, store.Event{
			Position: a.head.Events + int64(len(b.events)) + 1, Kind: store.Restarted, Ref: strconv.Itoa(next.Generation), At: x.Now(),
			Data: journal.Restarted{Version: a.def.Version}.Encode(),
		})
		t.Version = a.latest().Version
		t.TookAny, t.Unread = next.Took, x.Unread()
		t.Restart = &store.Restart{Start: next.String(), Input: x.Restarting().Input, Canceled: x.Canceled(), Actor: x.StartedBy()}
	}
	b.fill(t)
	return t
}

// latest is the code with which the next generation begins: the newest of this worker's, unless the
// run is ahead of it.
func (a *actor) latest() *run.Workflow {
	latest := a.w.definition(a.head.Workflow, 0)
	if latest == nil || latest.Version < a.def.Version {
		return a.def
	}
	return latest
}

// unfit says why the next generation can't begin with the input that the code has given it; empty:
// it can.
func (a *actor) unfit() string {
	r := a.x.Restarting()
	if r == nil {
		return ""
	}
	latest := a.latest()
	if err := latest.Decodes(r.Input); err != nil {
		return journal.ReasonInputUnfit(latest.Name, latest.Version, err.Error())
	}
	return ""
}

// settleAttempts takes notice of attempts that have returned, or are given up, while the generation
// waits to end. Their outcomes do not count any more.
func (b *batch) settleAttempts(inbox []arrival) {
	a := b.a
	over := func(at *attempt) {
		if at != nil && a.attempts[at.ref] == at && !slices.Contains(b.resolved, at.ref) { // else the commit settles it
			at.abandon()
			delete(a.attempts, at.ref)
		}
	}
	for _, in := range inbox {
		if in.result != nil {
			over(a.attempts[in.result.ref])
		}
		over(in.overdue)
	}
}

// restartAt is when a generation may restart: later than now if many before it have done so although
// nothing had come to them.
func (a *actor) restartAt(now time.Time) time.Time {
	l := a.lives()
	if a.x.Moved() || l.restarts < unspaced {
		return now
	}
	if l.until.IsZero() {
		wait := Backoff(run.Backoff{Initial: time.Second, Max: time.Minute}, l.restarts-unspaced+1, 0)
		a.logger().WarnContext(a.traced, "the run restarts again and again although nothing comes to it: its restarts are spaced",
			"restarts", l.restarts, "wait", wait)
		l.until = saturate.After(now, wait).Truncate(time.Microsecond) // as now is
	}
	return l.until
}

// restarted goes on with the next generation, once it is durable.
func (a *actor) restarted() {
	for ref, at := range a.attempts {
		at.abandon()
		delete(a.attempts, ref)
	}
	if idle := a.lives().restarts; a.x.Moved() {
		a.longevity = nil
	} else {
		a.longevity = &longevity{restarts: idle + 1}
	}
	if planted.RestartEndsRun.Here() {
		a.w.waits.Deliver(waiting.EndOf(a.id), waiting.NewResult(a.id, a.head.Workflow, store.Completed, nil), false)
	}
	a.forget()
	a.head.Epoch++
	a.head.Generation++
	a.head.Base = a.head.Events
	a.seq = 0
	a.leaveQuarantine()
	a.markMail()
}

package worker

import (
	"slices"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

// maxBatch bounds the events of one transition.
const maxBatch = 256

// batch is a transition being built.
type batch struct {
	a          *actor
	mail       []store.Message // as it was read
	events     []store.Event
	took       []int64
	pulled     []int64   // pulled from backlogs
	more       bool      // the mailbox has more than was read
	err        error     // of reading a backlog
	guard      time.Time // becomes NoMailBefore
	deliveries []*delivery
	resolved   []string // steps whose attempt has become an event
	stop       []*attempt
	show       []*attempt
	begin      []*scheduled
	next       time.Time // when the run has something to do by itself: a timer or a retry
	effects    []execution.Effect
	spans      []execution.Span
}

// transition completes the batch. It returns nil if there is nothing to be written.
func (b *batch) transition() *store.Transition {
	a, x := b.a, b.a.x
	if x.Finished() {
		return b.end()
	}
	now := saturate.Time(a.w.store.Now())
	b.begin, b.next = b.due(now)
	if timer, at := x.NextTimer(); timer != 0 && (b.next.IsZero() || at.Before(b.next)) {
		b.next = at
	}
	executing := 0
	for _, at := range a.attempts {
		if at.result == nil && !slices.Contains(b.resolved, at.ref) {
			executing++
		}
	}
	keep := executing > 0 || x.Pending() > 0 || x.Pulling()
	status, wake := store.Waiting, b.next
	switch {
	case len(b.begin) > 0 && a.w.Draining():
		b.begin = nil
		status, wake = store.Running, now
	case keep || len(b.begin) > 0:
		keep, status, wake = true, store.Running, now
	}
	deferred, admitted := x.ChangedBacklogs()
	b.effects, b.spans = x.TakeEffects(), x.TakeSpans()
	if len(b.events) == 0 && len(b.effects) == 0 && len(b.show) == 0 && len(deferred)+len(admitted) == 0 && keep == a.owned && a.start == nil {
		return nil
	}
	t := a.transition(status)
	t.WakeAt, t.Keep, t.Defer, t.Admit = wake, keep, deferred, admitted
	b.fill(t)
	return t
}

// due returns the steps to begin now, and when the next of the others is to begin.
func (b *batch) due(now time.Time) (begin []*scheduled, next time.Time) {
	begin, next = b.a.schedule.due(now, b.executing)
	if b.a.quarantine != nil {
		begin = b.a.quarantine.admit(b, begin)
	}
	return begin, next
}

// executing reports whether a step has an executing attempt whose outcome the batch does not
// have.
func (b *batch) executing(ref string) bool {
	return b.a.attempts[ref] != nil && !slices.Contains(b.resolved, ref)
}

// end makes the transition that ends the run.
func (b *batch) end() *store.Transition {
	a, x := b.a, b.a.x
	result, f, canceled := x.Result()
	if limit := a.w.opts.MaxPayload; f == nil && len(result) > limit {
		large := tooLarge("the result of the run", len(result), limit)
		f = &large
	}
	e := store.Event{Kind: store.RunCompleted, Data: result, At: x.Now()}
	status, parent := store.Completed, store.ChildCompleted
	if f != nil {
		e.Kind, status, parent = store.RunFailed, store.Failed, store.ChildFailed
		if canceled && slices.Contains(f.Is, journal.IsCanceled) {
			e.Kind, status = store.RunCanceled, store.Canceled
			if a.head.Events == 0 { // its code got the cancellation together with its input
				f = &journal.Failure{Text: "canceled before it began", Is: f.Is}
			}
			f.Is = append(f.Is, journal.IsRunCanceled)
		}
		e.Data = f.Encode()
	}
	e.Position = a.head.Events + int64(len(b.events)) + 1
	b.events = append(b.events, e)
	if status != store.Failed { // that may be retried
		x.Leave()
	}
	b.effects, b.spans = x.TakeEffects(), x.TakeSpans()
	if a.head.ParentID != "" && (!planted.ChildResultLost.Here() || a.head.Epoch <= 1) {
		b.effects = append(b.effects, execution.Effect{Effect: &store.Effect{Kind: store.Send, Message: store.Message{
			RunID: a.head.ParentID, Kind: parent, Ref: a.head.ParentRef, Data: e.Data,
		}}})
	}
	t := a.transition(status)
	if !planted.BacklogForgotten.Here() { // NoMailBefore counts what is not in a backlog
		t.Defer, t.Admit = x.ChangedBacklogs()
	}
	t.TookAny, t.Unread = x.TookAny(), x.Unread()
	b.fill(t)
	return t
}

func (b *batch) fill(t *store.Transition) {
	a := b.a
	t.Events, t.Took, t.Pulled, t.NoMailBefore = b.events, b.took, b.pulled, b.guard
	for _, e := range b.effects {
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
		Workflow:  a.head.Workflow,
		Worker:    a.w.id,
		Epoch:     a.head.Epoch,
		Seq:       a.seq,
		After:     a.head.Events,
		At:        saturate.Time(a.w.store.Now()),
		Status:    status,
		Suspicion: a.head.Suspicion,
		Crashes:   a.head.Crashes,
	}
	if a.optimistic != nil {
		t.Claim, t.Epoch = true, t.Epoch+1
	}
	if a.def != nil {
		t.Version = a.def.Version
	}
	if a.start != nil {
		t.Create = &a.start.run
	}
	return t
}

func later(t, u time.Time) time.Time {
	if u.After(t) {
		return u
	}
	return t
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
			if a.w.Draining() { // leave it to the next worker, without a mark
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

package execution

import (
	"container/heap"
	"strconv"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/saturate"
)

// timer is a durable timer.
type timer struct {
	number  int
	kind    run.TimerKind
	since   time.Time
	at      time.Time
	index   int // in the heap; -1: not in it
	ready   bool
	expire  *scope // the scope that it ends, or nil
	waiters waitlist
	x       *Execution
}

func (t *timer) Ready() bool         { return t.ready }
func (t *timer) waitlist() *waitlist { return &t.waiters }

func (t *timer) ref() string { return strconv.Itoa(t.number) }

// Stop does nothing while its branch unwinds.
func (t *timer) Stop() {
	if b := t.x.current.Load(); b != nil && !b.unwind {
		t.stop(b)
	}
}

// stop stops the timer if it has not fired, and notes that in the journal, for its readers. A
// branch stops a timer, or an event that ends its context.
func (t *timer) stop(b *branch) {
	if t.index >= 0 {
		t.x.ask(b, &journal.Ask{Op: journal.Stop, Ref: t.ref()})
		t.x.timers.remove(t)
	}
}

func (s *scope) Timer(kind run.TimerKind, at time.Time) run.Timer {
	if at = saturate.Time(at); !at.After(s.x.now) {
		return &timer{x: s.x, ready: true, index: -1}
	}
	return s.x.newTimer(kind, at)
}

// newTimer asks for a timer. A replay uses the recorded time, so that a changed duration
// affects only future timers.
func (x *Execution) newTimer(kind run.TimerKind, at time.Time) *timer {
	x.timerCount++
	if b := x.current.Load(); b != nil {
		ask := journal.Ask{Op: journal.Op(kind), Ref: strconv.Itoa(x.timerCount), Until: at}
		x.ask(b, &ask)
		at = ask.Until
	}
	t := &timer{x: x, number: x.timerCount, kind: kind, since: x.now, at: at}
	heap.Push(&x.timers, t)
	return t
}

// timerHeap holds the timers of a run that have not fired, the earliest first; ties in the
// order of asking.
type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].number < h[j].number
}

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(v any) {
	t := v.(*timer) //nolint:forcetypeassert // heap.Push gets timers only
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	t.index = -1
	return t
}

func (h *timerHeap) remove(t *timer) {
	if t.index >= 0 {
		heap.Remove(h, t.index)
	}
}

// next returns the earliest timer, or nil.
func (h timerHeap) next() *timer {
	if len(h) == 0 {
		return nil
	}
	return h[0]
}

// NextTimer returns the number of the timer that fires next, and its time. 0 means none.
func (x *Execution) NextTimer() (number int, at time.Time) {
	if t := x.timers.next(); t != nil {
		return t.number, t.at
	}
	return 0, time.Time{}
}

func (h *timerHeap) fire(x *Execution, ref string) {
	for _, t := range *h {
		if t.ref() == ref {
			h.remove(t)
			t.end(x)
			return
		}
	}
}

func (h *timerHeap) wakeSleeps(x *Execution) {
	for _, t := range append(timerHeap(nil), *h...) {
		if t.kind == run.Sleep {
			h.remove(t)
			t.end(x)
		}
	}
}

func (t *timer) end(x *Execution) {
	t.ready = true
	what := Slept
	if t.kind == run.Deadline {
		what = TimedOut
	}
	x.over(Span{Kind: what, Ref: t.ref(), From: t.since})
	t.waiters.wake(x)
	if t.expire != nil {
		t.expire.cancel(errDeadline)
	}
}

func (s *scope) WithDeadline(at time.Time) (run.Scope, func()) {
	at = saturate.Time(at)
	inner := newScope(s.x, s)
	s.adopt(inner)
	if !s.at.IsZero() && !s.at.After(at) {
		return inner, inner.canceledByCode // the outer deadline comes first
	}
	if planted.WallClockDeadline.Here() {
		at = saturate.Time(time.Now().Add(at.Sub(s.x.now)))
	}
	inner.at = at
	switch {
	case inner.err() != nil:
	case !at.After(s.x.now):
		inner.cancel(errDeadline)
	default:
		inner.timer = s.x.newTimer(run.Deadline, at)
		inner.timer.expire = inner
		inner.at = inner.timer.at
	}
	return inner, inner.canceledByCode
}

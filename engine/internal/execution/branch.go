package execution

import (
	"errors"
	"iter"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/internal/gid"
	"github.com/tenter-dev/tenter/internal/run"
)

// branch is one coroutine of a run. Branches of a run are resumed one at a time, so
// that workflow code needs no locks and has one order.
//
// The hazards of coroutines on iter.Pull, and what is done about each:
//
//   - A foreign goroutine that yields silently corrupts the coroutine. Each durable call
//     compares goroutine identities first, see Execution.enter.
//   - runtime.Goexit in author code would end the goroutine that resumes the
//     coroutine. The deferred function in newBranch parks instead, in the middle of
//     the Goexit, which then happens when the branch is discarded.
//   - Unwinding a parked branch by a panic can be swallowed by a recover. discard
//     makes park call runtime.Goexit instead, which can't be recovered; it reaches
//     the goroutine that called stop, so that is a throwaway one.
//   - Deferred functions that make durable calls while the branch unwinds get another Goexit,
//     from enter. Their panics are dropped: the code has not got that far yet.
//   - A branch that blocks on a plain channel or mutex blocks its run: the watchdog reports
//     where.
type branch struct {
	id     int // parents have lower IDs than the branches they start
	next   func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	g      atomic.Uintptr // gid.ID of its goroutine
	ended  bool           // never to be resumed
	gone   bool           // its goroutine has ended
	queued bool           // in Execution.runnable
	awaits []run.Waitable // what it waits for
	unwind bool
}

func (x *Execution) newBranch(fn func()) {
	b := &branch{id: int(x.nextBranch)}
	x.nextBranch++
	b.next, b.stop = iter.Pull(func(yield func(struct{}) bool) {
		b.yield = yield
		b.g.Store(uintptr(gid.Current()))
		returned := false
		defer func() {
			b.ended = true
			v := recover()
			if returned || b.unwind {
				b.gone = true
				return
			}
			if v != nil {
				failure := run.Panicked(v)
				x.finish(nil, &failure)
				b.gone = true
				return
			}
			failure := run.Panicked(errors.New("workflow code called runtime.Goexit"))
			x.finish(nil, &failure)
			b.unwind = true
			yield(struct{}{}) // the Goexit continues when the branch is discarded
			b.gone = true
		}()
		fn()
		returned = true
	})
	x.branches = append(x.branches, b)
	x.ready(b)
}

// park gives control back until the branch is resumed.
func (b *branch) park() {
	if b.unwind || !b.yield(struct{}{}) {
		b.unwind = true
		runtime.Goexit()
	}
}

// parkForever gives control back for good: the run can't go on.
func (b *branch) parkForever() {
	for {
		b.park()
	}
}

// discard unwinds the branch if it has not ended, which executes its deferred functions.
func (x *Execution) discard(b *branch) {
	b.unwind = true
	x.current.Store(b)
	defer x.current.Store(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.stop()
	}()
	patience := time.NewTimer(discardPatience)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
		x.logger().Error("a deferred function of workflow code blocks: its goroutine is left behind", "stack", StuckStacks())
	}
}

// discardPatience is how long the deferred functions of a branch may take at eviction.
const discardPatience = time.Second

// ready queues a branch to continue when its turn comes.
func (x *Execution) ready(b *branch) {
	if !b.queued && !b.ended {
		b.queued = true
		x.runnable.push(b)
	}
}

// waitlist holds the branches that wait for something, in order of arrival.
type waitlist struct{ branches []*branch }

func (l *waitlist) add(b *branch) { l.branches = append(l.branches, b) }

func (l *waitlist) remove(b *branch) {
	for i, waiting := range l.branches {
		if waiting == b {
			l.branches = append(l.branches[:i], l.branches[i+1:]...)
			return
		}
	}
}

func (l *waitlist) wake(x *Execution) {
	for _, b := range l.branches {
		x.ready(b)
	}
}

// runqueue holds the runnable branches, lowest ID first, so that a branch that waits for
// several others continues before another of them can begin.
type runqueue struct {
	branches []*branch
	head     int
}

func (q *runqueue) push(b *branch) {
	i := len(q.branches)
	q.branches = append(q.branches, b)
	for ; i > q.head && q.branches[i-1].id > b.id; i-- {
		q.branches[i] = q.branches[i-1]
	}
	q.branches[i] = b
}

// pop returns nil if no branch is runnable.
func (q *runqueue) pop() *branch {
	if q.head == len(q.branches) {
		q.branches, q.head = q.branches[:0], 0
		return nil
	}
	b := q.branches[q.head]
	q.branches[q.head] = nil
	q.head++
	b.queued = false
	return b
}

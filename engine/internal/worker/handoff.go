package worker

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// handoff is what a caller hands to a run that is live in this process, to be carried by the
// run's next transition: the run's own birth, or a payload. The caller waits for that
// transition, unless the run's code holds it up: code may block forever, and what a caller
// brings must become durable soon all the same. Then the caller takes it back and writes it to
// the run's mailbox itself.
type handoff struct {
	// done gets one value: nil if the handoff is durable, ErrDeclined if it was not taken and
	// nothing was written.
	done  chan error
	state atomic.Int32
}

const (
	handed    int32 = iota
	carried         // by a transition that is about to be committed
	takenBack       // by the caller
)

// ErrDeclined says that a handoff did not reach the run and that nothing was written.
var ErrDeclined = errors.New("declined")

func newHandoff() handoff { return handoff{done: make(chan error, 1)} }

// carry is called by the actor once the code has come to rest. It reports whether the
// transition may carry the handoff.
func (h *handoff) carry() bool { return h.state.CompareAndSwap(handed, carried) }

// release is called by the actor if it could not try to write the transition.
func (h *handoff) release() { h.state.CompareAndSwap(carried, handed) }

// takeBack is called by the caller. It reports whether no transition carries the handoff or
// ever will.
func (h *handoff) takeBack() bool { return h.state.CompareAndSwap(handed, takenBack) }

func (h *handoff) isTakenBack() bool { return h.state.Load() == takenBack }

// slowTurn is how long workflow code may execute in one go before callers stop waiting for it.
const slowTurn = 100 * time.Millisecond

// slow reports whether the run's code has been executing for too long.
func (a *actor) slow() bool {
	since := a.turnSince.Load()
	return since != 0 && time.Since(time.Unix(0, since)) >= slowTurn
}

// await waits for the outcome of a handoff. It fails with ErrDeclined if the caller has to
// write it to the mailbox.
func (w *Worker) await(ctx context.Context, a *actor, h *handoff) error {
	wait := slowTurn
	look := w.timer(wait)
	defer w.timers.Put(look)
	defer look.Stop()
	for {
		select {
		case err := <-h.done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
		if a.slow() && h.takeBack() {
			return ErrDeclined
		}
		wait = min(2*wait, time.Second) // others come first, or it is being committed
		look.Reset(wait)
	}
}

// timer returns a timer that fires after d. Timers are pooled: each Start and each Resume
// needs one.
func (w *Worker) timer(d time.Duration) *time.Timer {
	if t, ok := w.timers.Get().(*time.Timer); ok {
		t.Reset(d)
		return t
	}
	return time.NewTimer(d)
}

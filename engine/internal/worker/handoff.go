package worker

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// handoff is what a caller hands to a run that is live in this process, for the
// transition in the making to carry it: the run's own birth, or a payload. The caller
// waits for that transition, unless the run's code holds it up: code may block forever,
// and what a caller brings is to be durable soon all the same. Then the caller takes it
// back, and writes it to the run's mailbox itself.
type handoff struct {
	// done gets one value: nil if it is durable, ErrDeclined if it was not taken and
	// nothing was written.
	done  chan error
	state atomic.Int32
}

const (
	handed    int32 = iota
	carried         // by a transition that is about to be committed
	takenBack       // by the caller
)

// ErrDeclined says that a run was not given what was handed to it, and that nothing was written.
var ErrDeclined = errors.New("declined")

func newHandoff() handoff { return handoff{done: make(chan error, 1)} }

// carry is called by the actor, once the code has come to rest. It reports whether the
// transition may be written with it.
func (h *handoff) carry() bool { return h.state.CompareAndSwap(handed, carried) }

// release is called by the actor if it could not even try to write the transition.
func (h *handoff) release() { h.state.CompareAndSwap(carried, handed) }

// takeBack is called by the caller. It reports whether no transition carries it, nor
// will.
func (h *handoff) takeBack() bool { return h.state.CompareAndSwap(handed, takenBack) }

func (h *handoff) isTakenBack() bool { return h.state.Load() == takenBack }

// slowTurn is how long workflow code may execute in one go before callers no longer wait
// for it.
const slowTurn = 100 * time.Millisecond

// slow reports whether the run's code is executing, and has been for long.
func (a *actor) slow() bool {
	since := a.turnSince.Load()
	return since != 0 && time.Since(time.Unix(0, since)) >= slowTurn
}

// await waits for what becomes of something that was handed to an actor. It fails with
// ErrDeclined if its caller has to write it to the mailbox.
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
		wait = min(2*wait, time.Second) // others are in front, or it is being committed
		look.Reset(wait)
	}
}

// timer returns one that fires after d. They are used again: there is one for each Start
// and each Resume.
func (w *Worker) timer(d time.Duration) *time.Timer {
	if t, ok := w.timers.Get().(*time.Timer); ok {
		t.Reset(d)
		return t
	}
	return time.NewTimer(d)
}

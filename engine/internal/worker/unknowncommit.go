package worker

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// commitTimeout is how long callers waiting for a transition wait for its outcome. Then they
// get the error that the outcome is unknown.
const commitTimeout = 2 * time.Second

// resolveUnknown continues after a transition whose answer was lost.
func (b *batch) resolveUnknown(t *store.Transition, err error) {
	a, start, told := b.a, b.a.start, false
	a.start = nil
	tell := func(err error) {
		if !told {
			b.answer(start, err)
		}
		told = true
	}
	l, known := a.clarify(t, err, tell)
	if !known {
		return
	}
	switch {
	case wrote(&l, t) && (!planted.TwiceAfterDoubt.Here() || start != nil):
		tell(nil)
		b.report(t)
	case start != nil && created(&l, t): // but not by t: its workflow was paused before that was sent again
		tell(nil)
	case start != nil:
		tell(store.ErrExists)
	case cutSince(&l, t):
		tell(unknown(err)) // it may have been written and then cut off
	default:
		tell(ErrDeclined)
	}
	a.settle(t, &l)
}

// answer tells the callers waiting for the transition its outcome.
func (b *batch) answer(start *starting, err error) {
	if start != nil {
		start.done <- err
	}
	for _, o := range b.deliveries {
		o.done <- err
	}
}

// clarify determines the outcome of a transition whose answer was lost. It was written, or
// not, or still may be: a database continues with what it was sent when the connection is cut.
// So looking is not enough; clarify returns the run as it is once the transition can no longer
// be written. If that takes long, it calls tell. It returns false if it has given the run up.
func (a *actor) clarify(t *store.Transition, err error, tell func(error)) (store.Loaded, bool) {
	for since := time.Now(); ; {
		a.troubled("commit", err)
		if a.isGone() { // the worker is ending
			tell(unknown(errStopped))
			return store.Loaded{}, false
		}
		var l store.Loaded
		if t.Create != nil {
			l, err = a.createAgain(t)
		} else {
			l, err = a.w.store.Fence(a.w.ctx, a.id, a.w.id, epochBefore(t))
		}
		if err == nil && l.Run.Base > t.After { // the run has restarted since, perhaps by the transition
			l.Events, err = a.w.store.Journal(a.w.ctx, a.id, t.After, 1)
		}
		switch {
		case err == nil, errors.Is(err, store.ErrNotFound):
			return l, true
		case time.Since(since) < commitTimeout:
			continue
		}
		tell(unknown(err))
		if t.Create != nil {
			// If the run is created after all, this worker owns it: claims will find it.
			a.w.again.Store(true)
			a.leave(nil)
			a.w.trigger()
			return store.Loaded{}, false
		}
	}
}

var errStopped = errors.New("the engine stopped before the store answered")

// unknown returns the error of a transition that may or may not have been written.
func unknown(why error) error { return fmt.Errorf("%w: %w", workflow.ErrOutcomeUnknown, why) }

// epochBefore returns the epoch that the run has unless a transition has been written.
func epochBefore(t *store.Transition) int64 {
	if t.Claim {
		return t.Epoch - 1
	}
	return t.Epoch
}

// createAgain repeats a transition that creates a run. The ID can be taken only once, so the
// answer is the same whichever of the two is carried out.
func (a *actor) createAgain(t *store.Transition) (store.Loaded, error) {
	if _, err := a.w.lease.ensure(); err != nil {
		return store.Loaded{}, err
	}
	_, err := a.w.store.Apply(a.w.ctx, t)
	if errors.Is(err, store.ErrPaused) {
		err = a.w.store.Start(a.w.ctx, *t.Create) // its workflow was paused since
	}
	if err != nil && !errors.Is(err, store.ErrExists) {
		return store.Loaded{}, err
	}
	return a.w.store.Load(a.w.ctx, a.id, 0)
}

// created reports whether the run is the one that a transition is to create, and not another one
// that has its ID.
func created(l *store.Loaded, t *store.Transition) bool {
	return bytes.Equal(l.Run.Secret, t.Create.Secret)
}

// wrote reports whether a transition with events is in the journal.
func wrote(l *store.Loaded, t *store.Transition) bool {
	if len(l.Events) == 0 || t.Create != nil && !created(l, t) {
		return false
	}
	i := t.After + 1 - l.Events[0].Position
	if i < 0 || i >= int64(len(l.Events)) {
		return false
	}
	e := l.Events[i]
	if t.Create != nil && !e.At.Equal(t.Events[0].At) {
		return false // the run was created without t, and its first worker has the same epoch
	}
	return e.Epoch == t.Epoch && e.Seq == t.Seq
}

// cutSince reports whether a retry may have cut the journal after the epoch of a transition.
func cutSince(l *store.Loaded, t *store.Transition) bool {
	if l.More || slices.ContainsFunc(l.Mail, func(m store.Message) bool { return m.Kind == store.Retried }) ||
		slices.ContainsFunc(l.Events, func(e store.Event) bool { return e.Kind == store.Retried && e.Epoch > t.Epoch }) {
		return true
	}
	// The end of a run drops the order to retry it, if that was not taken: it was terminated, or has
	// failed again.
	n := len(l.Events)
	return n > 0 && (l.Events[n-1].Kind == store.RunCanceled || l.Events[n-1].Kind == store.RunFailed) && l.Run.Epoch > t.Epoch+1
}

// settle continues, once the outcome of a transition is known, with the run as the store has
// it.
func (a *actor) settle(t *store.Transition, l *store.Loaded) {
	switch {
	case t.Status.Ended() && wrote(l, t):
		a.w.ended(a, t)
		a.leave(nil)
		a.w.name(a.id) // the run may have been retried since
	case l.Run.Worker != a.w.id:
		a.leave(nil)
		a.w.trigger()
	default:
		a.head = l.Run
		a.settled()
		a.own(true)
		a.markMail()
	}
}

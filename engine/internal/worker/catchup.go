package worker

import (
	"time"

	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/store"
)

// A run that lives long moves between workers, and each of them may have it in its cache as it
// was when that worker had it last. Such an execution is stale, not wrong: it goes on from there
// with the events that others have added, which costs a worker that gets the run back as little
// as they are, however long the journal is.

// known returns after which event the journal is to be read. The last one that a stale execution
// has seen comes with the others: a retry may have cut it off.
func (a *actor) known() int64 {
	switch {
	case a.x != nil:
		return a.x.Position() - 1
	case a.optimistic != nil:
		return store.IfFree
	}
	return 0
}

// news returns which of the events that were read a stale execution has yet to see. ok is false if
// it has to be made again from the beginning.
func (a *actor) news(l *store.Loaded) (events []store.Event, ok bool) {
	if len(l.Events) == 0 || l.Run.Generation != a.head.Generation || l.Run.Version != a.head.Version {
		return nil, false
	}
	if first := &l.Events[0]; first.Position != a.x.Position() || first.Epoch > a.stale() {
		return nil, false
	}
	if planted.NewsUnseen.Here() {
		return nil, true
	}
	return l.Events[1:], true
}

// others takes in that others have had a run that is only cached here. It reports whether what is
// cached can be kept. If the run is free and has something to do this worker goes on with it.
func (a *actor) others(l *store.Loaded) (kept bool) {
	if a.owned || l.Run.Status.Ended() || !a.canCatchUp(&l.Run) {
		return false
	}
	switch {
	case a.foreign(&l.Run):
		a.leaveToOwner(false)
	case a.idle(l):
	case !a.claimable(&l.Run) || !a.w.innocent():
		a.w.name(a.id)
	default:
		a.goStale()
		a.optimistic = &optimisticClaim{
			signaled: time.Now(),
			overdue:  time.AfterFunc(a.w.pace.moment()/2, func() { a.w.name(a.id) }), // before others claim it
		}
		a.markMail()
	}
	return true
}

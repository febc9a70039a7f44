package execution

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
)

func (s *scope) AwaitRun(runID string) (run.AwaitedRun, error) {
	x := s.x
	b, err := x.enter()
	if err != nil {
		return nil, err
	}
	if err := s.err(); err != nil {
		return nil, err
	}
	if err := CheckName(runID); err != nil {
		return nil, fmt.Errorf("run ID %q: %w", runID, err)
	}
	if runID == x.runID() {
		return nil, &run.AwaitCycle{RunIDs: []string{runID}}
	}
	if x.awaits == nil {
		x.awaits = &awaits{open: map[string]*awaited{}}
	}
	x.awaits.count++
	a := &awaited{x: x, scope: s, sub: store.Subscription{
		RunID: x.info.RunID, Ref: journal.Number(x.info.Generation, x.awaits.count), Target: runID,
	}}
	x.ask(b, &journal.Ask{Op: journal.Await, Ref: a.sub.Ref, RunID: runID})
	x.awaits.open[a.sub.Ref] = a
	s.attach(a)
	a.subscribe()
	return a, nil
}

// subscribe needs no outcome: the answer is a message, which may be there with the same commit.
func (a *awaited) subscribe() {
	a.x.emit(&store.Effect{Kind: store.Subscribe, Subscription: a.sub}, nil)
}

func (a *awaited) RunID() string       { return a.sub.Target }
func (a *awaited) Ready() bool         { return a.done }
func (a *awaited) waitlist() *waitlist { return &a.waiters }
func (a *awaited) holder() *Execution  { return a.x }

func (a *awaited) Result() (workflow string, data []byte, failure *journal.Failure, err error) {
	return a.workflow, a.data, a.failure, a.err
}

// told takes in the answer to an await. One that the code does not wait for any more, or that an
// earlier generation has asked for, says nothing to it.
func (x *Execution) told(e *store.Event) {
	if x.awaits == nil {
		return
	}
	a := x.awaits.open[journal.Awaited(e.Ref)]
	if a == nil {
		return
	}
	workflow, ok := journal.AwaitedWorkflow(e.Ref, a.sub.Target)
	if !ok {
		return // a retry has let the code ask for another run
	}
	a.workflow = workflow
	switch e.Kind { // no other kind is an answer
	case store.AwaitedCompleted:
		a.data = e.Data
	case store.AwaitedFailed:
		failure := journal.DecodeFailure(e.Data)
		a.failure = &failure
	default:
		a.err = run.ErrRunMissing
		if cycle := journal.DecodeCycle(e.Data); cycle != nil {
			a.err = &run.AwaitCycle{RunIDs: cycle}
		}
	}
	a.scope.detach(a)
	a.end()
}

func (a *awaited) end() {
	a.done = true
	delete(a.x.awaits.open, a.sub.Ref)
	a.waiters.wake(a.x)
}

// cancel leaves the other run alone.
func (a *awaited) cancel(err error) {
	a.x.ask(a.x.current.Load(), &journal.Ask{Op: journal.Leave, Ref: a.sub.Ref})
	a.x.emit(&store.Effect{Kind: store.Unsubscribe, Subscription: a.sub}, nil)
	a.err = err
	a.end()
}

// awaitAgain asks once more for what the code awaits, since a retry has cut off what it was told.
func (x *Execution) awaitAgain() {
	if x.awaits == nil {
		return
	}
	for _, ref := range slices.Sorted(maps.Keys(x.awaits.open)) {
		a := x.awaits.open[ref]
		if !slices.ContainsFunc(x.effects, func(e Effect) bool { return e.Kind == store.Subscribe && e.Subscription == a.sub }) {
			a.subscribe()
		}
	}
}

// Leave gives up what the code awaits, since it has ended.
func (x *Execution) Leave() {
	if x.awaits != nil && len(x.awaits.open) > 0 {
		x.emit(&store.Effect{Kind: store.Unsubscribe}, nil)
	}
}

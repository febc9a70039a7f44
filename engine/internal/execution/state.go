package execution

import (
	"slices"

	"github.com/tenter-dev/tenter/store"
)

// State is the state of a run's code, for tests.
type State struct {
	Open     []store.Hook    // hooks that take payloads
	Awaited  []string        // IDs of empty hooks that branches wait for
	Unread   []store.Message // journaled payloads that the code has not taken
	Steps    []string        // steps that have no outcome
	Timers   []string        // timers that have not fired
	Children []string        // run IDs of children that have not ended
	Awaiting []string        // run IDs of others whose end the code awaits
	Pending  int             // asks that the store has still to decide
}

// State returns the state of the code.
func (x *Execution) State() State {
	s := State{Unread: x.Unread(), Pending: len(x.pending)}
	for _, h := range x.hookByID {
		s.Open = append(s.Open, h.spec)
		if len(h.waiters.branches) > 0 && len(h.queue) == 0 {
			s.Awaited = append(s.Awaited, h.spec.ID)
		}
	}
	for ref := range x.steps {
		s.Steps = append(s.Steps, ref)
	}
	for _, t := range x.timers {
		s.Timers = append(s.Timers, t.ref())
	}
	for _, c := range x.children {
		s.Children = append(s.Children, c.spec.ID)
	}
	if x.awaits != nil {
		for _, a := range x.awaits.open {
			s.Awaiting = append(s.Awaiting, a.sub.Target)
		}
	}
	slices.Sort(s.Steps)
	slices.Sort(s.Awaiting)
	slices.Sort(s.Children)
	return s
}

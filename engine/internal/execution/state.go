package execution

import (
	"slices"

	"github.com/tenter-dev/tenter/store"
)

// State is what a run's code has come to, for those who check it.
type State struct {
	Open     []store.Hook    // hooks that take payloads
	Awaited  []string        // IDs of hooks that have nothing and that branches wait for
	Unread   []store.Message // payloads in the journal that the code has not taken
	Steps    []string        // steps that have no outcome
	Timers   []string        // timers that have not fired
	Children []string        // run IDs of children that have not ended
	Pending  int             // asks that the store has to decide
}

// State returns what the code has come to.
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
	slices.Sort(s.Steps)
	slices.Sort(s.Children)
	return s
}

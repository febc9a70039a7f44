package execution

import (
	"slices"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/store"
)

// A fork has the first events of its journal from its origin. While it is fed these, its code sees
// what the origin's code saw: the origin's run ID, the IDs that derive from it, and the random
// numbers that derive from its secret. Only tokens are its own from the beginning: they lead to it.
// The event that follows them, Forked, is the first of its own. There what is pending begins again,
// under its IDs.

// ancestor returns the run whose event is the current one, or nil if it is this run.
func (x *Execution) ancestor() *store.Ancestor { return x.origin.At(x.position) }

// runID returns the ID of the run whose event is the current one.
func (x *Execution) runID() string {
	if a := x.ancestor(); a != nil {
		return a.RunID
	}
	return x.info.RunID
}

// secretOf returns what bytes for a purpose derive from.
func (x *Execution) secretOf(label journal.Label) []byte {
	a := x.ancestor()
	if planted.ForkDerivesAlike.Here() && x.origin != nil {
		a = &x.origin.Prefix[0]
	}
	if a == nil || label == journal.LabelToken {
		return x.secret
	}
	return a.Secret
}

// Inherited reports whether a request was sent to an ancestor of a run with an origin. Its caller
// waits for that one.
func Inherited(o *store.Origin, sentTo string) bool { return o != nil && sentToAny(o.Prefix, sentTo) }

// inherited reports whether a request was sent to an ancestor of the run whose event is the current
// one.
func (x *Execution) inherited(sentTo string) bool {
	return x.origin != nil && sentToAny(x.origin.Prefix[:x.origin.Index(x.position)], sentTo)
}

func sentToAny(all []store.Ancestor, sentTo string) bool {
	return slices.ContainsFunc(all, func(a store.Ancestor) bool { return a.RunID == sentTo })
}

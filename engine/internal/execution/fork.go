package execution

import (
	"maps"
	"slices"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/planted"
)

// forked lets what is pending begin again.
func (x *Execution) forked() {
	id := x.runID()
	var left []pendingAsk
	for _, ask := range x.pending {
		switch ask := ask.(type) {
		case *claim:
			ask.hook.spec.ID = journal.HookID(id, ask.hook.ref)
		case *respond: // the caller is the origin's
			ask.done = true
			ask.waiters.wake(x)
			continue
		default:
		}
		left = append(left, ask)
		if e := ask.effect(); e != nil {
			x.emit(e, ask)
		}
	}
	x.pending = left
	for _, ref := range slices.Sorted(maps.Keys(x.children)) {
		if c := x.children[ref]; c.started {
			c.begin(id)
		}
	}
	x.awaitAgain()
	x.linkAgain()
	// Payloads that the origin's code had asked for, and was to get next, stay with the origin.
	clear(x.closing)
	for _, b := range x.branches {
		if len(b.awaits) > 0 {
			x.ready(b)
		}
	}
}

// begin starts the child of the origin once more, as one of the fork.
func (c *child) begin(id string) {
	c.anew = true
	if c.derived && !planted.ForkSharesChildren.Here() {
		c.spec.ID = journal.ChildRunID(id, c.ref)
	}
	c.x.emit(c.effect(), c)
	if c.scope.err() != nil { // as its origin's was
		c.cancel(nil)
	}
}

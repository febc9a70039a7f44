package engine

import (
	"maps"
	"slices"
	"time"

	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
)

// Payloads that the code does not ask for stay out of the journal. The first one that a
// hook gets is journaled, since the code may ask whether there is one; what comes while it
// is there waits in the hook's backlog, in the store, and is pulled when the code asks.
// So a payload costs the same however many wait, and a run that takes one of ten thousand
// has one in its journal.
//
// The code must not see the difference. So whoever asks for a payload that is known to
// wait gets it before anything else happens, as if it had been in the journal. Where a
// replay could not know that, since something else is ready too or the hook is closed, a
// line of the journal says so: "pull 3".

// backlog is what is known of the payloads of a hook that wait for the code to ask.
type backlog struct {
	hook   string          // its ID
	rows   []store.Message // the first ones, in order
	stored bool            // the store has them in a backlog, too
	more   bool            // there may be others behind rows
	page   int             // how many were read at once last
}

const (
	// mostPulled is how many payloads are read ahead at once.
	mostPulled = 256
	// mostKept is how many are remembered while nobody asks.
	mostKept = 16
)

// defers returns the backlog that a payload is to wait in, or nil if it is journaled now:
// behind others only, since the code may wait for what comes first.
func (x *execution) defers(m *store.Message) *backlog {
	if m.Kind != store.PayloadReceived || x.draining(m.Ref) || planted.BacklogJournaled.Here() {
		return nil
	}
	bl := x.backlogs[m.Ref]
	switch {
	case bl != nil && len(bl.rows) > 0:
		return bl
	case x.untakenOf(m.Ref) == 0:
		return nil
	case bl == nil:
		return x.newBacklog(m.Ref)
	}
	return bl
}

func (x *execution) newBacklog(hook string) *backlog {
	if x.backlogs == nil {
		x.backlogs = map[string]*backlog{}
	}
	bl := &backlog{hook: hook}
	x.backlogs[hook] = bl
	return bl
}

// untakenOf is how many payloads of a hook the journal has and the code has not taken.
func (x *execution) untakenOf(hook string) int {
	n := len(x.early[hook])
	if h := x.hookByID[hook]; h != nil {
		n += len(h.queue)
	}
	return n
}

// draining reports whether the code waits for all that a closed hook had accepted.
func (x *execution) draining(hook string) bool {
	return slices.ContainsFunc(x.unsettled, func(s settler) bool {
		d, ok := s.(*drain)
		return ok && d.hook.spec.ID == hook
	})
}

// waits reports whether a payload is known to wait for the hook.
func (h *hook) waits() bool {
	bl := h.x.backlogs[h.spec.ID]
	return bl != nil && len(bl.rows) > 0 && len(h.queue) == 0
}

// comes reports whether the next payload of a hook comes at once, since it is known to
// wait. others says that something else is ready, which a replay would take.
func (h *hook) comes(b *branch, others bool) bool {
	x, line := h.x, "pull "+h.ref
	switch {
	case !x.live && (!h.closed && !others || !x.expects(line)):
		return false
	case x.live && (!h.waits() || !h.closed && x.backlogs[h.spec.ID].rows[0].AcceptedAt.After(x.now)):
		return false
	}
	if h.closed || others {
		x.ask(b, line, "")
		if h.closed {
			h.gather()
			if x.closing == nil {
				x.closing = map[string]*hook{}
			}
			x.closing[h.spec.ID] = h
		}
	}
	return true
}

// pull has the payloads come that a branch waits for: of the first hook for which one is
// there by now; else of each, when its time has come.
func (x *execution) pull(ws []run.Waitable) {
	if len(x.backlogs) == 0 {
		return
	}
	var later []*hook
	for _, w := range ws {
		h, ok := w.(*hook)
		if !ok || !h.waits() {
			continue
		}
		if h.closed || !x.backlogs[h.spec.ID].rows[0].AcceptedAt.After(x.now) {
			x.pulls = append(x.pulls, h)
			return
		}
		later = append(later, h)
	}
	x.pulls = append(x.pulls, later...)
}

// pulled returns the hook whose next payload is to come before all others, or nil: one
// whose payload is there by now, else the one whose payload was accepted first.
func (x *execution) pulled() (first *hook) {
	x.pulls = slices.DeleteFunc(x.pulls, func(h *hook) bool { return !h.waits() || len(h.waiters.branches) == 0 })
	for _, h := range x.pulls {
		at := x.acceptedAt(h)
		if !at.After(x.now) {
			return h
		}
		if first == nil || at.Before(x.acceptedAt(first)) {
			first = h
		}
	}
	return first
}

// acceptedAt is when the next payload of a hook was accepted.
func (x *execution) acceptedAt(h *hook) time.Time { return x.backlogs[h.spec.ID].rows[0].AcceptedAt }

// rejoin tells an execution that has been replayed which payloads wait, the first of each
// hook, and has those come that branches wait for.
func (x *execution) rejoin(first []store.Message) {
	for _, m := range first {
		bl := x.newBacklog(m.Ref)
		bl.rows, bl.stored = []store.Message{m}, true
	}
	for _, id := range slices.Sorted(maps.Keys(x.backlogs)) {
		h := x.hookByID[id]
		if h == nil {
			h = x.closing[id]
		}
		if h != nil {
			for _, b := range h.waiters.branches {
				x.pull(b.awaits)
			}
		}
	}
}

// lookAhead makes sure that it is known whether another payload waits behind the first
// one. It returns false if that takes a commit first, or could not be found out.
func (b *batch) lookAhead(bl *backlog) bool {
	switch {
	case len(bl.rows) > 1 || !bl.more:
		return true
	case !bl.stored:
		return false
	}
	bl.page = min(max(2*bl.page, 2), mostPulled)
	a := b.a
	rows, more, err := a.w.store.Backlog(a.w.ctx, a.id, bl.hook, bl.rows[0].ID, bl.page)
	if err != nil {
		b.err = err
		return false
	}
	bl.rows, bl.more = append(bl.rows, rows...), more
	return true
}

// pull feeds the first payload of a backlog.
func (b *batch) pull(bl *backlog) {
	m := bl.rows[0]
	bl.rows[0] = store.Message{}
	bl.rows = bl.rows[1:]
	if bl.stored {
		b.pulled = append(b.pulled, m.ID)
	} else {
		b.took = append(b.took, m.ID)
	}
	b.a.x.sender = m.Trace
	b.feed(store.Event{Kind: m.Kind, Ref: bl.hook, Data: m.Data, At: m.AcceptedAt, OrStart: m.OrStart})
}

// changedBacklogs returns the hooks whose backlogs begin, and those whose backlogs end.
func (x *execution) changedBacklogs() (begin, end []string) {
	for id, bl := range x.backlogs {
		switch {
		case len(bl.rows) > 0 && !bl.stored:
			begin = append(begin, id)
		case len(bl.rows) == 0 && bl.stored:
			end = append(end, id)
		}
	}
	slices.Sort(begin)
	slices.Sort(end)
	return begin, end
}

// committedBacklogs is called when the changes are durable.
func (x *execution) committedBacklogs() {
	for id, bl := range x.backlogs {
		if len(bl.rows) == 0 {
			delete(x.backlogs, id)
			continue
		}
		bl.stored = true
		if len(bl.rows) > mostKept && len(x.pulls) == 0 {
			bl.rows = slices.Clone(bl.rows[:mostKept])
		}
	}
}

// unsure says that others may have come to the backlogs since they were looked at.
func (x *execution) unsure() {
	for _, bl := range x.backlogs {
		bl.more = true
	}
}

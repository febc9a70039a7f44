package execution

import (
	"maps"
	"slices"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
)

// Payloads that the code does not ask for stay out of the journal. The first one for a hook is
// journaled, since the code may ask whether there is one; those that follow wait in the hook's
// backlog, in the store, and are pulled when the code asks. So a payload costs the same
// however many wait, and a run that takes one of ten thousand has one in its journal.
//
// The code must not see the difference. So code that asks for a payload known to wait gets it
// before anything else happens, as if it had been in the journal. Where a replay could not
// know that, because something else is ready too or the hook is closed, the journal has a line
// for it: "pull 3".

// Backlog is what an execution knows of a hook's payloads that wait for the code to ask.
type Backlog struct {
	hook   string          // its ID
	rows   []store.Message // the first ones, in order
	stored bool            // the store has them in a backlog too
	more   bool            // there may be others behind rows
	page   int             // how many were last read at once
}

const (
	// mostPulled is how many payloads are read ahead at once.
	mostPulled = 256
	// mostKept is how many are remembered while the code does not ask.
	mostKept = 16
)

// Defer puts a payload into a backlog; more says that others may follow it. It returns false
// if the payload is to be journaled now: a payload is deferred only behind others, since the
// code may wait for the first.
func (x *Execution) Defer(m *store.Message, more bool) bool {
	bl := x.deferTo(m)
	if bl == nil {
		return false
	}
	bl.rows, bl.more = append(bl.rows, *m), more
	return true
}

func (x *Execution) deferTo(m *store.Message) *Backlog {
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

func (x *Execution) newBacklog(hook string) *Backlog {
	if x.backlogs == nil {
		x.backlogs = map[string]*Backlog{}
	}
	bl := &Backlog{hook: hook}
	x.backlogs[hook] = bl
	return bl
}

// untakenOf returns how many of a hook's journaled payloads the code has not taken.
func (x *Execution) untakenOf(hook string) int {
	n := len(x.early[hook])
	if h := x.hookByID[hook]; h != nil {
		n += len(h.queue)
	}
	return n
}

// draining reports whether the code waits for all that a closed hook had accepted.
func (x *Execution) draining(hook string) bool {
	return slices.ContainsFunc(x.pending, func(s pendingAsk) bool {
		d, ok := s.(*drain)
		return ok && d.hook.spec.ID == hook
	})
}

// waits reports whether a payload is known to wait for the hook.
func (h *hook) waits() bool {
	bl := h.x.backlogs[h.spec.ID]
	return bl != nil && len(bl.rows) > 0 && len(h.queue) == 0
}

// comes reports whether the next payload of a hook comes at once, because it is known to wait.
// others says that something else is ready, which a replay would take.
func (h *hook) comes(b *branch, others bool) bool {
	x, ask := h.x, journal.Ask{Op: journal.Pull, Ref: h.ref}
	switch {
	case !x.live && (!h.closed && !others || !x.expects(&ask)):
		return false
	case x.live && (!h.waits() || !h.closed && x.backlogs[h.spec.ID].rows[0].AcceptedAt.After(x.now)):
		return false
	}
	if h.closed || others {
		x.ask(b, &ask)
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

// pull asks for the payloads that a branch waits for: that of the first hook that has one by
// now or, if there is none, those of all hooks, each when its time has come.
func (x *Execution) pull(ws []run.Waitable) {
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

// Pulling reports whether the code waits for payloads known to be in backlogs.
func (x *Execution) Pulling() bool { return len(x.pulls) > 0 }

// Pulled returns the backlog whose first payload comes next, or nil: one whose payload is
// there by now or, if there is none, the one whose payload was accepted first.
func (x *Execution) Pulled() (first *Backlog) {
	x.pulls = slices.DeleteFunc(x.pulls, func(h *hook) bool { return !h.waits() || len(h.waiters.branches) == 0 })
	for _, h := range x.pulls {
		bl := x.backlogs[h.spec.ID]
		if !bl.Next().After(x.now) {
			return bl
		}
		if first == nil || bl.Next().Before(first.Next()) {
			first = bl
		}
	}
	return first
}

// Next returns when the first payload of a backlog was accepted.
func (bl *Backlog) Next() time.Time { return bl.rows[0].AcceptedAt }

// Pull takes the first payload out of a backlog. stored says that it is in the store's backlog
// too.
func (bl *Backlog) Pull() (m store.Message, stored bool) {
	m = bl.rows[0]
	bl.rows[0] = store.Message{}
	bl.rows = bl.rows[1:]
	return m, bl.stored
}

// ReadAhead determines whether another payload waits behind the first one. read returns up to
// n payloads of a hook's backlog after a given one, and whether there are more. ReadAhead
// returns false if a commit must come first, or if read has failed.
func (bl *Backlog) ReadAhead(read func(hook string, after int64, n int) ([]store.Message, bool, error)) (bool, error) {
	switch {
	case len(bl.rows) > 1 || !bl.more:
		return true, nil
	case !bl.stored:
		return false, nil
	}
	bl.page = min(max(2*bl.page, 2), mostPulled)
	rows, more, err := read(bl.hook, bl.rows[0].ID, bl.page)
	if err != nil {
		return false, err
	}
	bl.rows, bl.more = append(bl.rows, rows...), more
	return true, nil
}

// Backlogged reports whether payloads wait in backlogs, as far as is known.
func (x *Execution) Backlogged() bool { return len(x.backlogs) > 0 || len(x.pulls) > 0 }

// Rejoin tells a replayed execution which payloads wait, the first of each hook, and pulls
// those that branches wait for.
func (x *Execution) Rejoin(first []store.Message) {
	x.backlogs, x.pulls = nil, nil
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

// ChangedBacklogs returns the hooks whose backlogs begin and those whose backlogs end.
func (x *Execution) ChangedBacklogs() (begin, end []string) {
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

// CommittedBacklogs is called when the changes are durable.
func (x *Execution) CommittedBacklogs() {
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

// UnsureBacklogs notes that payloads may have joined the backlogs since they were read.
func (x *Execution) UnsureBacklogs() {
	for _, bl := range x.backlogs {
		bl.more = true
	}
}

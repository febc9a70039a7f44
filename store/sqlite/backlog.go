package sqlite

import (
	"context"

	"github.com/tenter-dev/tenter/store"
)

// A backlog has the payloads of a hook that its run has not asked for. They are rows of
// the mailbox that belong to no run: to hand them over to a successor is to write the
// number of the backlog into another hook, however many there are. The number is the ID
// of a message that was in it first, so that none comes twice.

// backlog is one of those that a run has.
type backlog struct {
	hook   string // its ID
	token  string
	number int64
}

// backlogsOf returns the backlogs of a run, in the order of their hooks.
func (c *conn) backlogsOf(runID string) ([]backlog, error) { return c.someBacklogs(runID, false) }

// someBacklogs returns all of them, or those of closed hooks.
func (c *conn) someBacklogs(runID string, closed bool) ([]backlog, error) {
	return readAll(c.on(qBacklogs).bindText(runID).bindBool(closed), whole(func(st *stmt) backlog { return backlog{st.text(), st.text(), st.int()} }))
}

// backlogOf returns the number of the backlog of a hook, 0 if it has none.
func (c *conn) backlogOf(runID, hook string) (int64, error) {
	n, err := readOne(c.on(qBacklogOf).bindText(runID).bindText(hook), whole((*stmt).int))
	if isNotFound(err) {
		err = nil
	}
	return n, err
}

// Backlog returns payloads that wait in the backlog of a hook.
func (s *Store) Backlog(ctx context.Context, runID, hookID string, after int64, limit int) (payloads []store.Message, more bool, err error) {
	err = s.pool.read(ctx, func(c *conn) error {
		n, err := c.backlogOf(runID, hookID)
		if err != nil || n == 0 {
			return err
		}
		payloads, more, err = c.waiting(runID, backlog{hook: hookID, number: n}, after, limit)
		return err
	})
	return payloads, more, err
}

// waiting reads a part of a backlog.
func (c *conn) waiting(runID string, b backlog, after int64, limit int) ([]store.Message, bool, error) {
	part, more, err := readPart(c.on(qBacklogPage).bindText(runID).bindText(b.hook).bindInt(b.number).bindInt(after).bindInt(int64(limit)+1), limit)
	for i := range part {
		part[i].Deferred = true
	}
	return part, more, err
}

// firstOf reads the first payload of each backlog of a run.
func (c *conn) firstOf(runID string) ([]store.Message, error) {
	all, err := c.backlogsOf(runID)
	if err != nil {
		return nil, err
	}
	var first []store.Message
	for _, b := range all {
		m, _, err := c.waiting(runID, b, first64, 1)
		if err != nil {
			return nil, err
		}
		first = append(first, m...)
	}
	return first, nil
}

// first64 is before the ID of any message.
const first64 = -1 << 63

// changeBacklogs carries out what a transition says of backlogs, when what it took is
// gone. It returns how many messages have left the mailbox, and how many have come.
func (w *writer) changeBacklogs(t *store.Transition) (gone, came int64, err error) {
	for _, id := range t.Pulled {
		if err := w.on(qMailDelete).bindInt(id).run(); err != nil {
			return 0, 0, err
		}
	}
	backlogs := 0
	for _, hook := range t.Defer {
		n, err := w.deferMail(t.RunID, hook)
		if err != nil {
			return 0, 0, err
		}
		if n > 0 {
			gone += n
			backlogs++
		}
	}
	for _, hook := range t.Admit {
		number, err := w.backlogOf(t.RunID, hook)
		if err != nil {
			return 0, 0, err
		}
		if number == 0 {
			continue
		}
		n, err := w.admit(t.RunID, backlog{hook: hook, number: number})
		if err != nil {
			return 0, 0, err
		}
		came += n
		backlogs--
	}
	if backlogs == 0 {
		return gone, came, nil
	}
	return gone, came, w.on(qRunBacklogs).bindInt(int64(backlogs)).bindText(t.RunID).run()
}

// deferMail begins a backlog, with the payloads of the hook that are in the mailbox. It
// returns how many; if there is none, or there is a backlog, nothing changes.
func (w *writer) deferMail(runID, hook string) (int64, error) {
	number, err := readOne(w.on(qMailFirst).bindText(runID).bindText(hook), whole((*stmt).int))
	if isNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if err := w.on(qHookDefer).bindInt(number).bindText(runID).bindText(hook).run(); err != nil || !w.changed() {
		return 0, err
	}
	err = w.on(qMailDefer).bindInt(number).bindText(runID).bindText(hook).run()
	return int64(w.c.Changes()), err
}

// admit ends a backlog: what is in it goes to the mailbox of its run.
func (w *writer) admit(runID string, b backlog) (came int64, err error) {
	if err := w.on(qMailAdmit).bindText(runID).bindText(b.hook).bindInt(b.number).run(); err != nil {
		return 0, err
	}
	came = int64(w.c.Changes())
	return came, w.on(qHookAdmit).bindText(runID).bindText(b.hook).run()
}

// admitAll ends the backlogs of a run that ends, or of hooks that are closed, but for what
// successors got.
func (w *writer) admitAll(runID string, closed bool) error {
	all, err := w.someBacklogs(runID, closed)
	if err != nil {
		return err
	}
	for _, b := range all {
		if _, err := w.admit(runID, b); err != nil {
			return err
		}
	}
	return nil
}

// pulled checks that the messages are there.
func (w *writer) pulled(ids []int64) error {
	for _, id := range ids {
		run, err := readOne(w.on(qMailHas).bindInt(id), whole((*stmt).text))
		switch {
		case isNotFound(err), err == nil && run != "":
			return store.ErrConflict
		case err != nil:
			return err
		}
	}
	return nil
}

package sqlite

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/store"
)

// end does what the end of a run brings, after its last transition is written:
// what it never took is recorded, its hooks are closed, successors are started.
func (w *writer) end(t *store.Transition, waiting bool) error {
	if err := w.on(qExecutingClear).bindText(t.RunID).run(); err != nil {
		return err
	}
	came, err := w.closeHooks(t.RunID, t.At, t.After+int64(len(t.Events)))
	if err != nil {
		return err
	}
	waiting = waiting || came
	w.sig.Ended = append(w.sig.Ended, t.RunID)
	if len(t.Unread) == 0 && !waiting {
		return nil
	}
	unread := make([]unreadMessage, 0, len(t.Unread))
	for _, m := range t.Unread {
		m.RunID = t.RunID
		unread = append(unread, unreadMessage{Message: m, journaled: true})
	}
	if t.TookAny && !planted.SuccessorForgotten.Here() {
		if unread, err = w.startSuccessors(t.RunID, unread); err != nil {
			return err
		}
	}
	if err := w.keepUnread(t.RunID, unread); err != nil || !waiting {
		return err
	}
	return w.emptyMailbox(t.RunID, t.Status)
}

// unreadMessage is a message that a run ended without.
type unreadMessage struct {
	store.Message
	journaled bool // it is in the journal; otherwise only in the mailbox
}

// emptyMailbox takes all messages out of the mailbox and the backlogs of a run that has
// ended, and keeps what is worth it as unread: payloads, and for a retry what it may
// miss. An order to cancel or to wake was for the run as it was.
func (w *writer) emptyMailbox(runID string, status store.Status) error {
	if err := w.admitAll(runID, false); err != nil {
		return err
	}
	if err := w.on(qRunNoBacklogs).bindText(runID).run(); err != nil {
		return err
	}
	last, err := w.lastUnread(runID)
	if err != nil {
		return err
	}
	if err := w.on(qMailToUnread).bindText(runID).bindInt(last).bindBool(status == store.Failed).run(); err != nil {
		return err
	}
	if err := w.on(qMailClear).bindText(runID).run(); err != nil {
		return err
	}
	return w.on(qRunNoMessages).bindText(runID).run()
}

// keepForRetry keeps the result of a child, or of a run that is awaited, that comes after its run
// failed: that may be retried, and waits for it then.
func (w *writer) keepForRetry(h head, m store.Message) error {
	if h.status != store.Failed || !keptForRetry(m.Kind) {
		return nil
	}
	m.AcceptedAt = w.acceptTime()
	return w.keepUnread(m.RunID, []unreadMessage{{Message: m}})
}

func keptForRetry(kind store.Kind) bool {
	switch kind { //nolint:exhaustive // the others are not
	case store.ChildCompleted, store.ChildFailed, store.AwaitedCompleted, store.AwaitedFailed:
		return true
	}
	return false
}

// keepUnread adds messages to those that a run never took.
func (w *writer) keepUnread(runID string, unread []unreadMessage) error {
	if len(unread) == 0 {
		return nil
	}
	last, err := w.lastUnread(runID)
	if err != nil {
		return err
	}
	for i, m := range unread {
		orStart, err := encodeNewRun(m.OrStart)
		if err != nil {
			return err
		}
		err = w.on(qUnreadInsert).bindText(runID).bindInt(last + int64(i) + 1).bindInt(m.ID).bindText(string(m.Kind)).bindText(m.Ref).
			bindData(m.Data).bindTime(m.AcceptedAt).bindData(orStart).bindBool(m.journaled).bindOptText(m.Actor).run()
		if err != nil {
			return err
		}
	}
	return nil
}

// lastUnread is the number of the last message that a run has left unread, or 0.
func (w *writer) lastUnread(runID string) (int64, error) {
	return readOne(w.on(qUnreadLast).bindText(runID), whole((*stmt).int))
}

// closeHooks closes all open hooks of a run. It reports whether something came for them in the end.
func (w *writer) closeHooks(runID string, at time.Time, pos int64) (came bool, err error) {
	if err := w.on(qHookCloseAll).bindTime(at).bindInt(pos).bindText(runID).run(); err != nil || !w.changed() {
		return false, err
	}
	return w.ceaseClosed(runID)
}

// heir is a run that is to go on with what came for a token.
type heir struct {
	token    string
	run      store.NewRun
	inFront  []store.Message // payloads that the journal had
	backlogs []backlog
}

// takes reports whether an heir takes what came with r: requests, or what was not one.
func (h *heir) takes(r *store.NewRun) bool { return startsWebhook(r) == startsWebhook(&h.run) }

// startSuccessors starts a run for each token whose unread payloads came with OrStart,
// hands these over, and returns what stays unread of what the journal had.
func (w *writer) startSuccessors(runID string, unread []unreadMessage) ([]unreadMessage, error) {
	heirs, err := w.heirs(runID, unread)
	if err != nil {
		return nil, err
	}
	given := map[string]*heir{} // by token
	for _, h := range heirs {
		started, err := w.startSuccessor(runID, h)
		if err != nil {
			return nil, err
		}
		if started {
			given[h.token] = h
		}
	}
	var stay []unreadMessage
	for _, m := range unread {
		token, err := w.successorToken(runID, &m.Message)
		if err != nil {
			return nil, err
		}
		if h := given[token]; h == nil || !h.takes(m.OrStart) {
			stay = append(stay, m)
		}
	}
	return stay, nil
}

// heirs finds the successors of a run whose hooks are closed, in the order of the payloads that start them:
// first what the journal had, then the mailbox, then the backlogs.
func (w *writer) heirs(runID string, unread []unreadMessage) ([]*heir, error) {
	var all []*heir
	of := func(token string, r *store.NewRun) *heir {
		i := slices.IndexFunc(all, func(h *heir) bool { return h.token == token })
		if i < 0 {
			i = len(all)
			all = append(all, &heir{token: token, run: *r})
		}
		if !all[i].takes(r) {
			return &heir{} // what the run had under the token was a webhook once, and once it was not: it stays
		}
		return all[i]
	}
	for _, m := range unread {
		token, err := w.successorToken(runID, &m.Message)
		if err != nil {
			return nil, err
		}
		if token != "" {
			h := of(token, m.OrStart)
			h.inFront = append(h.inFront, m.Message)
		}
	}
	first, err := readAll(w.on(qMailSuccessors).bindText(runID), func(st *stmt) (m store.Message, err error) {
		m.ID, m.Ref, m.Kind = st.int(), st.text(), store.PayloadReceived
		m.OrStart, err = readNewRun(st)
		return m, err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(first, func(a, b store.Message) int { return cmp.Compare(a.ID, b.ID) })
	for _, m := range first {
		token, err := w.successorToken(runID, &m)
		if err != nil {
			return nil, err
		}
		if token != "" {
			of(token, m.OrStart)
		}
	}
	backlogs, err := w.someBacklogs(runID, true)
	if err != nil {
		return nil, err
	}
	for _, b := range backlogs {
		r, err := readOne(w.on(qBacklogSuccessor).bindInt(b.number), func(st *stmt) (*store.NewRun, error) {
			_ = st.int()
			return readNewRun(st)
		})
		switch {
		case isNotFound(err): // all of it came without OrStart
		case err != nil:
			return nil, err
		default:
			h := of(b.token, r)
			h.backlogs = append(h.backlogs, b)
		}
	}
	return all, nil
}

// successorToken is the token that a payload goes on with, or nothing.
func (w *writer) successorToken(runID string, m *store.Message) (string, error) {
	if m.OrStart == nil || m.Kind != store.PayloadReceived {
		return "", nil
	}
	token, err := readOne(w.on(qHookToken).bindText(runID).bindText(m.Ref), whole((*stmt).text))
	if isNotFound(err) {
		err = nil
	}
	return token, err
}

// startSuccessor starts a run for which the token is reserved, and hands over what it is to
// go on with. It returns false if the token or the ID of the run is taken.
func (w *writer) startSuccessor(runID string, h *heir) (bool, error) {
	if _, err := w.hookByToken(h.token); !isNotFound(err) {
		return false, err
	}
	at := w.acceptTime()
	err := w.startRun(h.run, at)
	if errors.Is(err, store.ErrExists) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	started := w.started
	next := h.run
	if planted.SuccessorForPlain.Here() {
		next.Webhook = nil
	}
	hook, err := w.reserve(next, h.token, nil, at)
	if err != nil {
		return false, err
	}
	return true, w.handOver(runID, h, &hook, started)
}

// handOver makes the payloads of a token the backlog of another hook: what the journal
// had in front, then what waits already, as it is. started is the ID of a message that is
// younger than all of them.
func (w *writer) handOver(runID string, h *heir, to *store.Hook, started int64) error {
	number := started
	if len(h.backlogs) > 0 {
		number = h.backlogs[0].number
	}
	for _, b := range h.backlogs {
		if err := w.on(qMailStaying).bindText(runID).bindText(b.hook).bindInt(b.number).run(); err != nil {
			return err
		}
		if err := w.on(qHookAdmit).bindText(runID).bindText(b.hook).run(); err != nil {
			return err
		}
		if b.number == number {
			continue
		}
		if err := w.on(qMailJoin).bindInt(number).bindInt(b.number).run(); err != nil {
			return err
		}
	}
	if err := w.on(qMailGive).bindInt(number).bindText(runID).bindText(h.token).bindBool(startsWebhook(&h.run)).run(); err != nil {
		return err
	}
	for i, m := range h.inFront {
		orStart, err := encodeNewRun(m.OrStart)
		if err != nil {
			return err
		}
		err = w.on(qMailInFront).bindInt(inFront(started, i)).bindText(string(m.Kind)).bindText(m.Ref).bindData(m.Data).
			bindTime(m.AcceptedAt).bindData(orStart).bindOptText(m.Actor).bindInt(number).run()
		if err != nil {
			return err
		}
	}
	if err := w.on(qHookInherit).bindInt(number).bindText(to.RunID).bindText(to.ID).run(); err != nil {
		return err
	}
	return w.on(qRunBacklogs).bindInt(1).bindText(to.RunID).run()
}

// inFront is an ID for a message that comes before all that there are, also before those
// that were put in front earlier. started rises, and no ID comes twice.
func inFront(started int64, i int) int64 { return -started<<20 + int64(i) }

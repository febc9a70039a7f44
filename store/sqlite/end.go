package sqlite

import (
	"errors"
	"time"

	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/store"
)

// end does what the end of a run brings, after its last transition is written:
// what it never took is recorded, its hooks are closed, successors are started.
func (w *writer) end(t *store.Transition, left int64) error {
	if err := w.on(qExecutingClear).bindText(t.RunID).run(); err != nil {
		return err
	}
	unread := make([]unreadMessage, 0, len(t.Unread))
	for _, m := range t.Unread {
		m.RunID = t.RunID
		unread = append(unread, unreadMessage{Message: m, journaled: true})
	}
	if left > 0 {
		rest, err := w.emptyMailbox(t.RunID, t.Status)
		if err != nil {
			return err
		}
		unread = append(unread, rest...)
	}
	if err := w.closeHooks(t.RunID, t.At, t.After+int64(len(t.Events))); err != nil {
		return err
	}
	if t.TookAny && len(unread) > 0 && !planted.SuccessorForgotten.Here() {
		var err error
		if unread, err = w.startSuccessors(t.RunID, unread); err != nil {
			return err
		}
	}
	w.sig.Ended = append(w.sig.Ended, t.RunID)
	return w.keepUnread(t.RunID, unread)
}

// unreadMessage is a message that a run ended without.
type unreadMessage struct {
	store.Message
	journaled bool // it is in the journal; otherwise only in the mailbox
}

// emptyMailbox takes all messages out of the mailbox of a run that has ended,
// and returns those worth keeping: payloads, and for a retry what it may miss.
func (w *writer) emptyMailbox(runID string, status store.Status) ([]unreadMessage, error) {
	mail, err := w.mailOf(runID)
	if err != nil {
		return nil, err
	}
	var kept []unreadMessage
	for _, m := range mail {
		if m.Kind == store.PayloadReceived || (status == store.Failed && survivesRetry(m.Kind)) {
			kept = append(kept, unreadMessage{Message: m})
		}
	}
	if err := w.on(qMailClear).bindText(runID).run(); err != nil {
		return nil, err
	}
	return kept, w.on(qRunNoMessages).bindText(runID).run()
}

// survivesRetry reports whether a message goes back into the mailbox when a
// failed run is retried. An order to cancel or to wake was for the run as it was.
func survivesRetry(k store.Kind) bool {
	switch k {
	case store.CancelRequested, store.Woken, store.Retried:
		return false
	default:
		return true
	}
}

// keepForRetry keeps the result of a child that comes after its parent failed:
// the parent may be retried, and waits for it then.
func (w *writer) keepForRetry(h head, m store.Message) error {
	if h.status != store.Failed || (m.Kind != store.ChildCompleted && m.Kind != store.ChildFailed) {
		return nil
	}
	m.AcceptedAt = w.acceptTime()
	return w.keepUnread(m.RunID, []unreadMessage{{Message: m}})
}

// keepUnread adds messages to those that a run never took.
func (w *writer) keepUnread(runID string, unread []unreadMessage) error {
	if len(unread) == 0 {
		return nil
	}
	last, err := readOne(w.on(qUnreadLast).bindText(runID), whole((*stmt).int))
	if err != nil {
		return err
	}
	for i, m := range unread {
		orStart, err := encodeNewRun(m.OrStart)
		if err != nil {
			return err
		}
		err = w.on(qUnreadInsert).bindText(runID).bindInt(last + int64(i) + 1).bindInt(m.ID).bindText(string(m.Kind)).bindText(m.Ref).
			bindData(m.Data).bindTime(m.AcceptedAt).bindData(orStart).bindBool(m.journaled).run()
		if err != nil {
			return err
		}
	}
	return nil
}

// closeHooks closes all open hooks of a run.
func (w *writer) closeHooks(runID string, at time.Time, pos int64) error {
	return w.on(qHookCloseAll).bindTime(at).bindInt(pos).bindText(runID).run()
}

// startSuccessors starts a run for each token whose unread payloads came with
// OrStart, gives it those payloads, and returns what stays unread.
func (w *writer) startSuccessors(runID string, unread []unreadMessage) ([]unreadMessage, error) {
	tokens := make([]string, len(unread)) // of those that came with OrStart
	for i, m := range unread {
		if m.OrStart == nil || m.Kind != store.PayloadReceived {
			continue
		}
		token, err := readOne(w.on(qHookToken).bindText(runID).bindText(m.Ref), whole((*stmt).text))
		if err != nil && !isNotFound(err) {
			return nil, err
		}
		tokens[i] = token
	}
	var stay []unreadMessage
	tried := map[string]*store.Hook{} // nil: could not be started
	for i, m := range unread {
		token := tokens[i]
		if token == "" {
			stay = append(stay, m)
			continue
		}
		h, ok := tried[token]
		if !ok {
			var err error
			if h, err = w.startSuccessor(*m.OrStart, token); err != nil {
				return nil, err
			}
			tried[token] = h
		}
		if h == nil {
			stay = append(stay, m)
			continue
		}
		at := w.acceptTime()
		next := store.Message{RunID: h.RunID, Kind: store.PayloadReceived, Ref: h.ID, Data: m.Data, OrStart: m.OrStart}
		if err := w.putMail(next, formatTime(h.CreatedAt), at); err != nil {
			return nil, err
		}
	}
	return stay, nil
}

// startSuccessor starts a run that has the token reserved. It returns nil if
// the token or the ID of the run is taken.
func (w *writer) startSuccessor(r store.NewRun, token string) (*store.Hook, error) {
	if _, err := w.hookByToken(token); !isNotFound(err) {
		return nil, err
	}
	at := w.acceptTime()
	err := w.startRun(r, at)
	if errors.Is(err, store.ErrExists) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	h, err := w.reserve(r, token, nil, at)
	return &h, err
}

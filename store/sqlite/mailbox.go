package sqlite

import (
	"context"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// Send puts a message in a run's mailbox.
func (c client) Send(ctx context.Context, m store.Message) error {
	return c.do(ctx, func(w *writer) error {
		h, err := w.head(m.RunID)
		switch {
		case err != nil:
			return err
		case h.status.Ended():
			if err := w.keepForRetry(h, m); err != nil {
				return err
			}
			return store.ErrFenced
		}
		return w.putMail(m, h.dueAt, w.acceptTime())
	})
}

// putMail puts a message in the mailbox of a run that has not ended, and lets
// the run be due since then. due is what it has in due_at.
func (w *writer) putMail(m store.Message, due string, at time.Time) error {
	accepted := formatTime(at)
	if err := w.insertMail(m, accepted); err != nil {
		return err
	}
	w.sig.Mail = append(w.sig.Mail, m.RunID)
	if due != "" && due <= accepted {
		return w.on(qRunMessage).bindText(m.RunID).run()
	}
	return w.on(qRunMessageDue).bindText(accepted).bindText(m.RunID).run()
}

// insertMail puts a message in a mailbox, which the head of the run does not count yet.
func (w *writer) insertMail(m store.Message, accepted string) error {
	orStart, err := encodeNewRun(m.OrStart)
	if err != nil {
		return err
	}
	return w.on(qMailInsert).bindText(m.RunID).bindText(string(m.Kind)).bindText(m.Ref).bindData(m.Data).
		bindText(accepted).bindData(orStart).bindOptText(m.Trace).bindOptText(m.Actor).run()
}

// putBacklog puts a payload in a backlog.
func (w *writer) putBacklog(m store.Message, number int64, at time.Time) error {
	orStart, err := encodeNewRun(m.OrStart)
	if err != nil {
		return err
	}
	return w.on(qBacklogInsert).bindText(string(m.Kind)).bindText(m.Ref).bindData(m.Data).bindTime(at).
		bindData(orStart).bindOptText(m.Trace).bindOptText(m.Actor).bindInt(number).run()
}

// mailOf reads the beginning of the mailbox of a run.
func (c *conn) mailOf(runID string, limit int) (mail []store.Message, more bool, err error) {
	return readPart(c.on(qMailPage).bindText(runID).bindInt(int64(limit)+1), limit)
}

// oldestMail is when the oldest message of a run was accepted, as text.
func (c *conn) oldestMail(runID string) (string, error) {
	return readOne(c.on(qMailOldest).bindText(runID), whole((*stmt).text))
}

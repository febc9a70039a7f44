package sqlite

import (
	"context"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// Retry reopens a failed run from its journal.
func (c client) Retry(ctx context.Context, cut store.Cut) (store.Hook, error) {
	var owner store.Hook
	err := c.do(ctx, func(w *writer) (err error) {
		owner, err = w.retry(cut)
		return err
	})
	return owner, err
}

func (w *writer) retry(c store.Cut) (store.Hook, error) {
	h, err := w.head(c.RunID)
	switch {
	case err != nil:
		return store.Hook{}, err
	case h.status != store.Failed, h.events != c.Events, c.From <= h.base, c.From > c.Events+1:
		return store.Hook{}, store.ErrConflict
	}
	if r, err := readOne(w.on(qRunFull).bindText(c.RunID), readRun); err != nil {
		return store.Hook{}, err
	} else if r.Origin.At(c.From) != nil {
		return store.Hook{}, store.ErrConflict
	}
	if owner, err := w.tokenTaken(c); err != nil {
		return owner, err
	}
	back, err := w.messagesBack(c)
	if err != nil {
		return store.Hook{}, err
	}

	now := w.acceptTime()
	epoch := h.epoch + 1
	for _, st := range []*stmt{
		w.on(qJournalCut).bindInt(epoch).bindTime(now).bindText(c.RunID).bindInt(c.From),
		w.on(qJournalDelete).bindText(c.RunID).bindInt(c.From),
		w.on(qHookReturn).bindText(c.RunID).bindInt(c.From).bindInt(int64(h.generation)),
		w.on(qHookDeleteFrom).bindText(c.RunID).bindInt(c.From),
		w.on(qHookReopen).bindText(c.RunID).bindInt(c.From).bindInt(c.From),
		w.on(qLinksCut).bindText(c.RunID).bindInt(c.From),
		w.on(qLinkReturn).bindText(c.RunID).bindInt(c.From),
		w.on(qRunRetry).bindTime(now).bindInt(epoch).bindInt(c.From - 1).bindText(c.RunID),
	} {
		if err := st.run(); err != nil {
			return store.Hook{}, err
		}
	}
	if err := w.listenAll(c.RunID); err != nil {
		return store.Hook{}, err
	}
	return store.Hook{}, w.putBack(&c, back, now)
}

// tokenTaken looks whether a hook that is to be reopened has lost its token.
func (w *writer) tokenTaken(c store.Cut) (store.Hook, error) {
	st := w.on(qHookReopened).bindText(c.RunID).bindInt(c.From).bindInt(c.From)
	tokens, err := readAll(st, whole((*stmt).text))
	if err != nil {
		return store.Hook{}, err
	}
	for _, token := range tokens {
		owner, err := w.hookByToken(token)
		switch {
		case isNotFound(err):
		case err != nil:
			return store.Hook{}, err
		default:
			return owner, store.ErrExists
		}
	}
	return store.Hook{}, nil
}

// messagesBack are the events of the cut part that a retry puts back as messages.
func (w *writer) messagesBack(c store.Cut) ([]store.Message, error) {
	var back []store.Message
	for _, pos := range c.Back {
		if pos < c.From || pos > c.Events {
			return nil, store.ErrConflict
		}
		e, err := readOne(w.on(qJournalGet).bindText(c.RunID).bindInt(pos), readEvent)
		if err != nil {
			return nil, err
		}
		back = append(back, store.Message{RunID: c.RunID, Kind: e.Kind, Ref: e.Ref, Data: e.Data, AcceptedAt: e.At, OrStart: e.OrStart, Actor: e.Actor})
	}
	return back, nil
}

// putBack fills the mailbox of a run that has just been reopened: with events, and with
// what the run had not even taken in.
func (w *writer) putBack(c *store.Cut, back []store.Message, now time.Time) error {
	runID := c.RunID
	due := ""
	for _, m := range back {
		if err := w.putMail(m, due, m.AcceptedAt); err != nil {
			return err
		}
		due = earlier(due, formatTime(m.AcceptedAt))
	}
	if err := w.on(qUnreadBack).bindText(runID).run(); err != nil {
		return err
	}
	if n := w.c.Changes(); n > 0 {
		oldest, err := w.oldestMail(runID)
		if err != nil {
			return err
		}
		due = earlier(due, oldest)
		if err := w.on(qRunMessages).bindInt(int64(n)).bindText(due).bindText(runID).run(); err != nil {
			return err
		}
	}
	if err := w.on(qUnreadDeleteBack).bindText(runID).run(); err != nil {
		return err
	}
	return w.putMail(store.Message{RunID: runID, Kind: store.Retried, Actor: c.Actor}, due, now)
}

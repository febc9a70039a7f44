package sqlite

import (
	"context"

	"github.com/tenter-dev/tenter/store"
)

// Terminate ends a run now, whatever state it is in.
func (c client) Terminate(ctx context.Context, runID string, e store.Event) error {
	return c.do(ctx, func(w *writer) error { return w.terminate(runID, e) })
}

func (w *writer) terminate(runID string, e store.Event) error {
	h, err := w.head(runID)
	switch {
	case err != nil:
		return err
	case h.status.Ended():
		return store.ErrFenced
	}
	at := formatTime(e.At)
	epoch, last := h.epoch+1, h.events+1
	if err := w.journal(runID, last, &e, epoch, e.Seq); err != nil {
		return err
	}
	if err := w.on(qRunTerminate).bindText(at).bindText(at).bindInt(epoch).bindInt(last).bindText(runID).run(); err != nil {
		return err
	}
	if err := w.on(qExecutingClear).bindText(runID).run(); err != nil {
		return err
	}
	if _, err := w.closeHooks(runID, e.At, last); err != nil {
		return err
	}
	if err := w.emptyMailbox(runID, store.Canceled); err != nil {
		return err
	}
	children, err := readAll(w.on(qChildren).bindText(runID), whole((*stmt).text))
	if err != nil {
		return err
	}
	for _, id := range children {
		if err := w.sendEffect(store.Message{RunID: id, Kind: store.CancelRequested}); err != nil {
			return err
		}
	}
	if h.parentID != "" {
		m := store.Message{RunID: h.parentID, Kind: store.ChildFailed, Ref: h.parentRef, Data: e.Data}
		if err := w.sendEffect(m); err != nil {
			return err
		}
	}
	w.sig.Ended = append(w.sig.Ended, runID)
	if err := w.unsubscribe(store.Subscription{RunID: runID}); err != nil {
		return err
	}
	return w.ended(runID, h)
}

package sqlite

import (
	"context"

	"github.com/tenter-dev/tenter/store"
)

// Unblock makes a blocked run claimable by every build again, at once.
func (c client) Unblock(ctx context.Context, runID string) error {
	return c.do(ctx, func(w *writer) error {
		h, err := w.head(runID)
		switch {
		case err != nil:
			return err
		case h.status != store.Blocked:
			return store.ErrConflict
		}
		now := formatTime(w.acceptTime())
		w.sig.Mail = append(w.sig.Mail, runID) // it has something to do, as if a message had come
		return w.on(qRunUnblock).bindText(earlier(h.wakeAt, now)).bindText(earlier(h.dueAt, now)).bindText(now).bindText(runID).run()
	})
}

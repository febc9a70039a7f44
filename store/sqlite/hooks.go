package sqlite

import (
	"errors"

	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/store"
)

// hookByToken is the open hook that has the token, or ErrNotFound.
func (c *conn) hookByToken(token string) (store.Hook, error) {
	return readOne(c.on(qHookByToken).bindText(token), whole(readHook))
}

// hookOfToken is the same, with the number of the backlog of the hook, or 0.
func (c *conn) hookOfToken(token string) (store.Hook, int64, error) {
	backlog := int64(0)
	h, err := readOne(c.on(qHookOfToken).bindText(token), whole(func(st *stmt) store.Hook {
		h := readHook(st)
		backlog = st.int()
		return h
	}))
	return h, backlog, err
}

func (w *writer) insertHook(h store.Hook) error {
	return w.on(qHookInsert).bindText(h.ID).bindText(h.RunID).bindText(h.Token).bindText(h.Type).bindData(h.Metadata).
		bindData(h.Webhook).bindBool(h.Reserved).bindTime(h.CreatedAt).bindInt(h.OpenedPos).run()
}

// openHook carries out an OpenHook effect of a run.
func (w *writer) openHook(runID string, h store.Hook) (store.Outcome, error) {
	h.RunID = runID
	owner, err := w.hookByToken(h.Token)
	switch {
	case errors.Is(err, store.ErrNotFound):
		// A repeat of a claim whose hook has been closed since is a success too.
		_, err := readOne(w.on(qHookToken).bindText(runID).bindText(h.ID), whole((*stmt).text))
		if errors.Is(err, store.ErrNotFound) {
			h.Reserved = false
			err = w.insertHook(h)
		}
		return store.Outcome{HookID: h.ID}, err
	case err != nil:
		return store.Outcome{}, err
	case owner.RunID == runID && owner.ID == h.ID && !owner.Reserved:
		return store.Outcome{HookID: h.ID}, nil
	case owner.RunID == runID && owner.Reserved:
		err := w.on(qHookAdopt).bindText(h.Type).bindData(h.Metadata).bindData(h.Webhook).bindInt(h.OpenedPos).bindText(h.ID).bindText(runID).bindText(owner.ID).run()
		return store.Outcome{HookID: owner.ID}, err
	case owner.RunID == runID:
		st := w.on(qHookAdopted).bindText(runID).bindText(owner.ID).bindText(h.ID)
		adopted, err := st.first()
		if e := st.end(); err == nil {
			err = e
		}
		if adopted || err != nil {
			return store.Outcome{HookID: owner.ID}, err
		}
	}
	if planted.WrongOwner.Here() {
		return store.Outcome{Conflict: runID}, nil
	}
	return store.Outcome{Conflict: owner.RunID}, nil
}

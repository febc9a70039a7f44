package sqlite

import (
	"encoding/json"
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
		bindData(h.Webhook).bindBool(h.Reserved).bindBool(h.Carried).bindTime(h.CreatedAt).bindInt(h.OpenedPos).bindOptText(h.Subject).run()
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
			h.Reserved, h.Carried = false, false
			if err = w.insertHook(h); err == nil && h.Subject != "" {
				err = w.listen(runID, h.ID, h.Type, h.Subject)
			}
		}
		return store.Outcome{HookID: h.ID}, err
	case err != nil:
		return store.Outcome{}, err
	case owner.RunID == runID && owner.Carried:
		return w.adopt(&owner, h)
	case owner.RunID == runID && owner.ID == h.ID && !owner.Reserved:
		return store.Outcome{HookID: h.ID}, nil
	case owner.RunID == runID && owner.Reserved:
		return w.adopt(&owner, h)
	case owner.RunID == runID:
		st := w.on(qHookAdopted).bindText(runID).bindText(owner.ID).bindText(h.ID)
		adopted, err := st.first()
		if e := st.end(); err == nil {
			err = e
		}
		if adopted || err != nil {
			return adoption(&owner), err
		}
	}
	if planted.WrongOwner.Here() {
		return store.Outcome{Conflict: runID}, nil
	}
	return store.Outcome{Conflict: owner.RunID}, nil
}

// adopt makes a hook that was reserved for a run, or that it carries, the one that it opens.
func (w *writer) adopt(owner *store.Hook, h store.Hook) (store.Outcome, error) {
	if owner.Carried && !sameForm(owner, &h) || owner.Reserved && intakeOf(owner).kind() != intakeOf(&h).kind() {
		return store.Outcome{Conflict: owner.RunID, Carried: owner}, nil
	}
	err := w.on(qHookAdopt).bindText(h.Type).bindData(h.Metadata).bindData(h.Webhook).bindInt(h.OpenedPos).bindText(h.ID).bindOptText(h.Subject).
		bindText(owner.RunID).bindText(owner.ID).run()
	if err == nil && h.Subject != "" {
		err = w.listen(owner.RunID, owner.ID, h.Type, h.Subject)
	}
	return adoption(owner), err
}

// adoption is the outcome of a claim that has got a hook that was there.
func adoption(owner *store.Hook) store.Outcome {
	return store.Outcome{HookID: owner.ID, CreatedAt: owner.CreatedAt}
}

// sameForm reports whether a hook can take over what a carried one has accepted.
func sameForm(a, b *store.Hook) bool {
	return a.Type == b.Type && a.Subject == b.Subject && intakeOf(a) == intakeOf(b)
}

// intake is how a hook takes what is sent to it: payloads, HTTP requests or those of a call.
type intake struct {
	webhook bool
	Call    bool
	Verify  string // name of the sender of HTTP requests
}

func (in intake) kind() intake {
	in.Verify = ""
	return in
}

func intakeOf(h *store.Hook) intake {
	in := intake{webhook: h.Webhook != nil}
	_ = json.Unmarshal(h.Webhook, &in) // nil is a plain hook
	return in
}

package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

// Accept puts a payload in the mailbox of the run whose open hook has the token.
func (c client) Accept(ctx context.Context, p store.Payload) (store.Receipt, error) {
	var receipt store.Receipt
	err := c.do(ctx, func(w *writer) (err error) {
		receipt, err = w.accept(p)
		return err
	})
	return receipt, err
}

func (w *writer) accept(p store.Payload) (store.Receipt, error) {
	at := w.acceptTime()
	if p.Key != "" {
		r, err := w.receipt(p.Token, p.Key, at)
		if planted.KeyForgotten.Here() && err == nil {
			if h, _ := w.hookByToken(p.Token); h.ID != r.Hook.ID {
				err = store.ErrNotFound
			}
		}
		if err == nil {
			return r, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return store.Receipt{}, err
		}
	}
	started := false
	var due string
	h, backlog, err := w.hookOfToken(p.Token)
	switch {
	case p.Hook != "" && (err == nil && h.ID != p.Hook || errors.Is(err, store.ErrNotFound)):
		return store.Receipt{}, store.ErrNotFound
	case err == nil:
		// What type a reservation will have is decided by the run that adopts it.
		if p.Type != nil && *p.Type != h.Type && !h.Reserved {
			return store.Receipt{Hook: h}, store.ErrMismatch
		}
		if h.Webhook != nil && p.Request == "" || p.Hook == "" && startsWebhook(p.OrStart) {
			return store.Receipt{Hook: h}, store.ErrMismatch
		}
		if backlog != 0 {
			break // the run need not know
		}
		owner, err := w.head(h.RunID)
		if err != nil {
			return store.Receipt{}, err
		}
		due = owner.dueAt
	case errors.Is(err, store.ErrNotFound) && p.OrStart != nil:
		if err := w.startRun(*p.OrStart, at); err != nil {
			return store.Receipt{}, err
		}
		if h, err = w.reserve(*p.OrStart, p.Token, p.Type, at); err != nil {
			return store.Receipt{}, err
		}
		due = formatTime(at)
		started = true
	default:
		return store.Receipt{}, err
	}
	m := store.Message{RunID: h.RunID, Kind: store.PayloadReceived, Ref: h.ID, Data: p.Data, OrStart: p.OrStart, Trace: p.Trace, Actor: p.Actor}
	if backlog != 0 {
		err = w.putBacklog(m, backlog, at)
	} else {
		err = w.putMail(m, due, at)
	}
	if err != nil {
		return store.Receipt{}, err
	}
	if p.Key != "" {
		if err := w.keepReceipt(p, h, at); err != nil {
			return store.Receipt{}, err
		}
	}
	return store.Receipt{Hook: h, Started: started}, nil
}

// reserve opens a hook for a run that has just been started and is to adopt it.
func (w *writer) reserve(r store.NewRun, token string, typ *string, at time.Time) (store.Hook, error) {
	h := store.Hook{ID: journal.ReservedHookID(r.ID), RunID: r.ID, Token: token, Webhook: r.Webhook, Reserved: true, CreatedAt: at}
	if typ != nil {
		h.Type = *typ
	}
	return h, w.insertHook(h)
}

// startsWebhook reports whether the payload that has r is a request.
func startsWebhook(r *store.NewRun) bool { return r != nil && r.Webhook != nil }

// receipt looks for what a payload with the key got. ErrNotFound if there is
// none, or it has expired.
func (w *writer) receipt(token, key string, now time.Time) (store.Receipt, error) {
	return readOne(w.on(qReceiptGet).bindText(token).bindText(key).bindTime(now), whole(readReceipt(token)))
}

// Receipt returns a receipt that an HTTP request to the token got.
func (s *Store) Receipt(ctx context.Context, token string) (store.Receipt, error) {
	var r store.Receipt
	err := s.pool.read(ctx, func(c *conn) (err error) {
		r, err = readOne(c.on(qReceiptOfRequest).bindText(token).bindTime(s.Now()), whole(readReceipt(token)))
		return err
	})
	return r, err
}

func readReceipt(token string) func(*stmt) store.Receipt {
	return func(st *stmt) store.Receipt {
		h := store.Hook{
			Token: token, ID: st.text(), RunID: st.text(), Type: st.text(), Metadata: st.data(), Webhook: st.data(), CreatedAt: st.time(),
		}
		return store.Receipt{Hook: h, Duplicate: true, Request: st.text()}
	}
}

// keepReceipt stores a receipt.
func (w *writer) keepReceipt(p store.Payload, h store.Hook, now time.Time) error {
	if err := w.purge(now); err != nil {
		return err
	}
	return w.on(qReceiptInsert).bindText(p.Token).bindText(p.Key).bindText(h.ID).bindText(h.RunID).bindText(h.Type).
		bindData(h.Metadata).bindData(h.Webhook).bindOptText(p.Request).bindTime(h.CreatedAt).bindTime(saturate.After(now, p.KeepFor)).run()
}

// purge deletes, now and then, a few receipts and responses that have expired.
func (w *writer) purge(now time.Time) error {
	const few = 100
	if now.Sub(w.purged) < time.Second && !now.Before(w.purged) {
		return nil
	}
	more := false
	for _, q := range []query{qReceiptPurge, qResponsePurge, qPublicationPurge} {
		if err := w.on(q).bindTime(now).bindInt(few).run(); err != nil {
			return err
		}
		more = more || w.c.Changes() == few
	}
	if !more {
		w.purged = now
	}
	return nil
}

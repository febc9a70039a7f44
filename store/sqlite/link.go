package sqlite

import (
	"cmp"
	"context"
	"time"

	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/store"
)

// issueLink carries out an IssueLink effect.
func (w *writer) issueLink(runID string, l *store.Link) error {
	return w.on(qLinkInsert).bindText(l.ID).bindText(runID).bindText(l.HookID).bindText(l.Addressee).bindText(l.Form).bindData(l.Page).
		bindText(l.Key).bindBool(l.Once).bindTime(l.CreatedAt).bindTime(l.ExpiresAt).bindInt(l.OpenedPos).run()
}

// Answer puts a payload that comes by a link in the mailbox of the run whose hook that is for.
func (s *Store) Answer(ctx context.Context, a store.Answer) (store.Link, error) {
	var l store.Link
	err := s.w.do(ctx, func(w *writer) (err error) {
		l, err = w.answer(&a)
		return err
	})
	return l, err
}

func (w *writer) answer(a *store.Answer) (store.Link, error) {
	at := w.acceptTime()
	l, err := w.link(a.Link, at)
	switch {
	case err != nil:
		return store.Link{}, err
	case l.Generation != a.Generation && l.State == store.LinkOpen:
		return store.Link{}, store.ErrConflict
	case l.State != store.LinkOpen:
		return l, nil
	}
	if _, err := w.accept(store.Payload{Token: l.Hook.Token, Hook: l.HookID, Type: &l.Hook.Type, Data: a.Data, Trace: a.Trace, Actor: a.Actor}); err != nil {
		return store.Link{}, err
	}
	l.AnsweredAt, l.AnsweredBy, l.Answer = at, l.ID, a.Data
	if planted.AnswerUnmarked.Here() {
		return l, nil
	}
	return l, w.on(qLinkAnswer).bindTime(at).bindInt(int64(l.Generation)).bindData(a.Data).bindText(l.ID).run()
}

// RevokeLink revokes a link from outside of its run.
func (s *Store) RevokeLink(ctx context.Context, id, actor string) error {
	return s.w.do(ctx, func(w *writer) error {
		if err := w.on(qLinkRevoke).bindTime(w.acceptTime()).bindOptText(actor).bindText(id).run(); err != nil {
			return err
		}
		if !w.changed() {
			return store.ErrNotFound
		}
		return nil
	})
}

// Link returns a link.
func (s *Store) Link(ctx context.Context, id string) (l store.Link, err error) {
	if s.previous {
		return l, store.ErrNotFound
	}
	err = s.pool.read(ctx, func(c *conn) error {
		l, err = c.link(id, s.Now())
		return err
	})
	return l, err
}

func (c *conn) link(id string, now time.Time) (store.Link, error) {
	l, err := readOne(c.on(qLinkGet).bindTime(now).bindText(id), whole(readLink))
	if planted.LinkUnchecked.Here() && (l.State == store.LinkExpired || l.State == store.LinkRevoked) && l.Hook.ClosedAt.IsZero() && l.AnsweredAt.IsZero() {
		l.State = store.LinkOpen
	}
	return l, err
}

// Links lists links, in the order in which they were issued.
func (s *Store) Links(ctx context.Context, f store.LinkFilter) (all []store.Link, err error) {
	if s.previous || f.RunID == "" && f.Addressee == "" {
		return nil, ctx.Err()
	}
	f.Limit = cmp.Or(max(f.Limit, 0), defaultLimit)
	now := s.Now()
	err = s.pool.read(ctx, func(c *conn) error {
		st := c.on(qLinksOf).bindTime(now).bindText(f.RunID).bindInt(f.After).bindOptText(f.HookID).bindInt(int64(f.Limit))
		if f.RunID == "" {
			st = c.on(qLinksTo).bindTime(now).bindText(f.Addressee).bindInt(f.After).bindInt(int64(f.Limit))
		}
		all, err = readAll(st, whole(readLink))
		return err
	})
	return all, err
}

// LinkKeys counts, by their keys, the links that may still be answered.
func (s *Store) LinkKeys(ctx context.Context) (map[string]int, error) {
	keys := map[string]int{}
	if s.previous {
		return keys, ctx.Err()
	}
	err := s.pool.read(ctx, func(c *conn) error {
		_, err := readAll(c.on(qLinkKeys).bindTime(s.Now()), whole(func(st *stmt) struct{} {
			key := st.text()
			keys[key] = int(st.int())
			return struct{}{}
		}))
		return err
	})
	return keys, err
}

// Installation is the ID that was drawn when the file got its schema.
func (s *Store) Installation(ctx context.Context) (id string, err error) {
	if s.previous {
		return "", ctx.Err()
	}
	err = s.pool.read(ctx, func(c *conn) error {
		id, err = readOne(c.on(qInstallation), whole((*stmt).text))
		return err
	})
	return id, err
}

// readLink reads linkColumns.
func readLink(st *stmt) store.Link {
	return store.Link{
		Number: st.int(), ID: st.text(), RunID: st.text(), HookID: st.text(), Addressee: st.text(), Form: st.text(), Page: st.data(),
		Key: st.text(), Once: st.bool(), CreatedAt: st.time(), ExpiresAt: st.time(), OpenedPos: st.int(), RevokedAt: st.time(), RevokedBy: st.text(),
		AnsweredAt: st.time(), AnsweredBy: st.text(), Answer: st.data(),
		Generation: int32(st.int()), //nolint:gosec // it counts from 0
		State:      store.LinkState(st.text()),
		Hook:       readHook(st),
	}
}

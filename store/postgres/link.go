package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/store"
)

// linkDetails is what of a link has no column of its own in an effect.
type linkDetails struct {
	Form string `json:"form"`
	Key  string `json:"key"`
	Once bool   `json:"once"`
}

// issuing is a link that a run issues, as an effect.
func issuing(runID string, l *store.Link) effect {
	details, err := json.Marshal(linkDetails{l.Form, l.Key, l.Once})
	if err != nil {
		panic(fmt.Sprintf("the details of a link cannot be encoded: %v", err)) // they are texts
	}
	return effect{
		kind: "link", runID: runID, id: l.ID, token: l.Addressee, metadata: details, at: l.CreatedAt, position: l.OpenedPos,
		ref: l.HookID, data: l.Page, keepUntil: l.ExpiresAt,
	}
}

// Answer puts a payload that comes by a link in the mailbox of the run whose hook that is for.
func (s *Store) Answer(ctx context.Context, a store.Answer) (store.Link, error) {
	var l store.Link
	var told *string
	var state store.LinkState
	err := s.call(ctx, "answer by a link", func(ctx context.Context, c *pgxpool.Conn) error {
		var code *string
		if err := c.QueryRow(ctx, s.sql.answer, alone, a.Link, a.Data, a.Generation, optText(a.Trace), optText(a.Actor)).Scan(&code, &told, &state); err != nil {
			return found(err)
		}
		return refusal(code)
	})
	if err != nil {
		return l, err
	}
	if told != nil {
		s.tell(store.Signal{Mail: []string{*told}})
	}
	l, err = s.Link(ctx, a.Link)
	l.State = state // as it was: by now it may have become open
	return l, err
}

// RevokeLink revokes a link from outside of its run.
func (s *Store) RevokeLink(ctx context.Context, id, actor string) error {
	return s.call(ctx, "revoke a link", func(ctx context.Context, c *pgxpool.Conn) error {
		var was bool
		if err := c.QueryRow(ctx, s.sql.revokeLink, alone, id, optText(actor)).Scan(&was); err != nil {
			return found(err)
		}
		if !was {
			return store.ErrNotFound
		}
		return nil
	})
}

// Link returns a link.
func (s *Store) Link(ctx context.Context, id string) (l store.Link, err error) {
	if s.sql.previous {
		return l, store.ErrNotFound
	}
	err = s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		l, err = readLink(c.QueryRow(ctx, s.sql.link, id))
		return found(err)
	})
	return l, s.readError("look up a link", err)
}

// Links lists links, in the order in which they were issued.
func (s *Store) Links(ctx context.Context, f store.LinkFilter) ([]store.Link, error) {
	f.Limit = cmp.Or(max(f.Limit, 0), defaultLimit)
	switch {
	case s.sql.previous || f.RunID == "" && f.Addressee == "":
		return nil, ctx.Err()
	case f.RunID != "":
		return list(ctx, s, "list links", readLink, s.sql.linksOf, f.RunID, f.After, f.HookID, f.Limit)
	}
	return list(ctx, s, "list links", readLink, s.sql.linksTo, f.Addressee, f.After, f.Limit)
}

// LinkKeys counts, by their keys, the links that may still be answered.
func (s *Store) LinkKeys(ctx context.Context) (map[string]int, error) {
	keys := map[string]int{}
	if s.sql.previous {
		return keys, ctx.Err()
	}
	_, err := list(ctx, s, "count links", func(row pgx.Row) (struct{}, error) {
		var key string
		var n int
		err := row.Scan(&key, &n)
		keys[key] = n
		return struct{}{}, err
	}, s.sql.linkKeys)
	return keys, err
}

// Installation is the ID that was drawn when the schema was made.
func (s *Store) Installation(ctx context.Context) (id string, err error) {
	if s.sql.previous {
		return "", ctx.Err()
	}
	err = s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		return found(c.QueryRow(ctx, s.sql.installation).Scan(&id))
	})
	return id, s.readError("read the ID of the installation", err)
}

// readLink reads linkColumns.
func readLink(row pgx.Row) (store.Link, error) {
	var l store.Link
	var revoked, answered, closed *time.Time
	h := &l.Hook
	err := row.Scan(&l.Number, &l.ID, &l.RunID, &l.HookID, &l.Addressee, &l.Form, &l.Page, &l.Key, &l.Once, &l.CreatedAt, &l.ExpiresAt, &l.OpenedPos, &revoked, &l.RevokedBy,
		&answered, &l.AnsweredBy, &l.Answer, &l.Generation, &l.State,
		&h.ID, &h.RunID, &h.Token, &h.Type, &h.Metadata, &h.Webhook, &h.Reserved, &h.CreatedAt, &closed, &h.OpenedPos, &h.ClosedPos, &h.Carried)
	l.CreatedAt, l.ExpiresAt, l.RevokedAt, l.AnsweredAt = l.CreatedAt.UTC(), l.ExpiresAt.UTC(), timeOf(revoked), timeOf(answered)
	h.CreatedAt, h.ClosedAt = h.CreatedAt.UTC(), timeOf(closed)
	return l, err
}

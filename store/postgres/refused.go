package postgres

import (
	"cmp"
	"context"
	"math"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/store"
)

// KeepRefused keeps a request, and drops the oldest ones.
func (s *Store) KeepRefused(ctx context.Context, r store.RefusedRequest, keep int) error {
	if r.Body == nil {
		r.Body = []byte{}
	}
	return s.call(ctx, "keep a refused request", func(ctx context.Context, c *pgxpool.Conn) error {
		_, err := c.Exec(ctx, s.sql.keepRefused, alone, r.ID, r.Token, optText(r.HookID), optText(r.RunID), optText(r.Workflow), r.Sender, r.Reason,
			optText(r.Delivery), r.Request, r.Body, r.At, keep)
		return err
	})
}

// RefusedRequest returns a request.
func (s *Store) RefusedRequest(ctx context.Context, id string) (r store.RefusedRequest, err error) {
	if s.sql.previous {
		return r, store.ErrNotFound
	}
	err = s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		r, err = readRefused(c.QueryRow(ctx, s.sql.refused, id))
		return found(err)
	})
	return r, s.readError("look up a refused request", err)
}

// RefusedRequests lists requests, the newest first.
func (s *Store) RefusedRequests(ctx context.Context, f store.RefusedFilter) ([]store.RefusedRequest, error) {
	if s.sql.previous {
		return nil, ctx.Err()
	}
	before, limit := cmp.Or(f.Before, math.MaxInt64), cmp.Or(max(f.Limit, 0), defaultLimit)
	return list(ctx, s, "list refused requests", readRefused, s.sql.refusedList, before, limit)
}

// DropRefused drops a request.
func (s *Store) DropRefused(ctx context.Context, id string) error {
	return s.call(ctx, "drop a refused request", func(ctx context.Context, c *pgxpool.Conn) error {
		var was bool
		if err := c.QueryRow(ctx, s.sql.dropRefused, alone, id).Scan(&was); err != nil {
			return err
		}
		if !was {
			return store.ErrNotFound
		}
		return nil
	})
}

// readRefused reads refusedColumns and the body.
func readRefused(row pgx.Row) (r store.RefusedRequest, err error) {
	err = row.Scan(&r.Number, &r.ID, &r.Token, &r.HookID, &r.RunID, &r.Workflow, &r.Sender, &r.Reason, &r.Delivery, &r.Request, &r.BodySize, &r.At, &r.Body)
	r.At = r.At.UTC()
	return r, err
}

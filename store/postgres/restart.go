package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

// restart writes a transition that ends a generation. It is rare, so it goes alone.
func (s *Store) restart(ctx context.Context, t *store.Transition) ([]store.Outcome, error) {
	var o *op
	err := s.call(ctx, "restart run "+t.RunID, func(ctx context.Context, c *pgxpool.Conn) error {
		o = &op{arg: t}
		var r request
		defer r.free()
		ts := s.transitions(&r, []*op{o})
		rows, err := c.Query(ctx, s.sql.restart, ts.others.value(), ts.events.value(), ts.effects.value(), ts.unread.value(), ts.backlogs.value(), ts.claims,
			t.Restart.Start, t.Restart.Input, t.Restart.Canceled, optText(t.Restart.Actor))
		if err != nil {
			return err
		}
		defer rows.Close()
		if err := readVerdicts(rows, []*op{o}, &r.told); err != nil {
			return err
		}
		s.tell(r.told)
		return o.err
	})
	if errors.Is(err, store.ErrOldWorker) {
		err = fmt.Errorf("%w: worker %s", err, o.receipt.Hook.Token)
	}
	if err != nil {
		return nil, err
	}
	return o.outcomes, nil
}

// decodeCarried reads the form of a hook that a run carries.
func decodeCarried(form string) (*store.Hook, error) {
	var h struct {
		Type    string
		Webhook json.RawMessage
		Subject string
	}
	if err := json.Unmarshal([]byte(form), &h); err != nil {
		return nil, fmt.Errorf("read a carried hook: %w", err)
	}
	if string(h.Webhook) == "null" {
		h.Webhook = nil
	}
	return &store.Hook{Type: h.Type, Webhook: h.Webhook, Subject: h.Subject}, nil
}

// microseconds is a time that comes as text: microseconds since 1970.
func microseconds(text *string) time.Time {
	if text == nil {
		return time.Time{}
	}
	n, err := strconv.ParseInt(*text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// Generations lists the generations of a run that are over.
func (s *Store) Generations(ctx context.Context, runID string) (all []store.Generation, err error) {
	if s.sql.previous {
		return nil, ctx.Err()
	}
	err = s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		rows, err := c.Query(ctx, s.sql.generations, runID)
		if err != nil {
			return err
		}
		all, err = readAll(rows, readGeneration)
		return err
	})
	if err != nil {
		return nil, s.readError("list the generations of run "+runID, err)
	}
	return all, nil
}

// Unread returns the payloads that a generation of a run has left unread.
func (s *Store) Unread(ctx context.Context, runID string, generation, limit int) (unread []store.Message, err error) {
	if s.sql.previous {
		return nil, ctx.Err()
	}
	err = s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		rows, err := c.Query(ctx, s.sql.unreadOf, runID, generation, limit)
		if err != nil {
			return err
		}
		unread, err = readPage(rows, readMessage, func(m *store.Message) int { return len(m.Data) })
		return err
	})
	return unread, s.readError("read what run "+runID+" has left unread", err)
}

func readGeneration(row pgx.Row) (g store.Generation, err error) {
	err = row.Scan(&g.Number, &g.EndedAt, &g.Base, &g.Last)
	g.EndedAt = g.EndedAt.UTC()
	return g, err
}

// PruneGenerations deletes generations that ended before a time.
func (s *Store) PruneGenerations(ctx context.Context, before time.Time, limit int) (pruned int, more bool, err error) {
	err = s.call(ctx, "prune generations", func(ctx context.Context, c *pgxpool.Conn) error {
		return c.QueryRow(ctx, s.sql.pruneGenerations, saturate.Time(before), limit).Scan(&pruned, &more)
	})
	return pruned, more, err
}

// serveGenerations makes binaries that know no generations refuse the database. ErrOldWorker if a
// worker of one of them is live.
func (s *Store) serveGenerations(ctx context.Context, tx pgx.Tx) error {
	var old *string
	if err := tx.QueryRow(ctx, s.sql.serveGenerations).Scan(&old); err != nil {
		return err
	}
	if old != nil {
		return fmt.Errorf("%w: worker %s", store.ErrOldWorker, *old)
	}
	return nil
}

package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

// Claim takes ownership of runs that have something to do.
func (s *Store) Claim(ctx context.Context, c store.Claim) (store.Claimed, error) {
	var claimed store.Claimed
	defs := s.fitting(c.Definitions)
	var paused []string
	sql, args, second := s.sql.claim, []any{c.Worker, c.Build, defs, c.Limit, saturate.Time(c.Now), c.Again, c.Patience}, any(&claimed.More)
	switch {
	case len(c.Runs) > 0:
		sql, args, second = s.sql.claimNamed, []any{c.Worker, c.Build, defs, c.Runs, saturate.Time(c.Now)}, any(&claimed.Busy)
	case c.Limit <= 0:
		return claimed, nil
	}
	err := s.call(ctx, "claim runs", func(ctx context.Context, conn *pgxpool.Conn) error {
		claimed = store.Claimed{}
		rows, err := conn.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if rows.RawValues()[3] != nil {
				r, err := readRun(rows, nil, nil, nil)
				if err != nil {
					return err
				}
				claimed.Runs = append(claimed.Runs, r)
				continue
			}
			var next *time.Time
			dest := []any{&next, second, &paused}
			for range len(rows.RawValues()) - len(dest) {
				dest = append(dest, nil)
			}
			if err := rows.Scan(dest...); err != nil {
				return err
			}
			claimed.Paused = paused
			if next != nil {
				claimed.Next = next.UTC()
			}
		}
		return rows.Err()
	})
	if err != nil {
		return store.Claimed{}, err
	}
	s.peers.claimed(c.Runs, claimed.Runs)
	return claimed, nil
}

// fitting are the workflows and versions that a worker can execute: a run that is
// not bound to a version yet fits any.
func (s *Store) fitting(defs []store.Definition) []byte {
	all := s.types.array("definition", 2*len(defs))
	seen := make(map[store.Definition]bool, 2*len(defs))
	for _, d := range defs {
		for _, d := range []store.Definition{d, {Workflow: d.Workflow}} {
			if !seen[d] {
				seen[d] = true
				all.add(text(d.Workflow), integer(d.Version))
			}
		}
	}
	return all.value()
}

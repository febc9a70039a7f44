package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/store"
)

// Claim takes ownership of runs that have something to do.
func (s *Store) Claim(ctx context.Context, c store.Claim) (store.Claimed, error) {
	var claimed store.Claimed
	if c.Limit <= 0 {
		return claimed, nil
	}
	defs := fitting(c.Definitions)
	err := s.call(ctx, "claim runs", func(ctx context.Context, conn *pgxpool.Conn) error {
		claimed = store.Claimed{}
		rows, err := conn.Query(ctx, s.sql.claim, c.Worker, c.Build, defs, c.Limit, c.Now, c.Again)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if rows.RawValues()[2] != nil {
				var next, more any
				r, err := readRun(rows, &next, &more)
				if err != nil {
					return err
				}
				claimed.Runs = append(claimed.Runs, r)
				continue
			}
			var next *time.Time
			dest := []any{&next, &claimed.More}
			for range len(rows.RawValues()) - len(dest) {
				dest = append(dest, nil)
			}
			if err := rows.Scan(dest...); err != nil {
				return err
			}
			if next != nil {
				claimed.Next = next.UTC()
			}
		}
		return rows.Err()
	})
	if err != nil {
		return store.Claimed{}, err
	}
	return claimed, nil
}

// fitting are the workflows and versions that a worker can execute: a run that is
// not bound to a version yet fits any.
func fitting(defs []store.Definition) []composite {
	all := make([]composite, 0, 2*len(defs))
	seen := make(map[store.Definition]bool, 2*len(defs))
	for _, d := range defs {
		for _, d := range []store.Definition{d, {Workflow: d.Workflow}} {
			if !seen[d] {
				seen[d] = true
				all = append(all, composite{d.Workflow, d.Version})
			}
		}
	}
	return all
}

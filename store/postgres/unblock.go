package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/store"
)

// Unblock makes a blocked run claimable by every build again, at once.
func (s *Store) Unblock(ctx context.Context, runID string) error {
	err := s.call(ctx, "unblock run "+runID, func(ctx context.Context, c *pgxpool.Conn) error {
		var code *string
		if err := c.QueryRow(ctx, s.sql.unblock, alone, runID).Scan(&code); err != nil {
			return err
		}
		return refusal(code)
	})
	if err == nil {
		s.tell(store.Signal{Mail: []string{runID}}) // it has something to do, as if a message had come
	}
	return err
}

package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/internal/saturate"
)

// Prune deletes runs that ended before a time. Several at once do not wait for each
// other, nor for transactions that have locked a run.
func (s *Store) Prune(ctx context.Context, before time.Time, limit int) (pruned int, more bool, err error) {
	err = s.call(ctx, "prune", func(ctx context.Context, c *pgxpool.Conn) error {
		return c.QueryRow(ctx, s.sql.prune, saturate.Time(before), limit).Scan(&pruned, &more)
	})
	return pruned, more, err
}

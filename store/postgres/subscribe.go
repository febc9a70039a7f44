package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/store"
)

// TellEnds goes on with reporting the end of one run. Several processes at once do not wait for each
// other.
func (s *Store) TellEnds(ctx context.Context) (told int, more bool, err error) {
	var runs []string
	err = s.call(ctx, "report ends", func(ctx context.Context, c *pgxpool.Conn) error {
		return c.QueryRow(ctx, s.sql.tellEnds).Scan(&more, &runs)
	})
	if err == nil {
		s.tell(store.Signal{Mail: runs})
	}
	return len(runs), more, err
}

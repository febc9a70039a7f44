package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/store"
)

// Fence makes sure that no transition of an epoch can be written any more, and
// returns the run as it is then.
func (s *Store) Fence(ctx context.Context, runID, worker string, epoch int64) (store.Loaded, error) {
	var l []store.Loaded
	err := s.call(ctx, "fence run "+runID, func(ctx context.Context, c *pgxpool.Conn) error {
		var b pgx.Batch
		b.Queue(s.sql.fence, alone, runID, worker, epoch)
		l = s.queueLoads(&b, loading{runID: runID}) // the run is locked until the end of the batch
		return c.SendBatch(ctx, &b).Close()
	})
	if err != nil {
		return store.Loaded{}, err
	}
	if l[0].Run.ID == "" {
		return store.Loaded{}, store.ErrNotFound
	}
	return l[0], nil
}

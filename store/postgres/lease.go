package postgres

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/internal/workers"
)

// Renew extends a worker's lease, or registers it.
func (s *Store) Renew(ctx context.Context, l store.Lease) error {
	defs, err := workers.Encode(l.Definitions)
	if err != nil {
		return err
	}
	s.warmOnce.Do(func() { s.warm(ctx) })
	s.peers.claim(l)
	return s.call(ctx, "renew the lease of worker "+l.Worker, func(ctx context.Context, c *pgxpool.Conn) error {
		return s.clock.ask(func() (at time.Time, err error) {
			err = c.QueryRow(ctx, s.sql.renew, l.Worker, l.Build, defs, l.For, s.known, optText(strings.Join(l.LinkKeys, " "))).Scan(&at)
			return at, err
		})
	})
}

// Release ends a worker's lease and frees its runs, at once, save those that somebody
// else has locked: these as soon as they are not.
func (s *Store) Release(ctx context.Context, worker string) error {
	s.peers.claimNothing(worker)
	return s.call(ctx, "release the runs of worker "+worker, func(ctx context.Context, c *pgxpool.Conn) error {
		var freed, more bool
		if err := c.QueryRow(ctx, s.sql.release, worker).Scan(&freed, &more); err != nil {
			return err
		}
		if freed {
			s.tell(store.Signal{All: true}) // others may claim them now
		}
		if more {
			return errBusy
		}
		return nil
	})
}

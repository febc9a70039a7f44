package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/internal/refused"
)

// alone is the mode of functions that are called for one operation, see set_lock_timeout
// in functions/locks.sql.
const alone = "alone"

// call runs statements, again while nothing was written because of a lock.
func (s *Store) call(ctx context.Context, what string, f func(ctx context.Context, c *pgxpool.Conn) error) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		err := s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
			return committing(c, func() error { return f(ctx, c) })
		})
		switch {
		case err == nil || refused.Is(err):
			return err
		case !passing(err):
			return fmt.Errorf("%s: database %s: %w", what, s.name, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("%s: nothing was written, another transaction has a lock: %w", what, ctx.Err())
		}
	}
}

// verdicts calls a function that returns verdicts on one operation.
func (s *Store) verdicts(ctx context.Context, what, sql string, args ...any) (*op, error) {
	var o *op
	err := s.call(ctx, what, func(ctx context.Context, c *pgxpool.Conn) error {
		o = new(op)
		var told store.Signal
		rows, err := c.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		if err := readVerdicts(rows, []*op{o}, &told); err != nil {
			return err
		}
		s.tell(told)
		return o.err
	})
	return o, err
}

// found turns the error for a row that is not there into the contract's. Text that
// PostgreSQL does not keep names nothing.
func found(err error) error {
	pe, ok := errors.AsType[*pgconn.PgError](err)
	if errors.Is(err, pgx.ErrNoRows) || ok && pe.Code == "22021" {
		return store.ErrNotFound
	}
	return err
}

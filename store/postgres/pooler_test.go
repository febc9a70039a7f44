package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/internal/pgtest"
)

// Through a PgBouncer a connection gets what another one listens for.
func TestNotificationsDoNotPileUpInThePool(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t), Options{})
	err := s.with(t.Context(), func(ctx context.Context, c *pgxpool.Conn) error {
		if _, err := c.Exec(ctx, "LISTEN other; NOTIFY other"); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		n, err := c.Conn().WaitForNotification(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("notification %v was kept, %v", n, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
)

// What a worker's connections rehearse succeeds, and leaves nothing.
func TestRehearsal(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t), Options{})
	err := s.with(t.Context(), func(ctx context.Context, c *pgxpool.Conn) error {
		if err := s.rehearse(ctx, c); err != nil {
			return err
		}
		if status := c.Conn().PgConn().TxStatus(); status != 'I' {
			t.Errorf("a transaction is left open: %c", status)
		}
		const planned = "SELECT count(*), count(*) FILTER (WHERE generic_plans > 0 AND statement = ANY ($1)) FROM pg_prepared_statements"
		loads := []string{s.sql.heads, s.sql.journals, s.sql.mails}
		var before, after, generic int
		if err := c.QueryRow(ctx, planned, loads).Scan(&before, &generic); err != nil {
			return err
		}
		if _, err := s.loadOn(ctx, c, loading{"none", 0}); err != nil {
			return err
		}
		if err := c.QueryRow(ctx, planned, loads).Scan(&after, new(int)); err != nil {
			return err
		}
		if after != before || generic != len(loads) {
			t.Errorf("to load a run, %d statements are left to prepare, and %d of %d are planned", after-before, generic, len(loads))
		}
		rows := 0
		err := c.QueryRow(ctx, `SELECT (SELECT count(*) FROM tenter.runs) + (SELECT count(*) FROM tenter.journal) + (SELECT count(*) FROM tenter.mailbox)`).Scan(&rows)
		if rows > 0 {
			t.Errorf("%d rows are left", rows)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The first worker of a store warms connections, as many as there may be; a process that has none does
// not.
func TestWorkersAreWarm(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	for most, url := range map[int]string{warmed: database, 1: database + "&pool_max_conns=1"} {
		s := open(t, url, Options{})
		// warm is how many connections have prepared what writes transitions.
		warm := func() (n int) {
			t.Helper()
			for range s.pool.Config().MaxConns { // all there are, each once
				c, err := s.pool.Acquire(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Release()
				prepared := false
				if err := c.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_prepared_statements WHERE statement = $1)", s.sql.apply).Scan(&prepared); err != nil {
					t.Fatal(err)
				}
				if prepared {
					n++
				}
			}
			return n
		}
		if _, err := s.Runs(t.Context(), store.Filter{}); err != nil {
			t.Fatal(err)
		}
		if n := warm(); n > 0 {
			t.Errorf("%d connections are warm before there is a worker", n)
		}
		for range 2 {
			if err := s.Renew(t.Context(), store.Lease{Worker: "w", For: time.Minute}); err != nil {
				t.Fatal(err)
			}
			if n := warm(); n != most {
				t.Errorf("%d connections are warm, want %d", n, most)
			}
		}
	}
}

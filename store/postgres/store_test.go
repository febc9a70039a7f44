package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/storetest"
)

func TestStore(t *testing.T) {
	url := pgtest.Database(t)
	var schemas atomic.Int64
	storetest.Run(t, func(t *testing.T) *storetest.Harness {
		schema := fmt.Sprintf("s%d", schemas.Add(1))
		s := open(t, url, Options{Schema: schema})
		return &storetest.Harness{
			Store:   s,
			Open:    func(t *testing.T) store.Store { return open(t, url, Options{Schema: schema}) },
			Begin:   func(t *testing.T) storetest.AppTx { return begin(t, url) },
			Advance: wait, // nobody can set the clock of a server
			Check:   func() error { return consistent(t.Context(), s) },
		}
	})
}

// wait lets real time pass.
func wait(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // the clock is the server's

// open opens a store that is closed when the test ends.
func open(t *testing.T, url string, o Options) *Store {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := OpenWith(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// consistent checks what the tables say about each other.
func consistent(ctx context.Context, s *Store) error {
	var bad string
	err := s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		return c.QueryRow(ctx, inSchema(s.opts.Schema, `
SELECT 'messages of ' || id FROM tenter.runs r WHERE messages <> (SELECT count(*) FROM tenter.mailbox WHERE run_id = r.id)
UNION ALL SELECT 'events of ' || id FROM tenter.runs r WHERE events <> (SELECT count(*) FROM tenter.journal WHERE run_id = r.id)
UNION ALL SELECT 'due_at of ' || id FROM tenter.runs r WHERE ended_at IS NULL AND CASE
	WHEN due_at IS NULL OR messages = 0 AND wake_at IS NULL THEN due_at IS NOT NULL OR messages > 0 OR wake_at IS NOT NULL
	WHEN messages > 0 THEN due_at > (SELECT max(accepted_at) FROM tenter.mailbox WHERE run_id = r.id)
	ELSE due_at > wake_at OR due_at < wake_at AND wake_at > updated_at END -- it may have had work before
UNION ALL SELECT 'end of ' || id FROM tenter.runs WHERE ended_at IS NOT NULL AND (due_at IS NOT NULL OR wake_at IS NOT NULL OR worker <> '')
UNION ALL SELECT 'status of ' || id FROM tenter.runs WHERE (ended_at IS NULL) <> (status IN ('running', 'waiting', 'blocked'))
UNION ALL SELECT 'no run for mail of ' || run_id FROM tenter.mailbox WHERE run_id NOT IN (SELECT id FROM tenter.runs)
UNION ALL SELECT 'open hook of ' || run_id FROM tenter.hooks JOIN tenter.runs r ON r.id = run_id WHERE closed_at IS NULL AND ended_at IS NOT NULL
LIMIT 1`)).Scan(&bad)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("inconsistent: %s", bad)
	}
	return err
}

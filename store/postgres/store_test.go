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
	t.Parallel()
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
		return c.QueryRow(ctx, inSchema(s.opts.Schema, inconsistencies+" LIMIT 1")).Scan(&bad)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("inconsistent: %s", bad)
	}
	return err
}

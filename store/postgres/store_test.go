package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
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
	lent := schemas{url: url}
	storetest.Run(t, func(t *testing.T) *storetest.Harness {
		schema := lent.lend(t)
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

// schemas are those of one database, each of which is lent to one test at a time: making one takes
// longer than most tests.
type schemas struct {
	url string

	mu   sync.Mutex
	made int
	free []string
}

// lend returns the name of a schema without rows that a test may use until it ends.
func (l *schemas) lend(t *testing.T) (schema string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.free); n > 0 {
		schema, l.free = l.free[n-1], l.free[:n-1]
	} else {
		l.made++
		schema = fmt.Sprintf("s%d", l.made)
	}
	t.Cleanup(func() {
		if t.Failed() {
			return // whatever is wrong stays with this test
		}
		if err := empty(context.WithoutCancel(t.Context()), l.url, schema); err != nil {
			t.Errorf("empty schema %s: %v", schema, err)
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.free = append(l.free, schema)
	})
	return schema
}

// empty makes a schema what it was when it was new.
func empty(ctx context.Context, url, schema string) error {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(ctx) }()
	_, err = c.Exec(ctx, fmt.Sprintf(`DO $$ DECLARE name text; BEGIN
		SET LOCAL search_path = %[1]s;
		FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = '%[1]s' AND tablename NOT IN ('migrations', 'installation') LOOP
			IF pg_relation_size(name::regclass) > 1 << 20 THEN
				EXECUTE 'TRUNCATE ' || name;
			ELSE
				EXECUTE 'DELETE FROM ' || name;
			END IF;
		END LOOP;
		UPDATE migrations m SET oldest = %[2]d WHERE m.oldest > %[2]d;
	END $$`, schema, oldestServed))
	return err
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

package postgres

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/internal/refused"
)

// After a failover the connections may lead to what is a standby now.
func TestAServerThatBecomesAStandbyIsLeft(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url, Options{})
	ctx := t.Context()
	execute(t, url, `DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END$$`)
	s.pool.Reset()
	for _, write := range []func() error{
		func() error { return s.Start(ctx, newRun("r")) },
		func() error { return s.Renew(ctx, store.Lease{Worker: "w", For: time.Second}) },
	} {
		if err := write(); err == nil || refused.Is(err) {
			t.Errorf("a write to a standby: %v", err)
		}
	}
	execute(t, url, "SET default_transaction_read_only = off",
		`DO $$BEGIN EXECUTE format('ALTER DATABASE %I RESET default_transaction_read_only', current_database()); END$$`)
	for try := 1; ; try++ {
		err := s.Start(ctx, newRun("r"))
		if err == nil {
			break
		}
		if try > 2 {
			t.Fatal(err)
		}
	}
}

func TestAPoolerWithoutPreparedStatementsIsRecognized(t *testing.T) {
	t.Parallel()
	err := openError("db", &pgconn.PgError{Code: "42P05", Message: "prepared statement already exists"})
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "cache_describe") {
		t.Error(err)
	}
}

package main

import (
	"errors"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/internal/pgtest"
)

// Each version of PostgreSQL tells what it has done, if not in the same place.
func TestBill(t *testing.T) {
	ctx := t.Context()
	s, err := startServer(ctx, "/tmp", nil) // the path of a socket is short
	if errors.Is(err, pgtest.ErrNotInstalled) && os.Getenv("TENTER_REQUIRE_POSTGRES") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.close(ctx); err != nil {
			t.Error(err)
		}
	}()
	at, drop, err := s.create(ctx)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	before, err := s.cpu()
	if err != nil {
		t.Fatal(err)
	}
	commits := 0.0
	for used := before; commits < 20 || used == before; commits++ { // the clock of the CPU has coarse ticks
		if _, err := conn.Exec(ctx, "INSERT INTO tenter.mailbox (run_id, kind, ref, accepted_at) VALUES ('r', 'woken', '', now())"); err != nil {
			t.Fatal(err)
		}
		if used, err = s.cpu(); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(conn.Close(ctx), drop()); err != nil {
		t.Fatal(err)
	}
	if b := s.bill; b.transactions < commits || b.walSyncs < commits || b.walBytes < commits*50 || b.cpu <= 0 {
		t.Errorf("after %.0f commits: %+v", commits, b)
	}
}

package scenario_test

import (
	"context"
	"flag"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/internal/pgtest"
)

// scenarioFor makes the scenarios with several workers last longer, on a server that
// waits for the disk. In go test ./... they take seconds.
var scenarioFor = flag.Duration("scenario.for", 0, "how long the load of the scenarios with several workers lasts")

// lasting returns how long a load lasts.
func lasting(short time.Duration) time.Duration {
	if *scenarioFor > 0 {
		return *scenarioFor
	}
	return short
}

// A scene is a load on a PostgreSQL database, watched by an auditor and checked in the
// end.
type scene struct {
	*load
	t     *testing.T
	db    *database
	admin *pgx.Conn
}

// newServerURL returns the URL of a database: of one that waits for the disk, if a
// scenario is to last.
func newServerURL(t *testing.T) string {
	t.Helper()
	if *scenarioFor > 0 {
		return pgtest.Start(t).URL()
	}
	return pgtest.Database(t)
}

// newScene opens a database of a server, with a load that has not begun.
func newScene(t *testing.T, url string) *scene {
	t.Helper()
	db := newDatabase(t, url)
	admin, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close(context.WithoutCancel(t.Context())) })
	if err := audit(t.Context(), admin); err != nil {
		t.Fatal(err)
	}
	return &scene{&load{t: t, api: db.api, chron: newChronicle(), log: filepath.Join(t.TempDir(), "effects")}, t, db, admin}
}

// unfinished returns the runs that have not ended.
func (s *scene) unfinished() ([]string, error) {
	rows, err := s.admin.Query(s.t.Context(), "SELECT id FROM tenter.runs WHERE ended_at IS NULL ORDER BY id")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// within hands out a transaction that is rolled back.
func (s *scene) within(f func(tx pgx.Tx) error) {
	s.t.Helper()
	tx, err := s.admin.BeginTx(s.t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(s.t.Context())) }()
	if err := f(tx); err != nil {
		s.t.Fatal(err)
	}
}

// checker returns what checks the database as it is in a transaction.
func (s *scene) checker(tx pgx.Tx) (*checker, error) {
	inv, err := takeInventory(s.t.Context(), tx)
	if err != nil {
		return nil, err
	}
	acts, err := effects(s.log)
	return &checker{inv: inv, chron: s.chron, effects: acts, orStarted: []string{talk.Name()}, slack: time.Second}, err
}

// check checks the database.
func (s *scene) check(slack time.Duration) (c *checker) {
	s.t.Helper()
	s.within(func(tx pgx.Tx) (err error) {
		c, err = s.checker(tx)
		return err
	})
	c.slack = slack
	found := c.check()
	for _, f := range found[:min(20, len(found))] {
		s.t.Error(f)
	}
	if len(found) > 20 {
		s.t.Errorf("and %d more", len(found)-20)
	}
	return c
}

package scenario_test

import (
	"context"
	"flag"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/internal/pgtest"
)

// scenarioFor makes the scenarios with several workers last longer, on a server that
// waits for the disk. In go test ./... they take seconds.
var scenarioFor = flag.Duration("scenario.for", 0, "how long the load of the scenarios with several workers lasts")

// lasting returns how long a load lasts.
func lasting() time.Duration {
	if *scenarioFor > 0 {
		return *scenarioFor
	}
	return 4 * time.Second
}

// A scene is a load on a PostgreSQL database, watched by an auditor and checked in the
// end.
type scene struct {
	*load
	t     *testing.T
	db    *database
	admin *pgxpool.Pool
}

// newServerURL returns the URL of a database: of one that waits for the disk, if a
// scenario is to last.
func newServerURL(t *testing.T) string {
	t.Helper()
	if *scenarioFor > 0 {
		return newServer(t).URL()
	}
	return pgtest.Database(t)
}

// newServer starts a server of the test's own. If the scenario is not to last it does
// not wait for the disk.
func newServer(t *testing.T) *pgtest.Server {
	t.Helper()
	if *scenarioFor > 0 {
		return pgtest.Start(t)
	}
	return pgtest.Start(t, "fsync=off")
}

// newScene opens a database of a server, with a load that has not begun.
func newScene(t *testing.T, url string) *scene {
	t.Helper()
	db := newDatabase(t, url)
	admin, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	if _, err := admin.Exec(t.Context(), auditor); err != nil {
		t.Fatal(err)
	}
	return &scene{&load{t: t, api: db.api, chron: newChronicle(), log: filepath.Join(t.TempDir(), "effects")}, t, db, admin}
}

// unfinished returns the runs that have not ended.
func (s *scene) unfinished() ([]string, error) {
	return s.list("SELECT id FROM tenter.runs WHERE ended_at IS NULL ORDER BY id")
}

// list returns the texts that a query finds.
func (s *scene) list(sql string) ([]string, error) {
	rows, err := s.admin.Query(s.t.Context(), sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// workersUp waits until workers have registered.
func (s *scene) workersUp(n int) {
	s.t.Helper()
	waitFor(s.t, func() bool {
		var up int
		err := s.admin.QueryRow(s.t.Context(), "SELECT count(*) FROM tenter.workers").Scan(&up)
		return err == nil && up == n
	})
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
	return &checker{inv: inv, chron: s.chron, effects: acts, orStarted: []string{talk.Name()}}, err
}

// check checks the database.
func (s *scene) check() (c *checker) {
	s.t.Helper()
	s.within(func(tx pgx.Tx) (err error) {
		c, err = s.checker(tx)
		return err
	})
	found := c.check()
	for _, f := range found[:min(20, len(found))] {
		s.t.Error(f)
	}
	if len(found) > 20 {
		s.t.Errorf("and %d more", len(found)-20)
	}
	return c
}

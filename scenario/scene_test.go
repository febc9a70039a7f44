package scenario_test

import (
	"flag"
	"path/filepath"
	"strings"
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

// A scene is a load on a database, watched by an auditor and checked in the end.
type scene struct {
	*load
	t       *testing.T
	db      *database
	records records
	admin   *pgxpool.Pool // nil on SQLite
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

// newScene opens a PostgreSQL database, with a load that has not begun.
func newScene(t *testing.T, url string) *scene {
	t.Helper()
	db := newDatabase(t, url)
	s := setScene(t, db)
	s.api = db.api
	return s
}

// setScene makes a scene of a database whose schema is there.
func setScene(t *testing.T, db *database) *scene {
	t.Helper()
	s := &scene{load: &load{t: t, chron: newChronicle(), log: filepath.Join(t.TempDir(), "effects"), pace: 10 * time.Millisecond}, t: t, db: db}
	if path, ok := strings.CutPrefix(db.url, "sqlite:"); ok {
		s.records = sqliteRecords{path}
	} else {
		pool, err := pgxpool.New(t.Context(), db.url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		s.records, s.admin = postgresRecords{pool}, pool
	}
	if err := s.records.audit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// unfinished returns the runs that have not ended.
func (s *scene) unfinished() ([]string, error) {
	return s.list("SELECT id FROM tenter.runs WHERE ended_at IS NULL ORDER BY id")
}

// list returns the texts that a query finds.
func (s *scene) list(sql string) (all []string, err error) {
	err = s.records.read(s.t.Context(), func(snap snapshot) error {
		return snap.each(sql, func(scan scan) error {
			var text string
			err := scan(&text)
			all = append(all, text)
			return err
		})
	})
	return all, err
}

// workersUp waits until workers have registered.
func (s *scene) workersUp(n int) {
	s.t.Helper()
	waitFor(s.t, func() bool {
		up, err := s.list("SELECT name FROM tenter.workers")
		return err == nil && len(up) == n
	})
}

// within hands out a transaction of PostgreSQL that is rolled back.
func (s *scene) within(f func(tx pgx.Tx) error) {
	s.t.Helper()
	if err := withinTx(s.t.Context(), s.admin, f); err != nil {
		s.t.Fatal(err)
	}
}

// checker returns what checks the database as it is in a snapshot.
func (s *scene) checker(snap snapshot) (*checker, error) {
	inv, err := takeInventory(snap)
	if err != nil {
		return nil, err
	}
	acts, err := effects(s.log)
	return &checker{inv: inv, chron: s.chron, effects: acts, lapses: lapsed(), orStarted: []string{talk.Name()}}, err
}

// check checks the database.
func (s *scene) check() (c *checker) {
	s.t.Helper()
	err := s.records.read(s.t.Context(), func(snap snapshot) (err error) {
		c, err = s.checker(snap)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	found := c.check()
	for _, f := range found[:min(20, len(found))] {
		s.t.Error(f)
	}
	if len(found) > 20 {
		s.t.Errorf("and %d more", len(found)-20)
	}
	return c
}

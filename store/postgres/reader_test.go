package postgres

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/storetest"
)

// fixture is a database as the binaries of the schema before this one have left it.
const fixture = "../../engine/testdata/fixture/postgres-schema-2.sql"

func openReader(t *testing.T, url string, o Options) *Reader {
	t.Helper()
	r, err := OpenReader(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// A reader shows a database of the schema before this one as it is after the migration, which it
// leaves to others.
func TestReaderOfPreviousSchema(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	script, err := os.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	pgtest.Script(t, database, string(script))
	r := openReader(t, database, Options{})
	if !r.s.sql.previous {
		t.Fatal("the fixture is not of the schema before this one: take that")
	}
	before := storetest.ReadAll(t, r)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Run(t.Context(), "r"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after Close the error is %v, want ErrClosed", err)
	}
	if r = openReader(t, database, Options{}); !r.s.sql.previous {
		t.Error("the reader has migrated the schema")
	}
	s := open(t, database, Options{})
	if diff := cmp.Diff(storetest.ReadAll(t, s), before); diff != "" {
		t.Errorf("a reader before the migration shows (-after it +before):\n%s", diff)
	}
	if len(before["runs"].([]store.Run)) == 0 {
		t.Error("there are no runs to be read")
	}
	if diff := cmp.Diff(before, storetest.ReadAll(t, r)); diff != "" {
		t.Errorf("a reader that was opened before the migration shows (-before it +after):\n%s", diff)
	}
	if diff := cmp.Diff(before, storetest.ReadAll(t, openReader(t, database, Options{}))); diff != "" {
		t.Errorf("a reader after the migration shows (-before it +after):\n%s", diff)
	}
}

func TestReaderCannotWrite(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	o := Options{Schema: "s"}
	if _, err := OpenReader(t.Context(), database, o); !errors.Is(err, ErrMissing) {
		t.Errorf("no schema: error is %v, want ErrMissing", err)
	}
	s := open(t, database, o)
	r := openReader(t, database, o)
	if err := s.Start(t.Context(), store.NewRun{ID: "r", Workflow: "flow", Secret: []byte("s")}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Load(t.Context(), "r", 0); err != nil {
		t.Errorf("it does not see what others write: %v", err)
	}
	err := r.s.with(t.Context(), func(ctx context.Context, c *pgxpool.Conn) error {
		_, err := c.Exec(ctx, "DELETE FROM s.runs")
		return err
	})
	if pe, ok := errors.AsType[*pgconn.PgError](err); !ok || pe.Code != "25006" {
		t.Errorf("a reader writes: error is %v, want that the transaction is read-only", err)
	}
	execute(t, database, "DELETE FROM s.migrations WHERE version >= (SELECT max(version) - 1 FROM s.migrations)")
	if _, err := OpenReader(t.Context(), database, o); !errors.Is(err, ErrOlder) {
		t.Errorf("two schemas before: error is %v, want ErrOlder", err)
	}
}

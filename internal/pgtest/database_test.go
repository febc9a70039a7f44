package pgtest_test

import (
	"runtime"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/internal/pgtest"
)

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func execute(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func query[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) T {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

const databaseExists = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"

// The databases of two tests are apart, and gone afterwards, also when a connection was
// left open.
func TestDatabase(t *testing.T) {
	observer := connect(t, pgtest.Database(t))
	if query[bool](t, observer, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") {
		t.Error("the owner of the database is a superuser")
	}
	for range 2 {
		var name string
		t.Run("", func(t *testing.T) {
			conn := connect(t, pgtest.Database(t))
			name = query[string](t, conn, "SELECT current_database()")
			execute(t, conn, "CREATE TABLE same (i int)")
			other := connect(t, pgtest.Database(t))
			execute(t, other, "CREATE TABLE same (i int)")
		})
		if query[bool](t, observer, databaseExists, name) {
			t.Errorf("database %s is still there", name)
		}
	}
}

func TestDatabaseOnGivenServer(t *testing.T) {
	server := pgtest.Start(t)
	t.Setenv("TENTER_TEST_POSTGRES", server.TCP())
	observer := connect(t, server.URL())
	var name string
	t.Run("", func(t *testing.T) {
		name = query[string](t, connect(t, pgtest.Database(t)), "SELECT current_database()")
		if !query[bool](t, observer, databaseExists, name) {
			t.Errorf("database %s is not on the server that TENTER_TEST_POSTGRES names", name)
		}
	})
	if query[bool](t, observer, databaseExists, name) {
		t.Errorf("database %s is still there", name)
	}
}

// The server is there for all tests of the process, whatever was collected meanwhile.
func TestDatabaseLater(t *testing.T) {
	conn := connect(t, pgtest.Database(t))
	for range 3 {
		runtime.GC()
		execute(t, conn, "SELECT pg_sleep(0.1)")
	}
}

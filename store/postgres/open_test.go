package postgres

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
)

// as is a database's URL for another role.
func as(t *testing.T, database, role string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, "secret")
	return u.String()
}

func execute(t *testing.T, url string, statements ...string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	for _, sql := range statements {
		if _, err := c.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) { //nolint:tparallel // the subtests share what the test cleans up
	t.Parallel()
	database := pgtest.Database(t)
	// A connection of the role may still be closing when the database is to be dropped.
	execute(t, database, "CREATE ROLE weak_"+t.Name()+" LOGIN PASSWORD 'secret'", "GRANT weak_"+t.Name()+" TO CURRENT_USER")
	t.Cleanup(func() {
		execute(t, database, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = lower('weak_"+t.Name()+"')",
			"DROP ROLE weak_"+t.Name())
	})
	newer := open(t, database, Options{Schema: "newer"})
	execute(t, database, `INSERT INTO newer.migrations (version, name) VALUES (99, 'of tomorrow')`)
	missing, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	missing.Path = "/no_such"
	for _, c := range []struct {
		name, url string
		o         Options
		want      error
		says      string
	}{
		{"no URL", "postgres://%zz", Options{}, ErrURL, "it looks like"},
		{"nobody there", "postgres://tenter:secret@127.0.0.1:1/x?connect_timeout=5", Options{}, ErrUnreachable, "check that it runs"},
		{"no such database", missing.String(), Options{}, ErrRefused, "createdb"},
		{"no rights", as(t, database, "weak_"+strings.ToLower(t.Name())), Options{}, ErrRights, "CREATE on the database"},
		{"a newer schema", database, Options{Schema: "newer"}, ErrNewer, "is at 99"},
		{"a mode that cannot do it", database + "&default_query_exec_mode=exec", Options{}, ErrURL, "cache_describe"},
		{"no URL to listen at", database, Options{ListenURL: "postgres://%zz"}, ErrURL, "ListenURL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := OpenWith(t.Context(), c.url, c.o)
			if err == nil {
				_ = s.Close()
				t.Fatal("it was opened")
			}
			var oe *OpenError
			if !errors.As(err, &oe) {
				t.Fatalf("error is no *OpenError: %v", err)
			}
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error is %v", err)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
	if _, err := newer.Runs(t.Context(), store.Filter{}); err != nil {
		t.Errorf("whoever had it open: %v", err)
	}
}

func TestOpenRefusesANameThatPostgreSQLWouldCut(t *testing.T) {
	t.Parallel()
	_, err := OpenWith(t.Context(), "postgres://127.0.0.1:1/x", Options{Schema: strings.Repeat("s", 64)})
	if err == nil || !strings.Contains(err.Error(), "64 bytes") {
		t.Errorf("error is %v", err)
	}
}

// A statement that has waited for a lock has to see what was written meanwhile.
func TestOpenRefusesAnotherIsolation(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("default_transaction_isolation", "serializable")
	u.RawQuery = q.Encode()
	if s, err := Open(t.Context(), u.String()); !errors.Is(err, ErrRefused) {
		t.Errorf("opened %v, %v", s, err)
	}
}

func TestOpenByManyAtOnce(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			s, err := Open(t.Context(), database)
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestOpenInASchemaMadeByAnAdministrator(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	role := "worker_" + strings.ToLower(t.Name())[:20]
	execute(t, database, "CREATE ROLE "+role+" LOGIN PASSWORD 'secret'", "GRANT "+role+" TO CURRENT_USER",
		`CREATE SCHEMA "My Own" AUTHORIZATION `+role)
	t.Cleanup(func() {
		execute(t, database, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '"+role+"'",
			`DROP OWNED BY `+role+` CASCADE`, "DROP ROLE "+role)
	})
	s := open(t, as(t, database, role), Options{Schema: "My Own"})
	if err := s.Start(t.Context(), store.NewRun{ID: "r", Workflow: "flow", Secret: []byte("s")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context(), "r", 0); err != nil {
		t.Error(err)
	}
}

func TestOpenGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	// An address that nobody answers at.
	if s, err := Open(ctx, "postgres://x@192.0.2.1:5432/x"); err == nil {
		_ = s.Close()
		t.Fatal("it was opened")
	}
}

func TestOpenExisting(t *testing.T) {
	url := pgtest.Database(t)
	existing := Options{Schema: "s", Existing: true}
	if _, err := OpenWith(t.Context(), url, existing); !errors.Is(err, ErrMissing) {
		t.Errorf("no schema: error is %v, want ErrMissing", err)
	}
	s := open(t, url, Options{Schema: "s"})
	if err := open(t, url, existing).Close(); err != nil {
		t.Error(err)
	}
	err := s.with(t.Context(), func(ctx context.Context, c *pgxpool.Conn) error {
		_, err := c.Exec(ctx, `INSERT INTO s.hooks (run_id, id, token, type, reserved, created_at, opened_pos) VALUES ('r', 'r.h1', 'tok', '', false, now(), 1)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	x, err := s.Examine(t.Context(), true, nil)
	if err != nil {
		t.Fatal(err)
	}
	if x.Orphans.Count != 1 || x.Orphans.First[0].Token != "tok" {
		t.Errorf("orphans: %+v", x.Orphans)
	}
}

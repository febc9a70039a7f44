package scenario_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/postgres"
	"github.com/tenter-dev/tenter/store/sqlite"
)

// A database is where a scenario with several processes is played.
type database struct {
	url string         // for the processes, see openStore
	st  store.Store    // of the test's own process
	api *engine.Engine // on st: a client, that executes nothing
}

// onEachStore plays a scenario once on each store.
func onEachStore(t *testing.T, scene func(t *testing.T, db *database)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		scene(t, newDatabase(t, "sqlite:"+filepath.Join(t.TempDir(), "scenario.db")))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		scene(t, newDatabase(t, pgtest.Database(t)))
	})
}

// openStore opens the store in a SQLite file (sqlite:path) or a PostgreSQL database.
func openStore(ctx context.Context, url string, log *slog.Logger) (store.Store, error) {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		return sqlite.Open(path)
	}
	return postgres.OpenWith(ctx, url, postgres.Options{Logger: log})
}

// reader is a database that can only be read.
type reader interface {
	store.Reader
	Close() error
}

func openReader(ctx context.Context, url string, log *slog.Logger) (reader, error) {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		return sqlite.OpenReader(path, sqlite.Options{Logger: log})
	}
	return postgres.OpenReader(ctx, url, postgres.Options{Logger: log})
}

func newDatabase(t *testing.T, url string) *database {
	t.Helper()
	st, err := openStore(t.Context(), url, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	api, err := engine.New(st, engine.Options{PublicURL: publicURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := api.Close(); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return &database{url: url, st: st, api: api}
}

func testLog(t *testing.T) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

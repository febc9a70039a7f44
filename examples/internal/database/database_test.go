package database_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/examples/internal/database"
	"github.com/tenter-dev/tenter/internal/pgtest"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "app.db")
	for _, db := range []string{file, "sqlite:" + file} {
		if got := open(t, db); !strings.HasSuffix(got, file) {
			t.Errorf("%s opens %s", db, got)
		}
	}
}

func TestOpenPostgres(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	for _, db := range []string{url, strings.Replace(url, "postgres:", "postgresql:", 1)} {
		if got := open(t, db); strings.Contains(got, "sqlite") {
			t.Errorf("%s opens %s", db, got)
		}
	}
}

// open returns the name of the store.
func open(t *testing.T, db string) string {
	t.Helper()
	st, err := database.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	return st.String()
}

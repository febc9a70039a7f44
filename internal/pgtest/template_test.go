package pgtest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/internal/pgtest"
)

// The first server of a version leaves a template, of which the next ones are copies.
func TestTemplate(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	const identity = "SELECT system_identifier FROM pg_control_system()"
	templates := func() []string {
		found, err := filepath.Glob(filepath.Join(cache, "tenter-pgtest", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}

	made := query[int64](t, connect(t, pgtest.Start(t).TCP()), identity)
	kept := templates()
	if len(kept) != 1 {
		t.Fatalf("templates: %q, want one", kept)
	}
	first, second := connect(t, pgtest.Start(t).TCP()), connect(t, pgtest.Start(t).TCP())
	for _, conn := range []*pgx.Conn{first, second} {
		if got := query[int64](t, conn, identity); got != made {
			t.Errorf("system identifier %d, want that of the template, %d", got, made)
		}
	}
	execute(t, first, "CREATE TABLE t (i int)")
	execute(t, second, "CREATE TABLE t (i int)") // nothing is shared

	// Without a place to keep it, each server is made from scratch.
	if err := os.RemoveAll(filepath.Dir(kept[0])); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Dir(kept[0]), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := query[int64](t, connect(t, pgtest.Start(t).TCP()), identity); got == made {
		t.Error("it is a copy of a template that was removed")
	}
}

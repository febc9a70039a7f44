package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/storetest"
)

// fixture is a database as the binaries of the schema before this one have left it.
const fixture = "../../engine/testdata/fixture/sqlite-schema-2.sql"

// A reader shows a database of the schema before this one as it is after the migration, which it
// leaves to others.
func TestReaderOfPreviousSchema(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	path := file(t, string(script))
	version := func() int {
		v, err := readVersion(path)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := version(); v != thisEdition.known()-1 {
		t.Fatalf("the fixture has schema %d, this binary knows %d: take that of the schema before", v, thisEdition.known())
	}
	r, err := OpenReader(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	before := storetest.ReadAll(t, r)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Run(t.Context(), "r"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after Close the error is %v, want ErrClosed", err)
	}
	if v := version(); v != thisEdition.known()-1 {
		t.Errorf("the reader has migrated the file to %d", v)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if diff := cmp.Diff(storetest.ReadAll(t, s), before); diff != "" {
		t.Errorf("a reader before the migration shows (-after it +before):\n%s", diff)
	}
	if len(before["runs"].([]store.Run)) == 0 {
		t.Error("there are no runs to be read")
	}
	r, err = OpenReader(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if diff := cmp.Diff(before, storetest.ReadAll(t, r)); diff != "" {
		t.Errorf("a reader after the migration shows (-before it +after):\n%s", diff)
	}
}

func TestReaderCannotWrite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	if _, err := OpenReader(path, Options{}); !errors.Is(err, ErrMissing) {
		t.Errorf("no file: error is %v, want ErrMissing", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file was made")
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	r, err := OpenReader(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if err := s.Start(t.Context(), store.NewRun{ID: "r", Workflow: "flow"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Load(t.Context(), "r", 0); err != nil {
		t.Errorf("it does not see what others write: %v", err)
	}
	err = r.s.pool.read(t.Context(), func(c *conn) error { return c.exec("DELETE FROM tenter_runs") })
	if err == nil || !strings.Contains(err.Error(), "readonly") {
		t.Errorf("a reader writes: error is %v, want that the database is readonly", err)
	}
	err = s.w.do(t.Context(), func(w *writer) error { return w.exec("UPDATE tenter_schema SET version = version - 2") })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenReader(path, Options{}); !errors.Is(err, ErrMissing) && !errors.Is(err, ErrOlder) {
		t.Errorf("two schemas before: error is %v, want ErrOlder", err)
	}
}

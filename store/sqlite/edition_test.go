package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// later is an edition of so many migrations more, which serves binaries from oldest on.
func later(more, oldest int) edition {
	e := edition{thisEdition.migrations, oldest}
	for range more {
		e.migrations = append(e.migrations[:len(e.migrations):len(e.migrations)], "ALTER TABLE tenter_runs ADD COLUMN later"+strings.Repeat("_", len(e.migrations))+" TEXT;")
	}
	return e
}

// bring opens a file as a binary with an edition does, and closes it.
func bring(t *testing.T, path string, e edition) error {
	t.Helper()
	c, err := openWriter(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.close() }()
	return e.migrate(c, path, time.Now)
}

func TestOlderBinaryGoesOn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	known := thisEdition.known()
	if err := bring(t, path, later(1, known)); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), store.NewRun{ID: "r", Workflow: "flow", Secret: []byte("s")}); err != nil {
		t.Errorf("a binary that had the file open: %v", err)
	}
	again, err := Open(path)
	if err != nil {
		t.Fatalf("a binary that the file serves: %v", err)
	}
	defer func() { _ = again.Close() }()
	if _, err := again.Load(t.Context(), "r", 0); err != nil {
		t.Error(err)
	}
	if err := bring(t, path, thisEdition); err != nil {
		t.Errorf("migrating with the older binary: %v", err)
	}
	if v, err := readVersion(path); err != nil || v != known+1 {
		t.Errorf("the schema is %d, %v; want %d, since it only rises", v, err, known+1)
	}
}

func TestOlderBinaryIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	known := thisEdition.known()
	if err := s.Renew(t.Context(), store.Lease{Worker: "w", For: time.Hour}); err != nil {
		t.Fatal(err)
	}
	e := later(2, known+1)
	err = bring(t, path, e)
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "live: w") {
		t.Fatalf("with a worker that is live the error is %v, want ErrInUse", err)
	}
	if v, err := readVersion(path); err != nil || v != known {
		t.Errorf("the schema is %d, %v; nothing was to change", v, err)
	}
	if err := s.Release(t.Context(), "w"); err != nil {
		t.Fatal(err)
	}
	if err := bring(t, path, e); err != nil {
		t.Fatal(err)
	}
	refusals := []error{bring(t, path, thisEdition)}
	for _, o := range []Options{{}, {Existing: true}} {
		s, err := OpenWith(path, o)
		if err == nil {
			_ = s.Close()
		}
		refusals = append(refusals, err)
	}
	for _, err := range refusals {
		if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), fmt.Sprintf("schema %d serves binaries that know %d or higher, this one knows %d", known+2, known+1, known)) {
			t.Errorf("the error is %v, want ErrNewer with all numbers", err)
		}
	}
}

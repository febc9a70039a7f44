package sqlite

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/tenter-dev/tenter/store"
)

// file makes a file with a database in it, changed by a script.
func file(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.db")
	c, err := openConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.exec(script); err != nil {
		t.Fatal(err)
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func rewrite(t *testing.T, path string, change func(b []byte) []byte) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenRefuses(t *testing.T) {
	const tables = "CREATE TABLE a (b); CREATE TABLE c (d); INSERT INTO a VALUES (zeroblob(20000));"
	newer := "CREATE TABLE tenter_schema (version INTEGER, applied_at TEXT, oldest INTEGER); INSERT INTO tenter_schema VALUES (1, '', NULL), (99, '', 98);"
	text := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database\n", 50)), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path string
		want       error
		says       string
	}{
		{"no directory", filepath.Join(t.TempDir(), "missing", "a.db"), ErrNoDirectory, "missing"},
		{"a directory", t.TempDir(), ErrNotDatabase, "directory"},
		{"no path", "", nil, "name a file"},
		{"memory", ":memory:", nil, "name a file"},
		{"a text file", text, ErrNotDatabase, "other bytes"},
		{"a short file", rewrite(t, file(t, tables), func(b []byte) []byte { return b[:50] }), ErrCorrupt, "50 bytes"},
		{"cut off", rewrite(t, file(t, tables), func(b []byte) []byte { return b[:len(b)-4096] }), ErrCorrupt, "restore"},
		{"bad page size", rewrite(t, file(t, tables), func(b []byte) []byte { b[16], b[17] = 3, 3; return b }), ErrCorrupt, "pages of"},
		{"bad schema page", rewrite(t, file(t, tables), func(b []byte) []byte { copy(b[100:], bytes.Repeat([]byte{0xee}, 3996)); return b }), ErrCorrupt, "restore"},
		{"newer", file(t, newer), ErrNewer, "schema 99"},
		{"newer, with a log", file(t, "PRAGMA journal_mode=WAL;"+newer), ErrNewer, "schema 99"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, _ := os.ReadFile(tt.path)
			s, err := Open(tt.path)
			if err == nil {
				_ = s.Close()
				t.Fatal("it was opened")
			}
			oe, ok := errors.AsType[*OpenError](err)
			if !ok || (tt.want != nil && !errors.Is(err, tt.want)) || oe.Path != tt.path || oe.Advice == "" {
				t.Fatalf("error is %#v, want %v", err, tt.want)
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error is %q: it does not say %q", err, tt.says)
			}
			if after, _ := os.ReadFile(tt.path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
			if _, err := os.Stat(tt.path + "-wal"); tt.path != "" && !errors.Is(err, fs.ErrNotExist) {
				t.Error("a log was left")
			}
		})
	}
}

func TestOpenSaysWhatItMayNotWrite(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everything")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(dir, "a.db")); err == nil || !strings.Contains(err.Error(), adviceCanOpen) {
		t.Errorf("the error is %v", err)
	}
}

func TestOpenNextToTablesOfTheApplication(t *testing.T) {
	path := file(t, "CREATE TABLE orders (id); INSERT INTO orders VALUES (7); PRAGMA user_version=42; PRAGMA application_id=99;")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.Start(t.Context(), store.NewRun{ID: "r", Workflow: "w"}); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{"SELECT id FROM orders": "7", "PRAGMA user_version": "42", "PRAGMA application_id": "99"} {
		if got, err := lookUp(s, query); err != nil || got != want {
			t.Errorf("%s: %q, %v", query, got, err)
		}
	}
}

func TestOpenNewFileFromManyAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			s, err := Open(path)
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Renew(t.Context(), store.Lease{Worker: "w", For: time.Second}); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestSettings(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	err = s.w.do(t.Context(), func(w *writer) error {
		for query, want := range map[string]string{"PRAGMA journal_mode": "wal", "PRAGMA synchronous": "2"} {
			if got, err := w.text(query); err != nil || got != want {
				t.Errorf("%s is %q, %v; want %q", query, got, err, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenExisting(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	existing := Options{Existing: true}
	if _, err := OpenWith(path, existing); !errors.Is(err, ErrMissing) {
		t.Errorf("no file: error is %v, want ErrMissing", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file was made")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenWith(path, existing); !errors.Is(err, ErrMissing) {
		t.Errorf("empty file: error is %v, want ErrMissing", err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	other, err := OpenWith(path, existing)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	err = s.w.do(t.Context(), func(w *writer) error { return w.exec("UPDATE tenter_schema SET version = version - 1") })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenWith(path, existing); !errors.Is(err, ErrMissing) && !errors.Is(err, ErrOlder) {
		t.Errorf("older: error is %v, want ErrOlder", err)
	}
}

func TestExamineFindsOrphans(t *testing.T) {
	t.Parallel()
	s, err := Open(filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	err = s.w.do(t.Context(), func(w *writer) error { return w.insertHook(store.Hook{ID: "r.h1", RunID: "r", Token: "tok"}) })
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

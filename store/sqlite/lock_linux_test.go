package sqlite

import (
	"database/sql"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	_ "modernc.org/sqlite"
	"zombiezen.com/go/sqlite"
)

// TestLockStays: whoever closes a database last deletes its log. SQLite determines whether
// it is the last by a lock on the file, which each connection holds while it is open. A
// process loses all its locks on a file when it closes the file anywhere, unless SQLite
// does it. So nothing that a store does may close the file by itself, be the lock its own
// or that of a connection of the application's: what is written afterwards would go to a
// log that is deleted as soon as another process, such as a sqlite3 shell before 3.51, has
// the file open for a moment.
func TestLockStays(t *testing.T) {
	if path := os.Getenv("TENTER_TEST_LOCK"); path != "" {
		tellLock(t, path)
		return
	}
	for name, do := range map[string]func(t *testing.T, s *Store) error{
		"open":  func(*testing.T, *Store) error { return nil },
		"check": func(t *testing.T, s *Store) error { t.Helper(); return s.Check(t.Context()) },
		"examine": func(t *testing.T, s *Store) error {
			t.Helper()
			_, err := s.Examine(t.Context(), true, nil)
			return err
		},
		// Which is why an application may use it beside a store.
		"a connection of modernc.org/sqlite, closed": func(t *testing.T, s *Store) error {
			t.Helper()
			db, err := sql.Open("sqlite", s.path)
			if err != nil {
				return err
			}
			_, err = db.ExecContext(t.Context(), "CREATE TABLE invoices (id)")
			return errors.Join(err, db.Close())
		},
		"another store of the process": func(t *testing.T, s *Store) error {
			t.Helper()
			other, err := Open(s.path)
			if err == nil {
				t.Cleanup(func() { _ = other.Close() })
			}
			return err
		},
	} {
		for _, of := range []string{"the store", "the application"} {
			t.Run(name+", lock of "+of, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "a.db")
				if of == "the application" {
					app, err := openConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
					if err != nil {
						t.Fatal(err)
					}
					defer func() { _ = app.close() }()
					if err := app.exec("PRAGMA journal_mode=WAL; CREATE TABLE orders (id); SELECT * FROM orders"); err != nil {
						t.Fatal(err)
					}
				}
				s, err := Open(path)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = s.Close() }()
				if err := do(t, s); err != nil {
					t.Error(err)
				}
				if !lockedElsewhere(t, path) {
					t.Error("the lock is lost: another process would delete the log")
				}
			})
		}
	}
}

// lockedElsewhere asks another process whether the file is locked.
func lockedElsewhere(t *testing.T, path string) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLockStays$")
	cmd.Env = append(os.Environ(), "TENTER_TEST_LOCK="+path)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.HasPrefix(string(out), "locked\n")
}

func tellLock(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	// Where a connection that is open has a shared lock: see SHARED_FIRST in SQLite's os.h.
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart, Start: 1<<30 + 2, Len: 510}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &lock); err != nil {
		t.Fatal(err)
	}
	state := "free\n"
	if lock.Type != syscall.F_UNLCK {
		state = "locked\n"
	}
	_, _ = os.Stdout.WriteString(state)
}

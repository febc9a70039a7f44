package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/tenter-dev/tenter/store"
)

// takeAway are the ways in which the files of an open database cease to be those that others find.
var takeAway = []struct {
	name string
	do   func(path string) error
	says string
}{
	{"file removed", func(path string) error { return os.Remove(path) }, "a.db is not there"},
	{"log removed", func(path string) error { return os.Remove(path + "-wal") }, "a.db-wal is not there"},
	{"index of the log removed", func(path string) error { return os.Remove(path + "-shm") }, "a.db-shm is not there"},
	{"all removed", func(path string) error {
		return errors.Join(os.Remove(path), os.Remove(path+"-wal"), os.Remove(path+"-shm"))
	}, " is not there"}, // the first that it finds, perhaps while they are being removed
	{"file renamed", func(path string) error { return os.Rename(path, path+".old") }, "a.db is not there"},
	{"file replaced", func(path string) error {
		b, err := os.ReadFile(path)
		return errors.Join(err, os.WriteFile(path+".new", b, 0o600), os.Rename(path+".new", path))
	}, "a.db is another file"},
	{"log replaced", func(path string) error {
		return errors.Join(os.WriteFile(path+".new", nil, 0o600), os.Rename(path+".new", path+"-wal"))
	}, "a.db-wal is another file"},
	{"directory renamed", func(path string) error { return os.Rename(filepath.Dir(path), filepath.Dir(path)+".old") }, "a.db is not there"},
	{"directory replaced by a file", func(path string) error {
		dir := filepath.Dir(path)
		return errors.Join(os.Rename(dir, dir+".old"), os.WriteFile(dir, nil, 0o600))
	}, "a.db is not there"},
	{"directory replaced by a copy", func(path string) error {
		dir := filepath.Dir(path)
		return errors.Join(os.CopyFS(dir+".new", os.DirFS(dir)), os.Rename(dir, dir+".old"), os.Rename(dir+".new", dir))
	}, "a.db is another file"},
}

// newPath returns the path of a database in a directory that may be renamed.
func newPath(t *testing.T) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("files that are open can't be removed there")
	}
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "a.db")
}

// wantReplaced checks that an error is what a store returns that has failed.
func wantReplaced(t *testing.T, what string, err error, says string) {
	t.Helper()
	if !errors.Is(err, ErrReplaced) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "put the file back") {
		t.Errorf("%s: the error is %v; want ErrReplaced, %s", what, err, says)
	}
}

// TestNothingIsAcknowledgedInRemovedFiles: the first write after the files were taken away is
// not acknowledged, however soon it comes, and nobody hears of it.
func TestNothingIsAcknowledgedInRemovedFiles(t *testing.T) {
	t.Parallel()
	for _, private := range []bool{false, true} {
		for _, away := range takeAway {
			t.Run(fmt.Sprintf("%s, private %t", away.name, private), func(t *testing.T) {
				t.Parallel()
				path := newPath(t)
				var said bytes.Buffer
				s, err := OpenWith(path, Options{Private: private, Logger: slog.New(slog.NewTextHandler(&said, nil))})
				if err != nil {
					t.Fatal(err)
				}
				startRun(t, s, "before")
				if _, err := s.Run(t.Context(), "before"); err != nil {
					t.Fatal(err)
				}
				defer s.Watch(func(sig store.Signal) {
					if slices.Contains(sig.Mail, "after") {
						t.Errorf("somebody heard of it: %+v", sig)
					}
				})()
				if err := away.do(path); err != nil {
					t.Fatal(err)
				}
				for range 2 {
					n := store.NewRun{ID: "after", Workflow: "w", Secret: []byte("s")}
					_, err = s.Accept(t.Context(), store.Payload{Token: "t", OrStart: &n})
					wantReplaced(t, "accept", err, away.says)
				}
				wantReplaced(t, "start", s.Start(t.Context(), store.NewRun{ID: "after", Workflow: "w"}), away.says)
				_, err = s.Run(t.Context(), "before")
				wantReplaced(t, "read", err, away.says)
				wantReplaced(t, "check", s.Check(t.Context()), away.says)
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
				if n := strings.Count(said.String(), "level=ERROR"); n != 1 || !strings.Contains(said.String(), "the database is given up") {
					t.Errorf("it was said %d times: %s", n, said.String())
				}
			})
		}
	}
}

// TestRemovedFilesAreNoticed: a store that does nothing notices within 250 ms, and so do those
// who wait for something.
func TestRemovedFilesAreNoticed(t *testing.T) {
	t.Parallel()
	for _, away := range takeAway {
		t.Run(away.name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			synctest.Test(t, func(t *testing.T) {
				s, err := OpenWith(path, Options{Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = s.Close() }()
				told := make(chan store.Signal, 8)
				defer s.Watch(func(sig store.Signal) { told <- sig })()
				time.Sleep(10 * pollInterval) //nolint:forbidigo // fake time
				if err := s.fatal.err(); err != nil {
					t.Fatal(err)
				}
				if err := away.do(path); err != nil {
					t.Fatal(err)
				}
				time.Sleep(pollInterval) //nolint:forbidigo // fake time
				synctest.Wait()
				_, err = s.Run(t.Context(), "r")
				wantReplaced(t, "read", err, away.says)
				if len(told) != 1 || !(<-told).All {
					t.Error("who waits was not told")
				}
			})
		})
	}
}

// TestRemovedFilesAreNotTouched: another database is at the path, to which the store
// that has failed does nothing, not even when it is closed.
func TestRemovedFilesAreNotTouched(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s, err := OpenWith(path, Options{Private: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	startRun(t, s, "before")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(path+suffix, filepath.Join(t.TempDir(), "moved"+suffix)); err != nil {
			t.Fatal(err)
		}
	}
	other, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	startRun(t, other, "other")
	if err := s.Close(); !errors.Is(err, ErrReplaced) { // which notices
		t.Errorf("close: %v", err)
	}
	startRun(t, other, "another")
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	if got, err := lookUp(again, "SELECT group_concat(id) FROM tenter_runs"); err != nil || got != "other,another" {
		t.Errorf("the other database has %q, %v", got, err)
	}
}

// TestTransactionInAnotherFile: a transaction of the application's has to be in the file that
// the store has open, though it may have the same path.
func TestTransactionInAnotherFile(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s, err := OpenWith(path, Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := s.Within(Tx(c)); err == nil {
		t.Error("there is no transaction")
	}
	if err := (&conn{c: c}).exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Within(Tx(c)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	_, err = s.Within(Tx(c))
	wantReplaced(t, "within", err, "a.db is another file")
}

// TestLinkThatComesToLeadElsewhere: others find another database at the path then.
func TestLinkThatComesToLeadElsewhere(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	s, err := OpenWith(link, Options{Private: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	startRun(t, s, "r")
	other := file(t, "CREATE TABLE a (b)")
	if err := errors.Join(os.Remove(link), os.Symlink(other, link)); err != nil {
		t.Fatal(err)
	}
	wantReplaced(t, "start", s.Start(t.Context(), store.NewRun{ID: "s", Workflow: "w"}), "link.db is another file")
}

// TestFilesThatStay: what happens to the files of a sound database in its life is not taken for
// their removal.
func TestFilesThatStay(t *testing.T) {
	path := newPath(t)
	dir := filepath.Dir(path)
	t.Chdir(dir)
	for name, path := range map[string]string{"absolute": path, "relative": "a.db", "roundabout": "../data/./a.db"} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(dir)
			s, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			t.Chdir(t.TempDir()) // a relative path was meant when it was given
			abs := filepath.Join(dir, "a.db")
			c, err := openConn(abs, sqlite.OpenReadWrite)
			if err != nil {
				t.Fatal(err)
			}
			for _, do := range []func() error{
				func() error { return c.exec("PRAGMA wal_checkpoint(TRUNCATE)") },
				func() error { return c.exec("VACUUM") },
				func() error { return c.exec("VACUUM INTO '" + filepath.Join(t.TempDir(), "backup.db") + "'") },
				func() error { return os.Chtimes(abs, time.Time{}, time.Unix(1, 0)) },
				func() error { return os.Chmod(abs, 0o644) },
				func() error { return os.Link(abs, filepath.Join(t.TempDir(), "link")) },
				func() error { return os.WriteFile(abs+"-other", nil, 0o600) },
				func() error {
					return s.w.do(t.Context(), func(w *writer) error { w.maxLog, w.walCheckEvery = 0, 0; return nil })
				}, // starts the log over each time
				c.close,
				func() error { s2, err := Open(abs); return errors.Join(err, s2.Close()) },
			} {
				if err := do(); err != nil {
					t.Error(err)
				}
				for range 3 {
					if err := s.Renew(context.WithoutCancel(t.Context()), store.Lease{Worker: "w", For: time.Minute}); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

package sqlite

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
)

// folder reads all files of a folder.
func folder(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}

// refusedUntouched checks that no way to open a database takes it, and that each says what
// is wrong and leaves all files of the folder alone.
func refusedUntouched(t *testing.T, path, says string) {
	t.Helper()
	before := folder(t, filepath.Dir(path))
	for _, o := range []Options{{}, {Private: true}, {Existing: true}} {
		s, err := OpenWith(path, o)
		if err == nil {
			_ = s.Close()
			t.Errorf("%+v: it was opened", o)
		} else if e, ok := errors.AsType[*OpenError](err); !ok || !errors.Is(err, ErrCorrupt) || e.Advice == "" || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: the error is %v; want one that says %q", o, err, says)
		}
		after := folder(t, filepath.Dir(path))
		if !maps.Equal(before, after) {
			t.Fatalf("%+v: there were %v, and are %v", o, slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
		}
	}
}

// TestOrphans: what is left of a database whose file is missing or empty is not taken for
// that of a new one, which would destroy it.
func TestOrphans(t *testing.T) {
	t.Parallel()
	file, log := sound(t, 5, false)
	journal := string(hotJournal(t))
	for _, tt := range []struct {
		name  string
		files map[string]string
		says  string
	}{
		{"log and its index", map[string]string{"-wal": string(log), "-shm": strings.Repeat("\x00", 32768)}, "it is not there, and a.db-wal is"},
		{"log without index", map[string]string{"-wal": string(log)}, "it is not there, and a.db-wal is"},
		{"index without log", map[string]string{"-shm": ""}, "it is not there, and a.db-shm is"},
		{"empty log", map[string]string{"-wal": ""}, "it is not there, and a.db-wal is"}, // of a process that has it open, perhaps
		{"rollback journal", map[string]string{"-journal": journal}, "it is not there, and a.db-journal is"},
		{"empty file with a log", map[string]string{"": "", "-wal": string(log)}, "it is empty, and a.db-wal is"},
		{"empty file with a rollback journal", map[string]string{"": "", "-journal": journal}, "it is empty, and a.db-journal is"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.db")
			for suffix, data := range tt.files {
				write(t, path+suffix, data)
			}
			refusedUntouched(t, path, tt.says)

			// What the advice says, helps.
			if _, ok := tt.files["-wal"]; !ok || tt.files["-wal"] == "" {
				return
			}
			write(t, path, string(file))
			s, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := lookUp(s, "SELECT count(*) FROM tenter_runs"); err != nil || got != "10" {
				t.Errorf("put back it has %s runs, %v; want 10", got, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestOrphansBehindALink: SQLite has the log beside the file that a link leads to.
func TestOrphansBehindALink(t *testing.T) {
	t.Parallel()
	_, log := sound(t, 5, false)
	target, links := t.TempDir(), t.TempDir()
	for name, to := range map[string]string{"a.db": "b.db", "b.db": filepath.Join(target, "real.db")} {
		if err := os.Symlink(to, filepath.Join(links, name)); err != nil {
			t.Skip(err)
		}
	}
	write(t, filepath.Join(target, "real.db-wal"), string(log))
	if _, err := Open(filepath.Join(links, "a.db")); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "real.db-wal") {
		t.Errorf("open: %v", err)
	}
	if got := folder(t, target); len(got) != 1 || got["real.db-wal"] != string(log) {
		t.Errorf("the folder has %v", slices.Sorted(maps.Keys(got)))
	}
	if err := os.Remove(filepath.Join(target, "real.db-wal")); err != nil {
		t.Fatal(err)
	}
	s, err := Open(filepath.Join(links, "a.db")) // a new one, where the links lead
	if err != nil {
		t.Fatal(err)
	}
	startRun(t, s, "r")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(target, "real.db")); err != nil {
		t.Error(err)
	}
}

// TestNewFileIsNoOrphan: what a crash leaves of the making of a file is taken up.
func TestNewFileIsNoOrphan(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"empty file":                         {"": ""},
		"empty file, journal of its making":  {"": "", "-journal": "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7\x00\x00\x00\x00abcd\x00\x00\x00\x00" + strings.Repeat("\x00", 492)},
		"empty file, journal without header": {"": "", "-journal": strings.Repeat("\x00", 512)},
		"no file, journal that is no more":   {"-journal": ""},
	} {
		path := filepath.Join(t.TempDir(), "a.db")
		for suffix, data := range files {
			write(t, path+suffix, data)
		}
		s, err := Open(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestForeignLog: SQLite takes any log for that of the file beside it, which makes one
// damaged database of two sound ones.
func TestForeignLog(t *testing.T) {
	t.Parallel()
	whole, log := sound(t, 40, false)
	backup := func(t *testing.T) string { // as operations.md says, of the first few runs
		t.Helper()
		s := open(t, Options{})
		startRun(t, s, "r")
		path := filepath.Join(t.TempDir(), "a.db")
		err := s.w.do(t.Context(), func(w *writer) error {
			return w.exec("COMMIT; VACUUM INTO '" + path + "'; BEGIN IMMEDIATE")
		})
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Run("backup", func(t *testing.T) {
		t.Parallel()
		path := backup(t)
		write(t, path+"-wal", string(log))
		refusedUntouched(t, path, "it was written without a log, and one with commits is beside it")
		// What the advice says, helps.
		if err := os.Remove(path + "-wal"); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
	})
	t.Run("backup, log without a commit", func(t *testing.T) {
		t.Parallel()
		path := backup(t)
		write(t, path+"-wal", string(log[:logHeader]))
		s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
	})
	t.Run("other page size", func(t *testing.T) {
		t.Parallel()
		path := file(t, "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; CREATE TABLE a (b)")
		write(t, path+"-wal", string(log))
		refusedUntouched(t, path, "it has pages of 8192 bytes, and the log beside it has pages of 4096")
	})
	t.Run("shorter", func(t *testing.T) {
		t.Parallel()
		// The log of one that has grown since it was copied into its file.
		long := lay(t, whole, log)
		s, err := OpenWith(long, Options{Private: true})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		if err := s.w.exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			t.Fatal(err)
		}
		startRun(t, s, "r")
		full, err := os.ReadFile(long)
		if err != nil {
			t.Fatal(err)
		}
		log, err := os.ReadFile(long + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		refusedUntouched(t, lay(t, full[:len(full)/2/4096*4096], log), "pages, and the log beside it is that of a file with")
		again, err := OpenWith(lay(t, full, log), Options{Private: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Check(t.Context()); err != nil {
			t.Error(err)
		}
		_ = again.Close()
	})
}

// hotJournal is the rollback journal of a database that was being written to.
func hotJournal(t *testing.T) []byte {
	t.Helper()
	path := file(t, "CREATE TABLE a (b); INSERT INTO a VALUES (1)")
	c, err := openConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.close() }()
	// With a cache of one page, it writes the file before it commits.
	if err := c.exec("PRAGMA cache_size=1; BEGIN; UPDATE a SET b = 2; CREATE TABLE c (d); INSERT INTO c VALUES (zeroblob(100000))"); err != nil {
		t.Fatal(err)
	}
	journal, err := os.ReadFile(path + "-journal")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(journal, []byte("\xd9\xd5\x05\xf9")) {
		t.Fatal("the journal is not hot")
	}
	return journal
}

func write(t *testing.T, path, data string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

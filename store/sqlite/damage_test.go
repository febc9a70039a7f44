package sqlite

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// flips is how many bits are flipped, one at a time: few, because the race detector makes
// SQLite slow.
var flips = flag.Int("sqlite.flips", 25, "how many bits tests of damaged files flip")

// sound makes a file with runs in it, and what is in its log if it is not closed.
func sound(t *testing.T, runs int, closed bool) (file, log []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.db")
	s, err := OpenWith(path, Options{Private: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for i := range int64(runs) {
		if err := threeSteps(t.Context(), s, runID(2*i)); err != nil {
			t.Fatal(err)
		}
		n := store.NewRun{ID: runID(2*i + 1), Workflow: "w", Version: 1, Secret: []byte("s"), Input: []byte(`"some input"`)}
		if _, err := s.Accept(t.Context(), store.Payload{Token: "t" + n.ID, OrStart: &n, Data: []byte(`"some payload"`)}); err != nil {
			t.Fatal(err)
		}
	}
	if closed {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	} else if log, err = os.ReadFile(path + "-wal"); err != nil {
		t.Fatal(err)
	}
	if file, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return file, log
}

// lay puts the files of a database into a folder.
func lay(t *testing.T, file, log []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "a.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if log != nil {
		if err := os.WriteFile(path+"-wal", log, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func openQuietly(path string) (*Store, error) {
	return OpenWith(path, Options{Private: true, Logger: slog.New(slog.DiscardHandler)})
}

// use does all kinds of things with a database until one says that it is damaged.
func use(t *testing.T, s *Store, runs int) error {
	t.Helper()
	corrupt := func(err error) bool { return errors.Is(err, ErrCorrupt) }
	if err := s.Renew(t.Context(), store.Lease{Worker: "x", For: time.Minute}); corrupt(err) {
		return err
	}
	if _, err := s.Claim(t.Context(), store.Claim{Worker: "x", Definitions: []store.Definition{{Workflow: "w", Version: 1}}, Limit: 10, Now: time.Now()}); corrupt(err) {
		return err
	}
	for i := range int64(2 * runs) {
		if _, err := s.Load(t.Context(), runID(i), 0); corrupt(err) {
			return err
		}
	}
	if err := threeSteps(t.Context(), s, "new"); corrupt(err) {
		return err
	}
	return nil
}

// refusesAll checks that a store that has found damage writes no more, to any of the
// files, not even when it is closed.
func refusesAll(t *testing.T, s *Store) {
	t.Helper()
	before := contents(t, s.path)
	if err := s.Start(t.Context(), store.NewRun{ID: "late", Workflow: "w"}); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "restore it") {
		t.Errorf("a write after damage was found: %v", err)
	}
	if _, err := s.Run(t.Context(), runID(1)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a read after damage was found: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(before, contents(t, s.path)) {
		t.Error("a file was written to after damage was found")
	}
}

// contents are those of the file and the log.
func contents(t *testing.T, path string) []byte {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	log, _ := os.ReadFile(path + "-wal") // there may be none
	return append(file, log...)
}

// TestFlippedBits flips bits of a file at random. Whatever is found is said clearly, what
// Open refuses is left as it was, and after damage was found nothing more is written.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	const runs = 60
	file, _ := sound(t, runs, true)
	rnd := rand.New(rand.NewPCG(1, 2))
	found := map[string]int{}
	for range *flips {
		bad := bytes.Clone(file)
		bad[rnd.IntN(len(bad))] ^= 1 << rnd.IntN(8)
		path := lay(t, bad, nil)
		s, err := openQuietly(path)
		if err != nil {
			found["when it is opened"]++
			if e, ok := errors.AsType[*OpenError](err); !ok || e.Path != path {
				t.Errorf("open: %v", err)
			}
			if !bytes.Equal(contents(t, path), bad) {
				t.Errorf("the file was changed though it was refused: %v", err)
			}
			continue
		}
		if err := use(t, s, runs); err != nil {
			found["in use"]++
			refusesAll(t, s)
			continue
		}
		switch err := s.Check(t.Context()); {
		case errors.Is(err, ErrCorrupt):
			found["by Check"]++
			refusesAll(t, s)
			continue
		case err != nil:
			t.Errorf("check: %v", err)
		}
		found["not at all"]++
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if found["in use"]+found["by Check"] == 0 {
		t.Error("the damage was too little to prove anything")
	}
	t.Logf("%d files with a flipped bit: found %v", *flips, found)
}

// TestTruncatedFile cuts files off anywhere.
func TestTruncatedFile(t *testing.T) {
	t.Parallel()
	file, _ := sound(t, 60, true)
	for i := range 20 {
		bad := file[:len(file)*i/20]
		if i == 0 {
			bad = file[:1] // an empty file is a new database
		}
		path := lay(t, bad, nil)
		s, err := openQuietly(path)
		if err == nil {
			_ = s.Close()
			t.Errorf("a file that ends after %d of %d bytes was opened", len(bad), len(file))
		} else if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNotDatabase) {
			t.Errorf("open: %v", err)
		}
		if !bytes.Equal(contents(t, path), bad) {
			t.Error("the file was changed")
		}
	}
}

// TestFlippedBitsInTheLog: a commit that was on disk is not lost silently because a bit of
// the log has changed: unless it is the last, which can't be told from one that a crash
// has cut off.
func TestFlippedBitsInTheLog(t *testing.T) {
	t.Parallel()
	const runs = 40
	file, log := sound(t, runs, false)
	frame := frameHeader + 4096
	rnd := rand.New(rand.NewPCG(3, 4))
	found := map[string]int{}
	for range *flips {
		bad := bytes.Clone(log)
		place := logHeader + rnd.IntN(len(bad)-logHeader)
		bad[place] ^= 1 << rnd.IntN(8)
		left := (len(bad) - place) / frame // frames behind it
		path := lay(t, file, bad)
		s, err := openQuietly(path)
		if err != nil {
			found["when it is opened"]++
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), fmt.Sprintf("frame %d ", (place-logHeader)/frame+1)) {
				t.Errorf("open: %v", err)
			}
			if !bytes.Equal(contents(t, path), append(bytes.Clone(file), bad...)) {
				t.Error("the files were changed")
			}
			continue
		}
		found["not at all"]++
		if left > 3*10 { // a commit of threeSteps writes at most ten pages
			t.Errorf("a flipped bit with %d frames behind it was not found", left)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Errorf("what is left is not sound: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if found["when it is opened"] == 0 {
		t.Error("nothing was found")
	}
	t.Logf("%d logs with a flipped bit: found %v", *flips, found)
}

// TestFlippedBitsInTheHeaderOfTheLog: SQLite takes no notice of a log with a header that is
// not valid, and so of none of its commits.
func TestFlippedBitsInTheHeaderOfTheLog(t *testing.T) {
	t.Parallel()
	file, log := sound(t, 20, false)
	missed := 0
	for bit := range 8 * logHeader {
		bad := bytes.Clone(log)
		bad[bit/8] ^= 1 << (bit % 8)
		path := lay(t, file, bad)
		s, err := openQuietly(path)
		switch {
		case err == nil:
			missed++
			_ = s.Close()
		case !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "the header of its log"):
			t.Errorf("open: %v", err)
		case !bytes.Equal(contents(t, path), append(bytes.Clone(file), bad...)):
			t.Error("the files were changed")
		}
	}
	// One makes it the header of a log that was about to start over.
	if missed > 1 {
		t.Errorf("%d of %d flipped bits were not found", missed, 8*logHeader)
	}
}

// TestEmptyFileWithALog: SQLite would delete the log.
func TestEmptyFileWithALog(t *testing.T) {
	t.Parallel()
	_, log := sound(t, 5, false)
	path := lay(t, nil, log)
	s, err := openQuietly(path)
	if err == nil {
		_ = s.Close()
	}
	if !errors.Is(err, ErrCorrupt) || !bytes.Equal(contents(t, path), log) {
		t.Errorf("open: %v", err)
	}
}

// TestLogThatEndsEarly: a log may end anywhere, because a crash may have cut it off. What
// is whole of it counts.
func TestLogThatEndsEarly(t *testing.T) {
	t.Parallel()
	file, log := sound(t, 20, false)
	for i := range 10 {
		path := lay(t, file, log[:len(log)*i/10])
		s, err := openQuietly(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestCheck: a sound database is sound while it is in use, and what its tables can't
// agree on is found.
func TestCheck(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Private: true, Logger: slog.New(slog.DiscardHandler)})
	if err := threeSteps(t.Context(), s, "r"); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := s.w.do(t.Context(), func(w *writer) error { return w.exec("UPDATE tenter_runs SET events = events + 1") })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "events of r") {
		t.Errorf("check: %v", err)
	}
	refusesAll(t, s)
}

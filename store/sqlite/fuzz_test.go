package sqlite

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tenter-dev/tenter/internal/saturate"
)

// FuzzOpen opens whatever is in a file and in a log beside it. What is refused is left as
// it was, and what is not refused can be used, until damage shows.
func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "a.db")
	s, err := OpenWith(path, Options{Private: true})
	if err != nil {
		f.Fatal(err)
	}
	if err := threeSteps(f.Context(), s, runID(0)); err != nil {
		f.Fatal(err)
	}
	log, err := os.ReadFile(path + "-wal")
	if err != nil {
		f.Fatal(err)
	}
	young, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	// A file is most of all zeros: what is changed are a few bytes of a whole one.
	f.Add([]byte{}, uint32(0), []byte{}, uint32(0), false)
	f.Add([]byte("x"), uint32(100), []byte{}, uint32(0), false)
	f.Add([]byte("not a database"), uint32(0), []byte{}, uint32(0), false)
	f.Add([]byte{}, uint32(0), []byte("x"), uint32(60), true)
	f.Add([]byte{0xff, 0xff}, uint32(16), []byte{0xff}, uint32(8), true)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, uint32(4096*3), []byte{}, uint32(0), false)
	f.Fuzz(func(t *testing.T, change []byte, at uint32, logChange []byte, logAt uint32, logged bool) {
		file, wal := whole, []byte(nil)
		if logged {
			file, wal = young, put(log, logChange, logAt)
		}
		file = put(file, change, at)
		path := lay(t, file, wal)
		before := contents(t, path)
		s, err := openQuietly(path)
		if err != nil {
			if _, ok := errors.AsType[*OpenError](err); !ok {
				t.Errorf("open: %v", err)
			}
			if !bytes.Equal(contents(t, path), before) {
				t.Errorf("a file was changed though it was refused: %v", err)
			}
			return
		}
		if err := use(t, s, 1); err == nil {
			_ = s.Check(t.Context()) // whatever it finds
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// put returns data with other bytes at some place.
func put(data, change []byte, at uint32) []byte {
	if len(data) == 0 {
		return data
	}
	out := bytes.Clone(data)
	copy(out[int(at)%len(out):], change)
	return out
}

// FuzzTime reads times that people may have written by hand.
func FuzzTime(f *testing.F) {
	f.Add("2026-11-23T16:31:00.123456Z")
	f.Add("2026-13-45T99:99:99.999999Z")
	f.Add("2026-11-23 16:31:00")
	f.Add("2026-11-23T16:31:00+02:00")
	f.Add("0000-01-01T00:00:00.000000Z")
	f.Add("9999-12-31T23:59:59.999999Z")
	f.Add("yesterday")
	f.Fuzz(func(t *testing.T, s string) {
		at := parseTime(s)
		if at.IsZero() {
			return
		}
		if again := parseTime(formatTime(at)); !again.Equal(saturate.Time(at)) {
			t.Errorf("%q is %v, written as %q, which is %v", s, at, formatTime(at), again)
		}
	})
}

package engine_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// TestModel draws programs and what happens to their runs, lets it all happen, and
// checks that what comes of it is right. See checker for what right means.
//
// More cases: go test ./engine -run Model -rapid.checks=10000. A failed case prints
// how to repeat it.
func TestModel(t *testing.T) {
	dir, cases := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.Custom(drawScenario).Draw(rt, "scenario")
		cases++
		path := filepath.Join(dir, fmt.Sprintf("%d.db", cases))
		var err error
		synctest.Test(t, func(*testing.T) { err = s.play(path) })
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(path + suffix) // there may be thousands
		}
		if err != nil {
			rt.Fatalf("%v\n\n%v", err, s)
		}
	})
}

// play lets a scenario happen, and says what was wrong.
func (s scenario) play(path string) (err error) {
	w, err := newWorld(path, s)
	if err != nil {
		return err
	}
	synctest.Wait()
	for _, a := range s.actions {
		if err := w.do(a); err != nil {
			return fmt.Errorf("%v: %w", a, err)
		}
		if !a.now {
			synctest.Wait()
			w.quiet()
		}
	}
	if err := w.settle(); err != nil {
		return errors.Join(err, w.close())
	}
	w.quiet()
	err = w.check()
	return errors.Join(err, w.close())
}

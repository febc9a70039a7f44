package sqlite_test

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *storetest.Harness { return harness(t, sqlite.Options{}) })
}

// harness gives each test a file of its own and a clock that can be set forward.
func harness(t *testing.T, o sqlite.Options) *storetest.Harness {
	path := filepath.Join(t.TempDir(), "test.db")
	var ahead atomic.Int64
	o.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	open := func(t *testing.T) store.Store {
		s, err := sqlite.OpenWith(path, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
	return &storetest.Harness{
		Store:   open(t),
		Open:    open,
		Advance: func(d time.Duration) { ahead.Add(int64(d)) },
	}
}

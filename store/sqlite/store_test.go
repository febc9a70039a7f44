package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/internal/memdir"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *storetest.Harness { return harness(t, Options{}) })
}

// harness gives each test a file of its own and a clock that can be set forward.
func harness(t *testing.T, o Options) *storetest.Harness {
	path := filepath.Join(memdir.TempDir(t), "test.db")
	var ahead atomic.Int64
	o.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	open := func(t *testing.T) *Store {
		s, err := OpenWith(path, o)
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
	s := open(t)
	return &storetest.Harness{
		Store:   s,
		Open:    func(t *testing.T) store.Store { return open(t) },
		Check:   func() error { return consistent(s) },
		Begin:   func(t *testing.T) storetest.AppTx { return begin(t, path) },
		Advance: func(d time.Duration) { ahead.Add(int64(d)) },
	}
}

// lookUp runs a query beside the writer and returns the first column of its first row.
func lookUp(s *Store, query string) (got string, err error) {
	err = s.pool.read(context.Background(), func(c *conn) (err error) {
		got, err = c.text(query)
		return err
	})
	return got, err
}

// consistent checks what the tables say about each other.
func consistent(s *Store) error {
	bad, err := lookUp(s, disagreements)
	if err == nil && bad != "" {
		err = fmt.Errorf("inconsistent: %s", bad)
	}
	return err
}

func startRun(t *testing.T, s *Store, id string) {
	t.Helper()
	if err := s.Start(t.Context(), store.NewRun{ID: id, Workflow: "w"}); err != nil {
		t.Fatal(err)
	}
}

package sqlite_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tenter-dev/tenter/store/sqlite"
)

// The log starts over while readers come and go: it does not grow with the work.
func TestLogIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s, err := sqlite.OpenWith(path, sqlite.Options{Private: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var readers, writers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				_, _ = s.Load(ctx, runID(1), 0)
			}
		})
	}
	for w := range int64(16) {
		writers.Go(func() {
			for i := range int64(100) {
				if err := threeSteps(t.Context(), s, runID(i*16+w)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	cancel()
	readers.Wait()
	info, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	// 400 commits of 16 transitions write more than that.
	if info.Size() > 16<<20 {
		t.Errorf("the log has %d KiB; %+v", info.Size()>>10, s.Stats())
	}
}

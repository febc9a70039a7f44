package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// The log starts over while readers come and go: it does not grow with the work.
func TestLogIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s, err := OpenWith(path, Options{Private: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	// Less than it is, so that less has to be written here.
	err = s.w.do(t.Context(), func(w *writer) error {
		w.maxLog, w.walCheckEvery = 1<<20, 100
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
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
			for i := range int64(30) {
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
	// All that is written is more than twice as much.
	if info.Size() > 3<<20 {
		t.Errorf("the log has %d KiB; %+v", info.Size()>>10, s.Stats())
	}
}

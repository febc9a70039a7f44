package sqlite

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// TestOthersAreNoticed: what another process commits is noticed within 250 ms, and soon if it comes
// in a row, or after a commit of one's own.
func TestOthersAreNoticed(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		open := func() *Store {
			s, err := OpenWith(path, Options{Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
		one, other := open(), open()
		told := make(chan struct{}, 100)
		stop := one.Watch(func(sig store.Signal) {
			if sig.All {
				told <- struct{}{}
			}
		})
		defer stop()
		noticed := func(within time.Duration, id string) {
			t.Helper()
			startRun(t, other, id)
			began := time.Now()
			<-told
			if took := time.Since(began); took > within {
				t.Errorf("it took %v until run %s was noticed, want %v at most", took, id, within)
			}
		}
		<-time.After(time.Hour)
		noticed(pollInterval, "first")
		noticed(2*firstPoll, "next")
		<-time.After(10 * time.Millisecond)
		noticed(32*time.Millisecond, "a moment later")
		<-time.After(time.Hour)
		startRun(t, one, "own")
		noticed(2*firstPoll, "after an own one")
		<-time.After(time.Hour)
		noticed(pollInterval, "last")
	})
}

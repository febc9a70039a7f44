package sqlite

import "os"

const (
	// maxLog is how long the write-ahead log may get before reads are held back for
	// a moment. Normally SQLite starts it over by itself, after 8 MiB; it can't while
	// reads follow on each other without a gap.
	maxLog = 32 << 20

	// lookAtLog is how many operations are written between two looks at its length.
	lookAtLog = 2000
)

// boundLog starts the log over if it has become too long. Reads of other processes
// can't be held back: then it is tried again later.
func (w *writer) boundLog() {
	n := w.s.stats.operations.Load()
	if n-w.looked < w.lookEvery {
		return
	}
	w.looked = n
	info, err := os.Stat(w.s.path + "-wal")
	if err != nil || info.Size() <= w.maxLog {
		return
	}
	w.s.pool.pause(func() {
		_ = w.exec("PRAGMA wal_checkpoint(TRUNCATE)") // it is tried again
	})
}

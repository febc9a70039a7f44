package sqlite

import (
	"os"
	"time"
)

// A checkpoint copies pages from the write-ahead log into the database, so that the
// log can start over: overwriting it is cheaper than making it longer. It is carried
// out by the writer, between commits: beside it, it would never catch up. SQLite does
// one by itself every 8,000 pages (32 MiB), where under load the same page is copied
// once for many commits; but then a commit waits for all of it, so that a writer with
// nothing to do goes ahead.
const (
	// idleCheckpoint is how many operations are worth a checkpoint when nothing else
	// is to be done.
	idleCheckpoint = 1000

	// maxLog is how long the log may get before reads are held back for a moment.
	// While they follow on each other without a gap, it can't start over.
	maxLog = 128 << 20

	// walCheckEvery is how many operations are written between two checks of its length.
	walCheckEvery = 2000
)

// checkpoint is called when nothing is queued.
func (w *writer) checkpoint() {
	if n := w.s.stats.operations.Load(); n-w.checkpointed >= idleCheckpoint && w.s.fatal.err() == nil {
		w.checkpointed = n
		_ = w.exec("PRAGMA wal_checkpoint(PASSIVE)") // SQLite tries again
	}
}

// boundLog starts the log over if it has become too long. Reads of other processes
// can't be held back: then it is tried again later.
func (w *writer) boundLog() {
	n := w.s.stats.operations.Load()
	if n-w.walChecked < w.walCheckEvery {
		return
	}
	w.walChecked = n
	if w.s.fatal.err() != nil {
		return
	}
	if w.logSize() <= w.maxLog {
		return
	}
	w.s.pool.pause(func() {
		_ = w.exec("PRAGMA wal_checkpoint(TRUNCATE)") // it is tried again
	})
}

// makeSpace is called when the disk is full: maybe of the log, which is as long as it ever
// was until it starts over. It reports whether it is shorter now.
func (w *writer) makeSpace() bool {
	const pause = time.Second // between attempts in vain
	if time.Since(w.spaceTried) < pause {
		return false
	}
	before := w.logSize()
	w.s.pool.pause(func() {
		_ = w.exec("PRAGMA wal_checkpoint(TRUNCATE)")
	})
	if w.logSize() < before {
		return true
	}
	w.spaceTried = time.Now()
	return false
}

func (w *writer) logSize() int64 {
	info, err := os.Stat(w.s.files.main + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

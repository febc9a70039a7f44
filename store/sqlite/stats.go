package sqlite

import "sync/atomic"

// Stats counts what a store has done since it was opened.
type Stats struct {
	Operations int64 // that were carried out, refused ones included
	Commits    int64 // transactions; each that wrote something costs one fsync
	Largest    int64 // the most operations in one commit
	Reruns     int64 // batches that were carried out one by one after an error
	Busy       int64 // transactions that had to wait for another process
}

type counters struct {
	operations, commits, largest, reruns, busy atomic.Int64
}

// Stats returns the counters of the store.
func (s *Store) Stats() Stats {
	return Stats{
		Operations: s.stats.operations.Load(),
		Commits:    s.stats.commits.Load(),
		Largest:    s.stats.largest.Load(),
		Reruns:     s.stats.reruns.Load(),
		Busy:       s.stats.busy.Load(),
	}
}

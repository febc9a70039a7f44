package postgres

import "sync/atomic"

// Stats counts what a store has done since it was opened.
type Stats struct {
	Operations int64 // transitions, payloads, starts, messages and responses
	Commits    int64 // transactions that they took
	Statements int64 // statements in these
	Alone      int64 // operations that were carried out alone, because a batch failed
	Notified   int64 // notifications sent to other processes
}

type counters struct {
	operations, commits, statements, alone, notified atomic.Int64
}

// Stats returns what the store has done so far.
func (s *Store) Stats() Stats {
	c := &s.stats
	return Stats{
		Operations: c.operations.Load(), Commits: c.commits.Load(), Statements: c.statements.Load(),
		Alone: c.alone.Load(), Notified: c.notified.Load(),
	}
}

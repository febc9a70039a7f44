package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/store"
)

// Watch calls f after each commit that gave runs messages, ended them, or answered
// requests. Of the commits of other processes it learns by notifications; since
// those can get lost it says All from time to time. Of what they have ended or answered
// it learns only while somebody awaits that. f must not block.
func (s *Store) Watch(f func(store.Signal)) (stop func()) {
	return s.watch.Add(f)
}

// WatchCommits calls f after each commit of operations of this process. f must not
// block.
func (s *Store) WatchCommits(f func(store.Commit)) (stop func()) {
	return s.commits.Add(f)
}

// Await says that somebody awaits what other processes may end or answer, until done is
// called.
func (s *Store) Await() (done func()) {
	s.peers.await(1)
	return sync.OnceFunc(func() { s.peers.await(-1) })
}

// tell tells the watchers here and the other processes what has been committed. What was
// ended or answered concerns others only while they await such.
func (s *Store) tell(sig store.Signal) { s.tellLater(sig, 0) }

// tellLater is tell, but lets the announcement to other processes wait, for what comes meanwhile.
func (s *Store) tellLater(sig store.Signal, later time.Duration) {
	if len(sig.Mail) == 0 && len(sig.Ended) == 0 && len(sig.Responded) == 0 && len(sig.Untold) == 0 && len(sig.Behind) == 0 && !sig.All {
		return
	}
	s.watch.Tell(sig)
	s.peers.announce(sig, false, later)
}

// tellAll tells it to all.
func (s *Store) tellAll(sig store.Signal) {
	s.watch.Tell(sig)
	s.peers.announce(sig, true, 0)
}

// Resync returns what of sig is so now, by one query.
func (s *Store) Resync(ctx context.Context, sig store.Signal) (store.Signal, error) {
	var now store.Signal
	if len(sig.Mail)+len(sig.Ended)+len(sig.Responded) == 0 {
		return now, nil
	}
	err := s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		return c.QueryRow(ctx, s.sql.resync, sig.Mail, sig.Ended, sig.Responded).Scan(&now.Mail, &now.Ended, &now.Responded)
	})
	return now, s.readError("resync", err)
}

package postgres

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/store"
)

// watchers are told after each commit.
type watchers struct {
	mu   sync.Mutex
	next int
	fs   map[int]func(store.Signal)
}

// Watch calls f after each commit that gave runs messages, ended them, or answered
// requests. Of the commits of other processes it learns by notifications; since
// those can get lost it says All from time to time. f must not block.
func (s *Store) Watch(f func(store.Signal)) (stop func()) {
	ws := &s.watch
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.fs == nil {
		ws.fs = make(map[int]func(store.Signal))
	}
	id := ws.next
	ws.next++
	ws.fs[id] = f
	return func() {
		ws.mu.Lock()
		defer ws.mu.Unlock()
		delete(ws.fs, id)
	}
}

// tell calls the watchers. They are called without the lock, so that one may stop
// itself.
func (ws *watchers) tell(sig store.Signal) {
	var few [4]func(store.Signal)
	fs := few[:0]
	ws.mu.Lock()
	for _, f := range ws.fs {
		fs = append(fs, f)
	}
	ws.mu.Unlock()
	for _, f := range fs {
		f(sig)
	}
}

// tell tells the watchers here and the other processes what has been committed.
func (s *Store) tell(sig store.Signal) {
	if len(sig.Mail) == 0 && len(sig.Ended) == 0 && len(sig.Responded) == 0 && !sig.All {
		return
	}
	s.watch.tell(sig)
	s.peers.announce(sig)
}

// CatchUp returns what of sig is so now, by one query.
func (s *Store) CatchUp(ctx context.Context, sig store.Signal) (store.Signal, error) {
	var now store.Signal
	if len(sig.Mail)+len(sig.Ended)+len(sig.Responded) == 0 {
		return now, nil
	}
	err := s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		return c.QueryRow(ctx, s.sql.catchUp, sig.Mail, sig.Ended, sig.Responded).Scan(&now.Mail, &now.Ended, &now.Responded)
	})
	return now, s.readError("catch up", err)
}

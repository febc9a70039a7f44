package waiting

import (
	"context"
	"sync"
)

// resyncs spares waiters a query each when signals may have been lost: one of them asks for
// all.
type resyncs struct {
	mu    sync.Mutex
	said  chan struct{} // closed and replaced when signals may have been lost
	times int           // how often that was said
	asked int           // the times that the last resync has covered
	busy  chan struct{} // full while one waiter asks
}

// Missed notes that signals may have been lost.
func (r *Registry) Missed() {
	rs := &r.resyncs
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.times++
	close(rs.said)
	rs.said = make(chan struct{})
}

// missed returns a channel that is closed when signals may have been lost.
func (r *Registry) missed() <-chan struct{} {
	r.resyncs.mu.Lock()
	defer r.resyncs.mu.Unlock()
	return r.resyncs.said
}

// resync asks the store what the waiters have missed and makes them look, unless that was done
// since signals may last have been lost.
func (r *Registry) resync(ctx context.Context) error {
	rs := &r.resyncs
	select {
	case rs.busy <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-rs.busy }()
	rs.mu.Lock()
	times, asked := rs.times, rs.asked
	rs.mu.Unlock()
	if asked == times {
		return nil
	}
	s, err := r.store.Resync(ctx, r.awaited())
	if err != nil {
		return err
	}
	rs.mu.Lock()
	rs.asked = times
	rs.mu.Unlock()
	for _, id := range s.Ended {
		r.Notify(Key{RunEnd, id})
	}
	for _, id := range s.Responded {
		r.Notify(Key{Response, id})
	}
	return nil
}

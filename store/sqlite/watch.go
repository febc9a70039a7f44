package sqlite

import (
	"context"
	"sync"

	"github.com/tenter-dev/tenter/store"
)

// watchers are told after each commit.
type watchers[T any] struct {
	mu   sync.Mutex
	next int
	fs   map[int]func(T)
}

// Watch calls f after each commit that gave runs something to do, ended them, or
// answered requests. For changes of other processes it says All, within 250 ms. f
// must not block.
func (s *Store) Watch(f func(store.Signal)) (stop func()) {
	return s.watch.add(f)
}

// WatchCommits calls f after each commit of operations of this process. f must not
// block.
func (s *Store) WatchCommits(f func(store.Commit)) (stop func()) {
	return s.commits.add(f)
}

func (ws *watchers[T]) add(f func(T)) (stop func()) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.fs == nil {
		ws.fs = make(map[int]func(T))
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

// Await has nothing to do: what other processes do is told as All.
func (*Store) Await() (done func()) { return func() {} }

// tell calls the watchers. They are called without the lock, so that one may
// stop itself.
func (ws *watchers[T]) tell(v T) {
	var few [4]func(T)
	fs := few[:0]
	ws.mu.Lock()
	for _, f := range ws.fs {
		fs = append(fs, f)
	}
	ws.mu.Unlock()
	for _, f := range fs {
		f(v)
	}
}

// Resync returns what of sig is so now.
func (s *Store) Resync(ctx context.Context, sig store.Signal) (store.Signal, error) {
	var is store.Signal
	err := s.pool.read(ctx, func(c *conn) error {
		is = store.Signal{}
		for _, id := range sig.Mail {
			if h, err := c.head(id); err == nil && h.messages > 0 {
				is.Mail = append(is.Mail, id)
			} else if err != nil && !isNotFound(err) {
				return err
			}
		}
		for _, id := range sig.Ended {
			if h, err := c.head(id); err == nil && h.status.Ended() {
				is.Ended = append(is.Ended, id)
			} else if err != nil && !isNotFound(err) {
				return err
			}
		}
		for _, id := range sig.Responded {
			if _, err := readOne(c.on(qResponseResponder).bindText(id), whole((*stmt).text)); err == nil {
				is.Responded = append(is.Responded, id)
			} else if !isNotFound(err) {
				return err
			}
		}
		return nil
	})
	return is, err
}

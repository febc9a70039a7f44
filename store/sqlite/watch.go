package sqlite

import (
	"context"

	"github.com/tenter-dev/tenter/store"
)

// Watch calls f after each commit that gave runs something to do, ended them, or
// answered requests. For changes of other processes it says All, within 250 ms. f
// must not block.
func (s *Store) Watch(f func(store.Signal)) (stop func()) {
	return s.watch.Add(f)
}

// WatchCommits calls f after each commit of operations of this process. f must not
// block.
func (s *Store) WatchCommits(f func(store.Commit)) (stop func()) {
	return s.commits.Add(f)
}

// Await has nothing to do: what other processes do is told as All.
func (*Store) Await() (done func()) { return func() {} }

// Resync returns what of sig is so now.
func (s *Store) Resync(ctx context.Context, sig store.Signal) (store.Signal, error) {
	var is store.Signal
	err := s.pool.read(ctx, func(c *conn) error {
		is = store.Signal{}
		for _, id := range sig.Mail {
			if h, err := c.head(id); err == nil && (h.messages > 0 || h.paused) {
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

package postgres

import (
	"context"
	"sync"
	"time"
)

// clock is the server's clock as this process knows it: its own monotonic one, and
// what the server's was ahead when it was asked. So a process whose wall clock is
// wrong, or set, agrees with the others.
type clock struct {
	mu    sync.Mutex
	start time.Time     // of this process's clock
	lo    time.Duration // the server's time is between start+lo and start+hi, plus what has passed
	hi    time.Duration
	base  time.Time
	known bool
}

// now is the server's time, or as much earlier as is not known. It is not ahead: once a
// timer is due here, the server accepts nothing any more as of before.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.base.Add(time.Since(c.start) + c.lo)
}

// ask asks the server for its time, and learns from the answer.
func (c *clock) ask(server func() (time.Time, error)) error {
	sent := time.Now()
	at, err := server()
	received := time.Now()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known {
		c.known, c.start, c.base = true, sent, at.UTC()
	}
	// The server read its clock between the two.
	ahead := at.Sub(c.base)
	lo, hi := ahead-received.Sub(c.start), ahead-sent.Sub(c.start)
	if !c.narrow(lo, hi) {
		c.lo, c.hi = lo, hi // one of the clocks was set, or drifts, or it is another server
	}
	return nil
}

// narrow takes up bounds that agree with those known.
func (c *clock) narrow(lo, hi time.Duration) bool {
	if c.lo == 0 && c.hi == 0 {
		return false
	}
	lo, hi = max(lo, c.lo), min(hi, c.hi)
	if lo > hi {
		return false
	}
	c.lo, c.hi = lo, hi
	return true
}

// Now is the clock that decides acceptance times and leases: the server's.
func (s *Store) Now() time.Time { return s.clock.now() }

// setClock asks the server for its time, more than once since the first answer is
// late.
func (s *Store) setClock(ctx context.Context) error {
	for range 3 {
		err := s.clock.ask(func() (at time.Time, err error) {
			err = s.pool.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&at)
			return at, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

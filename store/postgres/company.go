package postgres

import "time"

const (
	// fewest is how many operations at a time are worth waiting for: one that comes alone
	// never waits.
	fewest = 4

	// longest is how long they are waited for at most.
	longest = 2 * time.Millisecond

	// shyest is how many times, as a power of two, no company is waited for after it has
	// not come.
	shyest = 6
)

// company has a lane that has just answered wait a moment for those to come again. Else
// they would split in halves that take turns, each in a batch of half the size, and a batch
// costs the server as much as five operations, however small it is.
//
// It is guarded by writer.mu.
type company struct {
	wanted int           // operations that the lane waits for; 0: it does not
	here   chan struct{} // gets one when they have come
	vain   int           // waits in a row in which they have not
	skip   int           // so many times do not wait
}

// came is called when so many are in the queue. It reports whether a lane waits, for them
// or for more.
func (c *company) came(n int) bool {
	if c.wanted == 0 {
		return false
	}
	if n >= c.wanted {
		c.wanted = 0
		c.here <- struct{}{}
	}
	return true
}

// gather waits for company after a batch of so many operations, no longer than that took.
// Where there are enough for two lanes these take turns instead.
func (w *writer) gather(answered int, took time.Duration) {
	c := &w.company
	w.mu.Lock()
	most := answered + len(w.queue)
	wanted := most * 3 / 4 // who stays away must not hold up all others
	switch {
	case most < fewest, most >= 2*beside, len(w.queue) >= wanted, c.wanted > 0, w.atWork.Load() > 0:
		wanted = 0
	case c.skip > 0:
		c.skip--
		wanted = 0
	}
	c.wanted = wanted
	w.mu.Unlock()
	if wanted == 0 {
		return
	}
	limit := time.NewTimer(min(took, longest))
	defer limit.Stop()
	select {
	case <-c.here:
	case <-limit.C:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-c.here: // in the same moment
	default:
	}
	if c.wanted == 0 {
		c.vain = 0
		return
	}
	c.wanted = 0
	c.vain = min(c.vain+1, shyest)
	c.skip = 1 << c.vain
}

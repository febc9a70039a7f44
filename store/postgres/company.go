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
	wanted int           // operations that the lane waits for: first most of them, then all; 0: it does not
	all    int           // that it hopes for
	here   chan struct{} // gets one when most have come, and when all have
	vain   int           // waits in a row in which most have not
	skip   int           // so many times do not wait
}

// came is called when so many are in the queue. It reports whether a lane waits, for them
// or for more.
func (c *company) came(n int) bool {
	awaited := c.wanted > 0
	for c.wanted > 0 && n >= c.wanted {
		if c.wanted < c.all {
			c.wanted = c.all
		} else {
			c.wanted = 0
		}
		c.here <- struct{}{}
	}
	return awaited
}

// gather waits for company after a batch of so many operations, no longer than that took,
// and when most are there a quarter of that for the others. Where there are enough for two
// lanes these take turns instead.
func (w *writer) gather(answered int, took time.Duration) {
	c := &w.company
	w.mu.Lock()
	all := answered + len(w.queue)
	most := all * 3 / 4 // who stays away must not hold up all others
	wait := all >= fewest && all < 2*beside && c.wanted == 0 && w.atWork.Load() == 0
	if wait && c.skip > 0 {
		c.skip--
		wait = false
	}
	if !wait {
		w.mu.Unlock()
		return
	}
	c.wanted, c.all = most, all
	c.came(len(w.queue))
	w.mu.Unlock()

	if limit := min(took, longest); c.arrive(limit) {
		c.arrive(limit / 4)
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	if c.wanted == most {
		c.vain = min(c.vain+1, shyest)
		c.skip = 1 << c.vain
	} else {
		c.vain = 0
	}
	c.wanted = 0
	for len(c.here) > 0 { // in the same moment
		<-c.here
	}
}

// arrive waits until the next of those that are wanted have come, and reports whether they
// have.
func (c *company) arrive(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-c.here:
		return true
	case <-timer.C:
		return false
	}
}

package postgres

import "time"

const (
	// fewest is how many operations at a time are worth waiting for: one that comes alone
	// never waits.
	fewest = 4

	// longest is how long most are waited for; the others get a quarter more.
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
	waits  bool          // a lane does, or has not noticed yet that they have come
	wanted int           // operations that it waits for: first most of them, then all; 0: none any more
	all    int           // that it hopes for
	here   chan struct{} // gets one when most have come, and when all have
	vain   int           // waits in a row in which most have not
	skip   int           // so many times do not wait
	brief  bool          // the others have not come: the next time do not wait for them
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
	wait := all >= fewest && all < 2*beside && !c.waits && w.atWork.Load() == 0
	if wait && c.skip > 0 {
		c.skip--
		wait = false
	}
	if !wait {
		w.mu.Unlock()
		return
	}
	if c.brief {
		all = most
	}
	c.waits, c.wanted, c.all = true, most, all
	c.came(len(w.queue))
	w.mu.Unlock()

	if limit := min(took, longest); c.arrive(limit) && most < all {
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
	c.brief = c.wanted > most
	c.waits, c.wanted = false, 0
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

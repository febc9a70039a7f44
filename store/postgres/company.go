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
// they would split in parts that take turns, each in a small batch, and a batch costs the
// server as much as a dozen operations, however small it is. Where there are enough for two
// lanes these take turns, each with half of them: while one's are under way, the other's
// callers go on to their next.
//
// It is guarded by writer.mu.
type company struct {
	about  int           // operations that there are, under way, queued or to come again: the most of late
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

// meet notes that there are so many operations.
func (c *company) meet(all int) { c.about = max(all, c.about-(c.about+7)/8) }

// share is how many operations a batch should have: all, or half if that is enough.
func (c *company) share() int {
	if c.about >= 2*beside {
		return min((c.about+1)/2, maxBatch)
	}
	return c.about
}

// gather ends a lane's batch of so many operations, and waits for company, when there are
// so many in all that may be in the next: no longer than that took, and when most are there
// a quarter of that for the others.
func (w *writer) gather(batch, all int, took time.Duration) {
	c := &w.company
	w.mu.Lock()
	w.atWork--
	w.carried -= batch
	all = min(all, c.share())
	most := all * 3 / 4 // who stays away must not hold up all others
	wait := all >= fewest && !c.waits && w.atWork == 0
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

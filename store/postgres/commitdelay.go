package postgres

import "time"

const (
	// commitSiblings is how many callers at a time are worth a delay: one that comes alone
	// never waits.
	commitSiblings = 4

	// maxDelay is how long most callers are waited for; the others get a quarter more.
	maxDelay = 2 * time.Millisecond

	// maxBackoff is how many times, as a power of two, there is no delay after one in vain.
	maxBackoff = 6
)

// commitDelay has a committer that has just answered callers wait a moment for them to come
// again, as PostgreSQL's settings commit_delay and commit_siblings do for transactions. Else
// the callers would split in parts that take turns, each in a small batch, and a batch costs
// the server as much as a dozen operations, however small it is. Where there are enough callers
// for two committers these take turns, each with half of them: while one batch is under way,
// the callers of the other go on to their next operation.
//
// It is guarded by writer.mu.
type commitDelay struct {
	callers  int           // operations under way, queued or to come again: the most of late
	waiting  bool          // a committer waits, or has not noticed yet that the callers have come
	want     int           // queued operations that it waits for: first most, then all; 0: none any more
	all      int           // operations that it hopes for
	reached  chan struct{} // gets one when most have come, and when all have
	misses   int           // delays in a row in which most have not come
	skip     int           // so many more times, there is no delay
	mostOnly bool          // the last few have not come: the next time do not wait for them
}

// queued is called when so many operations are in the queue. It reports whether a committer
// waits, for them or for more.
func (d *commitDelay) queued(n int) bool {
	awaited := d.want > 0
	for d.want > 0 && n >= d.want {
		if d.want < d.all {
			d.want = d.all
		} else {
			d.want = 0
		}
		d.reached <- struct{}{}
	}
	return awaited
}

// observe notes that there are so many callers.
func (d *commitDelay) observe(callers int) {
	d.callers = max(callers, d.callers-(d.callers+7)/8)
}

// batchSize is how many operations a batch should have: all, or half if that is enough.
func (d *commitDelay) batchSize() int {
	if d.callers >= 2*minConcurrent {
		return min((d.callers+1)/2, maxBatch)
	}
	return d.callers
}

// delayCommit ends a committer's batch of so many operations, and waits for those that may be
// in the next, of so many in all: for no longer than the batch took, and when most are there, a
// quarter of that for the others.
func (w *writer) delayCommit(batch, all int, took time.Duration) {
	d := &w.delay
	w.mu.Lock()
	w.active--
	w.inBatches -= batch
	all = min(all, d.batchSize())
	most := all * 3 / 4 // callers that stay away must not hold up all others
	wait := all >= commitSiblings && !d.waiting && w.active == 0
	if wait && d.skip > 0 {
		d.skip--
		wait = false
	}
	if !wait {
		w.mu.Unlock()
		return
	}
	if d.mostOnly {
		all = most
	}
	d.waiting, d.want, d.all = true, most, all
	d.queued(len(w.queue))
	w.mu.Unlock()

	if limit := min(took, maxDelay); d.wait(limit) && most < all {
		d.wait(limit / 4)
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	if d.want == most {
		d.misses = min(d.misses+1, maxBackoff)
		d.skip = 1 << d.misses
	} else {
		d.misses = 0
	}
	d.mostOnly = d.want > most
	d.waiting, d.want = false, 0
	for len(d.reached) > 0 { // in the same moment
		<-d.reached
	}
}

// wait waits until the next of the operations that are wanted have come, and reports whether
// they have.
func (d *commitDelay) wait(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-d.reached:
		return true
	case <-timer.C:
		return false
	}
}

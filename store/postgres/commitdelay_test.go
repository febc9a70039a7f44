package postgres

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// delays reports how long a committer waits after a batch of so many, if so many are in the
// queue and one comes every 100 microseconds.
func delays(t *testing.T, w *writer, answered, queued, coming int, took time.Duration) (waited time.Duration) {
	t.Helper()
	w.mu.Lock()
	w.take()
	w.delay.observe(answered + queued)
	w.active++
	w.mu.Unlock()
	for range queued {
		waiting(t, w, opSend, 1, "run")
	}
	go func() {
		for range coming {
			wait(100 * time.Microsecond)
			waiting(t, w, opSend, 1, "run")
		}
	}()
	began := time.Now()
	w.delayCommit(0, answered+queued, took)
	waited = time.Since(began)
	wait(time.Second)
	return waited
}

func TestCommitterWaitsForCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWriter(nil)
		want := func(what string, got, want time.Duration) {
			t.Helper()
			if got != want {
				t.Errorf("%s: waits for %v, want %v", what, got, want)
			}
		}
		const batch = 5 * time.Millisecond
		want("one comes alone", delays(t, w, 1, 0, 1, batch), 0)
		want("few come", delays(t, w, 2, 1, 2, batch), 0)
		want("most are there, and the others come", delays(t, w, 2, 6, 2, batch), 200*time.Microsecond)
		want("most are there, and the others stay away", delays(t, w, 2, 6, 0, batch), maxDelay/4)
		want("so the next time most are enough", delays(t, w, 8, 2, 8, batch), 500*time.Microsecond)
		want("eight of eight go on, two are in the queue", delays(t, w, 8, 2, 8, batch), 800*time.Microsecond)
		want("seven of eight go on, two are in the queue", delays(t, w, 8, 2, 7, batch), 500*time.Microsecond+maxDelay/4)
		want("the batch took no longer", delays(t, w, 8, 0, 8, 300*time.Microsecond), 300*time.Microsecond)
		for range 2 {
			want("it was in vain", delays(t, w, 8, 0, 8, batch), 0)
		}
		want("it is tried again", delays(t, w, 8, 0, 2, batch), maxDelay)
		for range 4 {
			want("it was in vain again", delays(t, w, 8, 0, 8, batch), 0)
		}
		want("it is tried again", delays(t, w, 8, 0, 8, batch), 800*time.Microsecond)
		want("they have come", delays(t, w, 8, 0, 8, batch), 800*time.Microsecond)
		want("there are enough for two committers", delays(t, w, 20, 12, 20, batch), 400*time.Microsecond)
		want("a half is there", delays(t, w, 20, 20, 20, batch), 0)
		w.mu.Lock()
		w.active = 1
		w.mu.Unlock()
		want("the other committer is active", delays(t, w, 8, 0, 8, batch), 0)
	})
}

// A committer that has not noticed yet that all have come is in nobody's way.
func TestCallersThatAreNotNoticedYet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWriter(nil)
		w.delay.observe(8)
		w.active = 1
		go w.delayCommit(0, 8, time.Minute)
		synctest.Wait()
		w.mu.Lock()
		wait(maxDelay) // it wants to go on, and can't
		w.delay.queued(8)
		w.mu.Unlock()
		for range 6 {
			waiting(t, w, opSend, 1, "run")
		}
		w.mu.Lock()
		w.active++
		w.mu.Unlock()
		w.delayCommit(0, 8, time.Minute)
		synctest.Wait()
		if w.delay.waiting || len(w.delay.reached) > 0 {
			t.Errorf("left behind: %+v", w.delay)
		}
	})
}

// While a committer delays its commit nobody else takes up what comes.
func TestCallersAreNotTakenByAnotherCommitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWriter(nil)
		w.delay.observe(8)
		w.active = 1
		go w.delayCommit(0, 8, time.Minute)
		synctest.Wait()
		waiting(t, w, opSend, 1, "run")
		if batch := w.next(); len(batch) > 0 || len(w.wake) > 0 {
			t.Errorf("another committer takes up %d", len(batch))
		}
		wait(maxDelay)
		synctest.Wait()
		if batch := w.next(); len(batch) != 1 {
			t.Errorf("when nobody waits any more a committer takes up %d, want the one", len(batch))
		}
	})
}

// A committer begins beside another when its share of the operations is there.
func TestCommittersShare(t *testing.T) {
	t.Parallel()
	w := newWriter(nil)
	fill := func(n int) {
		for range n {
			waiting(t, w, opSend, 1, fmt.Sprint(len(w.queue), w.inBatches))
		}
	}
	fill(1)
	if n := len(w.next()); n != 1 {
		t.Fatalf("the first batch has %d, want the one that is there", n)
	}
	fill(minConcurrent - 1)
	if n := len(w.next()); n != 0 {
		t.Errorf("few are taken up beside the active committer: %d", n)
	}
	w.delay.observe(64)
	fill(31 - (minConcurrent - 1))
	if n := len(w.next()); n != 0 {
		t.Errorf("less than a half is taken up beside the active committer: %d", n)
	}
	fill(1)
	if n := len(w.next()); n != 32 {
		t.Errorf("the other committer takes up %d, want the half", n)
	}
	fill(3)
	w.countSlow(1)
	if n := len(w.next()); n != 3 {
		t.Errorf("beside a committer whose batch is slow %d are taken up, want all", n)
	}
	w.countSlow(-1)
	for range 40 {
		w.delay.observe(3)
	}
	fill(minConcurrent)
	if n := len(w.next()); n != minConcurrent {
		t.Errorf("when there are fewer a committer takes up %d, want %d", n, minConcurrent)
	}
}

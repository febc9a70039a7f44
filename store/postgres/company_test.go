package postgres

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// gathers reports how long a lane waits after a batch of so many, if so many are in the
// queue and one comes every 100 microseconds.
func gathers(t *testing.T, w *writer, answered, queued, coming int, took time.Duration) (waited time.Duration) {
	t.Helper()
	w.mu.Lock()
	w.take()
	w.company.meet(answered + queued)
	w.atWork++
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
	w.gather(0, answered+queued, took)
	waited = time.Since(began)
	wait(time.Second)
	return waited
}

func TestALaneWaitsForCompany(t *testing.T) {
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
		want("one comes alone", gathers(t, w, 1, 0, 1, batch), 0)
		want("few come", gathers(t, w, 2, 1, 2, batch), 0)
		want("most are there, and the others come", gathers(t, w, 2, 6, 2, batch), 200*time.Microsecond)
		want("most are there, and the others stay away", gathers(t, w, 2, 6, 0, batch), longest/4)
		want("so the next time most are enough", gathers(t, w, 8, 2, 8, batch), 500*time.Microsecond)
		want("eight of eight go on, two are in the queue", gathers(t, w, 8, 2, 8, batch), 800*time.Microsecond)
		want("seven of eight go on, two are in the queue", gathers(t, w, 8, 2, 7, batch), 500*time.Microsecond+longest/4)
		want("the batch took no longer", gathers(t, w, 8, 0, 8, 300*time.Microsecond), 300*time.Microsecond)
		for range 2 {
			want("it was in vain", gathers(t, w, 8, 0, 8, batch), 0)
		}
		want("it is tried again", gathers(t, w, 8, 0, 2, batch), longest)
		for range 4 {
			want("it was in vain again", gathers(t, w, 8, 0, 8, batch), 0)
		}
		want("it is tried again", gathers(t, w, 8, 0, 8, batch), 800*time.Microsecond)
		want("they have come", gathers(t, w, 8, 0, 8, batch), 800*time.Microsecond)
		want("there are enough for two lanes", gathers(t, w, 20, 12, 20, batch), 400*time.Microsecond)
		want("a half is there", gathers(t, w, 20, 20, 20, batch), 0)
		w.mu.Lock()
		w.atWork = 1
		w.mu.Unlock()
		want("the other lane is at work", gathers(t, w, 8, 0, 8, batch), 0)
	})
}

// A lane that has not noticed yet that all have come is in nobody's way.
func TestCompanyThatIsNotNoticedYet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWriter(nil)
		w.company.meet(8)
		w.atWork = 1
		go w.gather(0, 8, time.Minute)
		synctest.Wait()
		w.mu.Lock()
		wait(longest) // it wants to go on, and can't
		w.company.came(8)
		w.mu.Unlock()
		for range 6 {
			waiting(t, w, opSend, 1, "run")
		}
		w.mu.Lock()
		w.atWork++
		w.mu.Unlock()
		w.gather(0, 8, time.Minute)
		synctest.Wait()
		if w.company.waits || len(w.company.here) > 0 {
			t.Errorf("left behind: %+v", w.company)
		}
	})
}

// While a lane waits for company nobody else takes it up.
func TestCompanyIsNotTakenByAnotherLane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWriter(nil)
		w.company.meet(8)
		w.atWork = 1
		go w.gather(0, 8, time.Minute)
		synctest.Wait()
		waiting(t, w, opSend, 1, "run")
		if batch := w.next(); len(batch) > 0 || len(w.wake) > 0 {
			t.Errorf("another lane takes up %d", len(batch))
		}
		wait(longest)
		synctest.Wait()
		if batch := w.next(); len(batch) != 1 {
			t.Errorf("when nobody waits any more a lane takes up %d, want the one", len(batch))
		}
	})
}

// A lane begins beside another when its share of the operations is there.
func TestLanesShare(t *testing.T) {
	t.Parallel()
	w := newWriter(nil)
	fill := func(n int) {
		for range n {
			waiting(t, w, opSend, 1, fmt.Sprint(len(w.queue), w.carried))
		}
	}
	fill(1)
	if n := len(w.next()); n != 1 {
		t.Fatalf("the first batch has %d, want the one that is there", n)
	}
	fill(beside - 1)
	if n := len(w.next()); n != 0 {
		t.Errorf("few are taken up beside the lane at work: %d", n)
	}
	w.company.meet(64)
	fill(31 - (beside - 1))
	if n := len(w.next()); n != 0 {
		t.Errorf("less than a half is taken up beside the lane at work: %d", n)
	}
	fill(1)
	if n := len(w.next()); n != 32 {
		t.Errorf("the other lane takes up %d, want the half", n)
	}
	fill(3)
	w.tarry(1)
	if n := len(w.next()); n != 3 {
		t.Errorf("beside a lane whose batch is late %d are taken up, want all", n)
	}
	w.tarry(-1)
	for range 40 {
		w.company.meet(3)
	}
	fill(beside)
	if n := len(w.next()); n != beside {
		t.Errorf("when there are fewer a lane takes up %d, want %d", n, beside)
	}
}

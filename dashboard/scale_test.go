package dashboard

import (
	"testing"
	"time"
)

func TestScale(t *testing.T) {
	t.Parallel()
	t0 := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return t0.Add(d) }
	s := timeScale(t0, at(10*time.Second))
	if x := s.place(at(5 * time.Second)); x != 0.5 {
		t.Errorf("half of the time is at %v", x)
	}
	// Two steps of milliseconds around a wait of three days.
	s = shortScale(t0, at(72*time.Hour+4*time.Millisecond), []time.Time{
		at(time.Millisecond), at(2 * time.Millisecond), at(72*time.Hour + 2*time.Millisecond), at(72*time.Hour + 3*time.Millisecond),
	})
	if x := s.place(at(time.Millisecond)); x < 0.02 {
		t.Errorf("a step of a millisecond beside three days is %v wide: nobody sees it", x)
	}
	before := -1.0
	for _, d := range []time.Duration{0, time.Millisecond, 2 * time.Millisecond, time.Hour, 48 * time.Hour, 72*time.Hour + 2*time.Millisecond, 72*time.Hour + 4*time.Millisecond} {
		x := s.place(at(d))
		if x <= before || x > 1 {
			t.Errorf("%v is at %v, after %v", d, x, before)
		}
		before = x
	}
	for _, s := range []*scale{timeScale(t0, t0), shortScale(t0, t0, nil), shortScale(t0, at(time.Second), nil)} {
		if x := s.place(t0); x != 0 {
			t.Errorf("the beginning is at %v", x)
		}
		s.ticks(6)
	}
}

func TestTicks(t *testing.T) {
	t.Parallel()
	t0 := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, whole := range []time.Duration{
		time.Microsecond, 3 * time.Millisecond, 700 * time.Millisecond, 9 * time.Second, 4 * time.Minute, 3 * time.Hour, 40 * time.Hour, 90 * 24 * time.Hour, 5 * 365 * 24 * time.Hour, 1<<63 - 1,
	} {
		n := len(timeScale(t0, t0.Add(whole)).ticks(6))
		if n < 2 || n > 8 {
			t.Errorf("%v has %d ticks", whole, n)
		}
	}
}

package dashboard

import (
	"math"
	"slices"
	"time"
)

// scale places times between 0 and 1.
type scale struct {
	begin, end time.Time
	points     []time.Time // with short: where something happens, rising
	places     []float64   // of these
}

// timeScale is true to time.
func timeScale(begin, end time.Time) *scale { return &scale{begin: begin, end: end} }

// shortScale shortens the long stretches in which nothing happens, so that steps of
// milliseconds can be seen beside waits of days: the space between two things that happen
// grows with the logarithm of the time between them.
func shortScale(begin, end time.Time, happens []time.Time) *scale {
	points := append([]time.Time{begin, end}, happens...)
	points = slices.DeleteFunc(points, func(t time.Time) bool { return t.Before(begin) || t.After(end) })
	slices.SortFunc(points, time.Time.Compare)
	points = slices.CompactFunc(points, time.Time.Equal)
	var gaps []float64
	for i := 1; i < len(points); i++ {
		gaps = append(gaps, points[i].Sub(points[i-1]).Seconds())
	}
	if len(gaps) == 0 {
		return timeScale(begin, end)
	}
	sorted := slices.Sorted(slices.Values(gaps))
	unit := sorted[len(sorted)/2]
	places, sum := []float64{0}, 0.0
	for _, g := range gaps {
		sum += math.Log2(1 + g/unit)
		places = append(places, sum)
	}
	for i := range places {
		places[i] /= sum
	}
	return &scale{begin: begin, end: end, points: points, places: places}
}

func (s *scale) place(t time.Time) float64 {
	whole := s.end.Sub(s.begin)
	switch {
	case whole <= 0 || t.Before(s.begin):
		return 0
	case t.After(s.end):
		return 1
	case s.points == nil:
		return float64(t.Sub(s.begin)) / float64(whole)
	}
	i, found := slices.BinarySearchFunc(s.points, t, time.Time.Compare)
	if found {
		return s.places[i]
	}
	part := float64(t.Sub(s.points[i-1])) / float64(s.points[i].Sub(s.points[i-1]))
	return s.places[i-1] + part*(s.places[i]-s.places[i-1])
}

// tick is a mark of the axis.
type tick struct {
	X     float64
	Label string // time since the beginning
}

// ticks marks about n places.
func (s *scale) ticks(n int) []tick {
	whole := s.end.Sub(s.begin)
	if whole <= 0 {
		return []tick{{0, "0"}}
	}
	var ticks []tick
	if s.points == nil {
		step := niceStep(whole / time.Duration(n))
		for i := range int64(whole/step) + 1 {
			at := time.Duration(i) * step
			ticks = append(ticks, tick{float64(at) / float64(whole), duration(at)})
		}
		return ticks
	}
	for i, p := range s.points {
		if len(ticks) == 0 || s.places[i]-ticks[len(ticks)-1].X >= 1/float64(n) {
			ticks = append(ticks, tick{s.places[i], duration(p.Sub(s.begin))})
		}
	}
	last := len(s.points) - 1
	if end := ticks[len(ticks)-1]; end.X < 1 {
		if 1-end.X < 1/float64(n) {
			ticks = ticks[:len(ticks)-1]
		}
		ticks = append(ticks, tick{1, duration(s.points[last].Sub(s.begin))})
	}
	return ticks
}

// niceStep rounds up to what people count time in.
func niceStep(d time.Duration) time.Duration {
	const day = 24 * time.Hour
	for _, step := range []time.Duration{
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, day, 2 * day,
	} {
		if d <= step && d > time.Second/2 {
			return step
		}
	}
	unit := time.Duration(1)
	if d > day {
		unit = day
	}
	for step := unit; ; step *= 10 {
		for _, nice := range []time.Duration{step, step + step, 5 * step} {
			if d <= nice {
				return nice
			}
		}
	}
}

// Package saturate does arithmetic with times and durations that ends at the ends of
// their range, where that of package time wraps around: an hour after the last time is
// the last time, and not one long ago.
package saturate

import (
	"math"
	"time"
)

// The range of times is what SQLite's text, PostgreSQL's timestamptz and JSON can all
// express, in whatever zone: it leaves a day at both ends. The zero time is outside,
// since it means that there is none.
var (
	Earliest = time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC)
	Latest   = time.Date(9999, 12, 30, 23, 59, 59, 999_999_000, time.UTC)
)

// Beyond is later than all times of the range.
var Beyond = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// Longest is the longest duration.
const Longest = time.Duration(math.MaxInt64)

// Time is what is kept of t: in UTC, rounded down to microseconds, and the nearest end
// of the range if t is outside. The zero time stays what it is.
func Time(t time.Time) time.Time {
	// Compared as seconds, since t.After(Latest) is false for the last times that
	// time.Unix makes: inside, they have wrapped around.
	switch s := t.Unix(); {
	case t.IsZero():
		return time.Time{}
	case s < Earliest.Unix():
		return Earliest
	case s > Latest.Unix():
		return Latest
	}
	return t.UTC().Truncate(time.Microsecond)
}

// Up is the first time from t on that is kept, at most the last one.
func Up(t time.Time) time.Time {
	kept := Time(t)
	if kept.Unix() == t.Unix() && kept.Before(t) {
		return After(kept, time.Microsecond)
	}
	return kept
}

// After is what is kept of the time d after t.
func After(t time.Time, d time.Duration) time.Time { return Time(Time(t).Add(d)) }

// Sum is d and e together.
func Sum(d, e time.Duration) time.Duration {
	sum := d + e
	switch {
	case d > 0 && e > 0 && sum < 0:
		return math.MaxInt64
	case d < 0 && e < 0 && sum >= 0:
		return math.MinInt64
	}
	return sum
}

// Product is f times d. What is not a number is 0.
func Product(d time.Duration, f float64) time.Duration {
	switch p := float64(d) * f; {
	case math.IsNaN(p):
		return 0
	case p >= math.MaxInt64:
		return math.MaxInt64
	case p <= math.MinInt64:
		return math.MinInt64
	default:
		return time.Duration(p)
	}
}

package dashboard

import (
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// funcs are what templates can call.
var funcs = template.FuncMap{
	"ago":      ago,
	"clock":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"machine":  func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
	"duration": duration,
	"took":     func(from, to time.Time) string { return duration(to.Sub(from)) },
	"since":    func(t time.Time, now time.Time) string { return duration(now.Sub(t)) },
	"number":   func(n any) string { return grouped(fmt.Sprint(n)) },
	"count":    func(c inspect.Counts, s workflow.Status) string { return counted(c[s]) },
	"size":     size,
	"to":       to,
	"paused":   inspect.PauseText,
	"list":     func(v ...any) []any { return v },
	"percent":  func(f float64) string { return strconv.FormatFloat(100*f, 'f', 3, 64) + "%" },
}

// ago says how far a time is from now, in either direction.
func ago(t, now time.Time) string {
	switch d := now.Sub(t); {
	case d > -time.Second && d < time.Second:
		return "now"
	case d < 0:
		return "in " + coarse(-d)
	default:
		return coarse(d) + " ago"
	}
}

// coarse is a duration in its largest unit.
func coarse(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%d h", d/time.Hour)
	default:
		return fmt.Sprintf("%d days", d/day)
	}
}

// duration is a duration with two or three digits that count.
func duration(d time.Duration) string {
	const day = 24 * time.Hour
	d = max(d, 0)
	switch {
	case d == 0:
		return "0"
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d/time.Microsecond)
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d/time.Millisecond)
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return two(d/time.Minute, "min", d%time.Minute/time.Second, "s")
	case d < day:
		return two(d/time.Hour, "h", d%time.Hour/time.Minute, "min")
	default:
		return two(d/day, "d", d%day/time.Hour, "h")
	}
}

func two(a time.Duration, unit string, b time.Duration, smaller string) string {
	if b == 0 {
		return fmt.Sprintf("%d %s", a, unit)
	}
	return fmt.Sprintf("%d %s %d %s", a, unit, b, smaller)
}

// grouped writes an integer with commas between thousands.
func grouped(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// counted is a number of runs, of which counting may have stopped.
func counted(n int) string {
	if n >= inspect.MaxCount {
		return grouped(strconv.Itoa(inspect.MaxCount)) + "+"
	}
	return grouped(strconv.Itoa(n))
}

func size(n int) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	default:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
}

// to makes a link from a page and the names and values of its query. Empty values are
// left out.
func to(name string, pairs ...any) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if v := fmt.Sprint(pairs[i+1]); v != "" {
			q.Set(fmt.Sprint(pairs[i]), v)
		}
	}
	return link(name, q)
}

package sqlite

import (
	"time"

	"github.com/tenter-dev/tenter/internal/saturate"
)

// timeLayout is how times are kept: text of fixed width in UTC, so that it sorts
// as the times do, can be read, and works in SQLite's date functions.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// formatTime formats t in timeLayout, without the cost of interpreting it.
// Fractions of a microsecond are cut off.
func formatTime(t time.Time) string {
	t = saturate.Time(t)
	year, month, day := t.Date()
	hour, minute, sec := t.Clock()
	var b [len(timeLayout)]byte
	digits(b[0:4], year)
	b[4] = '-'
	digits(b[5:7], int(month))
	b[7] = '-'
	digits(b[8:10], day)
	b[10] = 'T'
	digits(b[11:13], hour)
	b[13] = ':'
	digits(b[14:16], minute)
	b[16] = ':'
	digits(b[17:19], sec)
	b[19] = '.'
	digits(b[20:26], t.Nanosecond()/1000)
	b[26] = 'Z'
	return string(b[:])
}

func digits(b []byte, n int) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}

// parseTime reads what formatTime wrote. What people may have written by hand is
// read too, if it is a date and time; anything else is the zero time.
func parseTime(s string) time.Time {
	if len(s) == len(timeLayout) && s[4] == '-' && s[7] == '-' && s[10] == 'T' &&
		s[13] == ':' && s[16] == ':' && s[19] == '.' && s[26] == 'Z' {
		ok := true
		n := func(i, j int) (n int) {
			for ; i < j; i++ {
				d := s[i] - '0'
				ok = ok && d <= 9
				n = n*10 + int(d)
			}
			return n
		}
		t := time.Date(n(0, 4), time.Month(n(5, 7)), n(8, 10), n(11, 13), n(14, 16), n(17, 19), n(20, 26)*1000, time.UTC)
		if ok {
			return t
		}
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateTime, "2006-01-02 15:04:05.999999999", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

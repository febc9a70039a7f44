package sqlite

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenter-dev/tenter/internal/saturate"
)

func TestTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(saturate.Earliest.Unix(), saturate.Latest.Unix()).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns"))
		got := formatTime(at)
		if want := at.UTC().Truncate(time.Microsecond).Format(timeLayout); got != want {
			t.Fatalf("formatted %s, want %s", got, want)
		}
		if back := parseTime(got); !back.Equal(at.Truncate(time.Microsecond)) || back.Location() != time.UTC {
			t.Fatalf("parsed %v from %s", back, got)
		}
	})
	for text, want := range map[string]string{
		"2026-11-23 16:31:00":  "2026-11-23T16:31:00.000000Z",
		"2026-11-23T16:31:00Z": "2026-11-23T16:31:00.000000Z",
		"2026-11-23":           "2026-11-23T00:00:00.000000Z",
	} {
		if got := formatTime(parseTime(text)); got != want {
			t.Errorf("%s was read as %s", text, got)
		}
	}
	if !parseTime("tomorrow").IsZero() || !parseTime("2026-11-2xT16:31:00.000000Z").IsZero() {
		t.Error("nonsense was read as a time")
	}
}

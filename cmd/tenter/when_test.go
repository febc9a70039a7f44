package main

import (
	"testing"
	"time"
)

func TestWhen(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for text, want := range map[string]time.Time{
		"90m": now.Add(-90 * time.Minute), "3d": now.Add(-72 * time.Hour), "0.5d": now.Add(-12 * time.Hour),
		"1e300d": now.Add(-1<<63 + 1), "-1e300d": now.Add(1<<63 - 1), "2562047h": now.Add(-2562047 * time.Hour),
		"2026-01-31": time.Date(2026, 1, 31, 0, 0, 0, 0, time.Local),
	} {
		var w when
		if err := w.UnmarshalText([]byte(text)); err != nil || w.Sub(want).Abs() > time.Minute {
			t.Errorf("%s is %v, want %v: %v", text, w.Time, want, err)
		}
	}
	if err := new(when).UnmarshalText([]byte("soon")); err == nil {
		t.Error("nonsense is taken for a time")
	}
}

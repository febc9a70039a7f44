package saturate_test

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenter-dev/tenter/internal/saturate"
)

// extremes are times and durations at the ends of their range, and around them.
var (
	times = []time.Time{
		{},
		saturate.Earliest, saturate.Latest, saturate.Latest.Add(time.Microsecond), time.Unix(0, 0), time.Unix(0, math.MaxInt64), time.Unix(0, math.MinInt64),
		time.Unix(math.MaxInt64, 999_999_999), time.Unix(math.MinInt64, 0), time.Unix(1<<62, 0), time.Unix(-1<<62, 0),
		time.Date(-4713, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1677, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2263, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC), time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(294_276, 12, 31, 0, 0, 0, 0, time.UTC), time.Unix(math.MaxInt64, 0).UTC(), // the year 292277026596
	}
	durations = []time.Duration{0, 1, -1, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1, math.MinInt64 + 1, time.Hour, -time.Hour}
)

func anyTime(t *rapid.T) time.Time {
	return rapid.OneOf(rapid.SampledFrom(times), rapid.Custom(func(t *rapid.T) time.Time {
		zone := time.FixedZone("", rapid.IntRange(-14*3600, 14*3600).Draw(t, "zone"))
		return time.Unix(rapid.Int64().Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).In(zone)
	})).Draw(t, "time")
}

func anyDuration(t *rapid.T, name string) time.Duration {
	return rapid.OneOf(rapid.SampledFrom(durations), rapid.Map(rapid.Int64(), func(n int64) time.Duration { return time.Duration(n) })).Draw(t, name)
}

// inRange reports whether all that keeps times can express this one.
func inRange(at time.Time) bool {
	return at.IsZero() || !at.Before(saturate.Earliest) && !at.After(saturate.Latest) && at.Location() == time.UTC && at.Nanosecond()%1000 == 0
}

func TestTimeIsInRangeAndKeepsTheOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x, y := anyTime(t), anyTime(t)
		kept, other := saturate.Time(x), saturate.Time(y)
		if !inRange(kept) {
			t.Fatalf("%v is kept as %v", x, kept)
		}
		if again := saturate.Time(kept); !again.Equal(kept) {
			t.Fatalf("%v becomes %v when it is kept again", kept, again)
		}
		if !x.IsZero() && !y.IsZero() && x.Unix() < y.Unix() && other.Before(kept) {
			t.Fatalf("%v is before %v, but kept as %v, and that as %v", x, y, kept, other)
		}
		up := saturate.Up(x)
		if !inRange(up) || up.Before(kept) || up.Unix() < x.Unix() && !up.Equal(saturate.Latest) || up.After(saturate.After(kept, time.Microsecond)) {
			t.Fatalf("%v is rounded up to %v", x, up)
		}
		for _, zone := range []int{-14 * 3600, 0, 14 * 3600} {
			if _, err := json.Marshal(kept.In(time.FixedZone("", zone))); err != nil {
				t.Fatalf("%v: %v", kept, err)
			}
		}
	})
}

func TestAfterGoesTheRightWay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		from, d := saturate.Time(anyTime(t)), anyDuration(t, "d")
		if from.IsZero() {
			t.Skip("it is none")
		}
		got := saturate.After(from, d)
		if !inRange(got) {
			t.Fatalf("%v after %v is %v", d, from, got)
		}
		if d >= 0 && got.Before(from) || d < 0 && got.After(from) {
			t.Fatalf("%v after %v is %v", d, from, got)
		}
		if far := from.Add(d); inRange(far.Truncate(time.Microsecond)) && !got.Equal(far.Truncate(time.Microsecond)) {
			t.Fatalf("%v after %v is %v", d, from, got)
		}
	})
}

// clamp is the arithmetic without bounds, then the bound.
func clamp(n *big.Int) time.Duration {
	if n.Cmp(big.NewInt(math.MaxInt64)) > 0 {
		return math.MaxInt64
	}
	if n.Cmp(big.NewInt(math.MinInt64)) < 0 {
		return math.MinInt64
	}
	return time.Duration(n.Int64())
}

func TestSum(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d, e := anyDuration(t, "d"), anyDuration(t, "e")
		if got, want := saturate.Sum(d, e), clamp(new(big.Int).Add(big.NewInt(int64(d)), big.NewInt(int64(e)))); got != want {
			t.Fatalf("%d and %d are %d, want %d", d, e, got, want)
		}
	})
}

func TestProduct(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d, f := anyDuration(t, "d"), rapid.Int64Range(-1<<40, 1<<40).Draw(t, "f")
		exact := new(big.Float).Mul(big.NewFloat(float64(d)), big.NewFloat(float64(f)))
		whole, _ := exact.Int(nil)
		want := clamp(whole)
		// Products are as exact as a float64 is.
		if got := saturate.Product(d, float64(f)); math.Abs(float64(got)-float64(want)) > math.Abs(float64(want))/(1<<50) {
			t.Fatalf("%d times %d is %d, want %d", d, f, got, want)
		}
	})
	for name, f := range map[string]float64{"no number": math.NaN(), "nothing": 0} {
		if got := saturate.Product(saturate.Longest, f); got != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := saturate.Product(time.Second, math.Inf(1)); got != saturate.Longest {
		t.Errorf("times infinity: %v", got)
	}
	if got := saturate.Product(time.Second, math.Inf(-1)); got != math.MinInt64 {
		t.Errorf("times minus infinity: %v", got)
	}
}

package storetest

import (
	"fmt"
	"math"
	"time"

	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

// outside are times that a store can't keep, with what it keeps instead.
var outside = map[time.Time]time.Time{
	time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC):       saturate.Latest,
	time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC):                    saturate.Latest,
	time.Date(294_277, 6, 1, 0, 0, 0, 0, time.UTC):                   saturate.Latest, // PostgreSQL's end
	time.Unix(math.MaxInt64, 999_999).UTC():                          saturate.Latest, // the year 292277026596
	time.Unix(math.MaxInt64, 999_999_999):                            saturate.Latest,
	time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC):                      saturate.Earliest,
	time.Date(-4713, 1, 1, 0, 0, 0, 0, time.FixedZone("", -14*3600)): saturate.Earliest,
	time.Date(-290_000_000, 1, 1, 0, 0, 0, 0, time.UTC):              saturate.Earliest,
	saturate.Latest:   saturate.Latest,
	saturate.Earliest: saturate.Earliest,
}

var timesTests = []test{
	{"keeps the nearest time of those that are outside of its range", func(k *kit) {
		n := 0
		for at, want := range outside {
			n++
			id := fmt.Sprint("r", n)
			r := k.response("q"+id, "step#1", "")
			r.At, r.KeepUntil = at, saturate.Latest
			t := k.begin(id, store.Effect{Kind: store.Respond, Response: r})
			t.At, t.WakeAt, t.Events[0].At = at, at, at
			k.apply(t)
			l := k.load(id)
			got, err := k.s.Response(k.ctx, "q"+id)
			k.ok(err)
			k.same("times for "+at.String(), []time.Time{l.Run.UpdatedAt, l.Run.WakeAt, l.Events[0].At, got.At}, []time.Time{want, want, want, want})
		}
	}},
	{"claims in the order of times at both ends of the range", func(k *kit) {
		k.due("last", "flow", 1, time.Date(20_000, 1, 1, 0, 0, 0, 0, time.UTC))
		k.due("first", "flow", 1, time.Date(-20_000, 12, 31, 0, 0, 0, 0, time.UTC))
		c := k.claimAt("w1", 10, time.Date(-30_000, 1, 1, 0, 0, 0, 0, time.UTC))
		k.claims(c, "first")
		k.same("next", c.Next, saturate.Latest)
		k.claims(k.claimAt("w1", 10, saturate.Latest.Add(-time.Microsecond)))
		k.claims(k.claimAt("w1", 10, time.Date(300_000, 1, 1, 0, 0, 0, 0, time.UTC)), "last")
	}},
	{"lists what was created between times outside of its range", func(k *kit) {
		k.start("r")
		early, late := time.Date(-300_000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(300_000, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, tt := range []struct {
			f    store.Filter
			want int
		}{
			{store.Filter{Since: early, Until: late}, 1},
			{store.Filter{Since: late}, 0},
			{store.Filter{Until: early}, 0},
		} {
			found, err := k.s.Runs(k.ctx, tt.f)
			k.ok(err)
			k.same("runs", len(found), tt.want)
		}
	}},
	{"prunes what ended before times outside of its range", func(k *kit) {
		t := k.begin("r")
		t.Status = store.Completed
		k.apply(t)
		pruned, _ := k.prune(time.Date(-300_000, 1, 1, 0, 0, 0, 0, time.UTC), 10)
		k.same("before the first time", pruned, 0)
		pruned, _ = k.prune(time.Date(300_000, 1, 1, 0, 0, 0, 0, time.UTC), 10)
		k.same("before the last time", pruned, 1)
	}},
	{"keeps a key, a response and a lease for the longest duration", func(k *kit) {
		const forever = time.Duration(math.MaxInt64)
		k.lease("w1", forever)
		k.park("r", "tok")
		p := store.Payload{Token: "tok", Data: []byte("1"), Key: "key", KeepFor: forever}
		_, err := k.s.Accept(k.ctx, p)
		k.ok(err)
		r := k.response("q", "step#1", "")
		r.KeepUntil = saturate.After(k.now(), forever)
		k.ok(k.s.Respond(k.ctx, r))
		k.pass(0)
		again, err := k.s.Accept(k.ctx, p)
		k.ok(err)
		k.same("duplicate", again.Duplicate, true)
		_, err = k.s.Response(k.ctx, "q")
		k.ok(err)
		workers, err := k.s.Workers(k.ctx)
		k.ok(err)
		k.same("workers", len(workers), 1)
		k.same("live", workers[0].Live, true)
	}},
	{"keeps a key and a lease for no time if the duration is negative", func(k *kit) {
		const never = time.Duration(math.MinInt64)
		k.lease("w1", never)
		k.park("r", "tok")
		p := store.Payload{Token: "tok", Data: []byte("1"), Key: "key", KeepFor: never}
		for range 2 {
			got, err := k.s.Accept(k.ctx, p)
			k.ok(err)
			k.same("duplicate", got.Duplicate, false)
			k.pass(0)
		}
		workers, err := k.s.Workers(k.ctx)
		k.ok(err)
		for _, w := range workers { // it may be forgotten already
			k.same("live", w.Live, false)
		}
	}},
}

package storetest

import (
	"context"

	"github.com/tenter-dev/tenter/store"
)

func (k *kit) examine(thorough bool) store.Examination {
	k.Helper()
	e, ok := k.s.(store.Examiner)
	if !ok {
		k.Skip("the store is not a store.Examiner")
	}
	parts := 0
	x, err := e.Examine(k.ctx, thorough, func(_ string, done, of int) {
		k.same("progress", done, parts)
		if parts++; parts > of {
			k.Errorf("%d of %d parts are done", parts, of)
		}
	})
	k.ok(err)
	k.same("damage", x.Damage, []string(nil))
	k.same("schema", x.Schema, x.Known)
	return x
}

var examineTests = []test{
	{"finds nothing wrong where nothing is", func(k *kit) {
		k.examine(false)
		k.park("r", "tok")
		k.accept("tok", "1")
		for _, thorough := range []bool{false, true} {
			x := k.examine(thorough)
			k.same("found", []int{x.Stuck.Count, x.Unclaimed.Count, x.Blocked.Count, x.Quarantined.Count, x.Orphans.Count}, []int{0, 0, 0, 0, 0})
			k.same("waiting", []any{x.Waiting.Count, ids(x.Waiting.First)}, []any{1, []string{"r"}})
			if x.Size <= 0 || len(x.Tables) == 0 {
				k.Errorf("size %d, tables %v", x.Size, x.Tables)
			}
		}
	}},
	{"finds runs whose worker is gone, and its lease", func(k *kit) {
		t := k.begin("r")
		t.Keep, t.WakeAt, t.Status = true, t.At, store.Running
		k.apply(t)
		k.lease("w1", long)
		x := k.examine(false)
		k.same("workers", []any{len(x.Workers), x.Workers[0].Name, x.Workers[0].Live}, []any{1, "w1", true})
		k.same("stuck", x.Stuck.Count, 0)
		k.lease("w1", short)
		k.pass(short)
		x = k.examine(false)
		k.same("stuck", []any{x.Stuck.Count, ids(x.Stuck.First)}, []any{1, []string{"r"}})
		k.same("live", x.Workers[0].Live, false)
	}},
	{"finds runs that nobody takes, that are blocked or in quarantine", func(k *kit) {
		for _, id := range []string{"late", "blocked", "suspect"} {
			t := k.begin(id)
			switch id {
			case "late":
				t.WakeAt = k.now().Add(-long)
			case "blocked":
				t.Status, t.BlockedBuild, t.BlockedReason = store.Blocked, "b1", "diverged"
			case "suspect":
				t.Suspicion = 2
			}
			k.apply(t)
		}
		x := k.examine(false)
		k.same("unclaimed", ids(x.Unclaimed.First), []string{"late"})
		k.same("blocked", ids(x.Blocked.First), []string{"blocked"})
		k.same("reason", x.Blocked.First[0].BlockedReason, "diverged")
		k.same("quarantined", ids(x.Quarantined.First), []string{"suspect"})
	}},
	{"finds nothing wrong with runs whose generations are pruned, and with their forks", func(k *kit) {
		k.park("r", "tok")
		k.apply(k.restarts("again"))
		k.apply(takes(k.then("r", store.Waiting), k.load("r").Mail))
		k.forks(k.forkOf("r", "f", 3))
		k.examine(true)
		_, _, err := k.s.PruneGenerations(k.ctx, k.now().Add(long), 1000)
		k.ok(err)
		k.examine(true)
	}},
	{"can be interrupted", func(k *kit) {
		e, ok := k.s.(store.Examiner)
		if !ok {
			k.Skip("the store is not a store.Examiner")
		}
		ctx, cancel := context.WithCancel(k.ctx)
		cancel()
		_, err := e.Examine(ctx, true, nil)
		k.fails(err, context.Canceled)
	}},
}

// Package storetest checks that a store keeps the contract of package store.
//
// A store's own test is a few lines:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) *storetest.Harness {
//			…
//			return &storetest.Harness{Store: st, Open: …, Advance: …}
//		})
//	}
//
// Each subtest is a sentence of the contract. Nothing here sleeps: time passes
// when the harness says so, and signals are waited for.
//
// This package must not know any store.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// Harness is a store under test, on a database of its own.
type Harness struct {
	// Store is the store. The harness closes it when the test ends.
	Store store.Store

	// Open opens the same database once more, as another process would. The
	// harness closes what it opened when the test ends; closing it twice is fine.
	Open func(t *testing.T) store.Store

	// Advance lets time pass on the clock of the store, half a second at a time: a
	// store whose clock cannot be set may wait that long. Durations that must not
	// pass meanwhile are an hour.
	Advance func(d time.Duration)

	// Begin begins a transaction of the application on the database of Store. It is nil
	// if the store is not a store.Joiner. The harness rolls back what has not ended when
	// the test does.
	Begin func(t *testing.T) AppTx

	// Check, if not nil, looks for damage that only the store can see. The model
	// test calls it after each operation.
	Check func() error
}

// Run checks a store. open is called for each subtest.
func Run(t *testing.T, open func(t *testing.T) *Harness) {
	groups := []struct {
		name  string
		tests []test
	}{
		{"Start", startTests},
		{"Apply", applyTests},
		{"Mailbox", mailTests},
		{"Hooks", hookTests},
		{"Accept", acceptTests},
		{"Respond", respondTests},
		{"Claim", claimTests},
		{"Lease", leaseTests},
		{"End", endTests},
		{"Backlog", backlogTests},
		{"Restart", restartTests},
		{"Subscribe", subscribeTests},
		{"Link", linkTests},
		{"Refused", refusedTests},
		{"Publish", publishTests},
		{"Terminate", terminateTests},
		{"Retry", retryTests},
		{"Fork", forkTests},
		{"Unblock", unblockTests},
		{"Pause", pauseTests},
		{"Prune", pruneTests},
		{"Catalog", catalogTests},
		{"List", listTests},
		{"Watch", watchTests},
		{"Data", dataTests},
		{"Times", timesTests},
		{"Concurrency", concurrencyTests},
		{"LostAnswers", lostTests},
		{"Archive", archiveTests},
		{"Examine", examineTests},
		{"Lifecycle", lifecycleTests},
	}
	t.Run("Model", func(t *testing.T) { t.Parallel(); runModel(t, open) }) // first, as it takes longest
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			for _, tt := range g.tests {
				t.Run(tt.name, func(t *testing.T) { tt.run(newKit(t, open(t))) })
			}
		})
	}
	t.Run("Within", func(t *testing.T) { t.Parallel(); RunWithin(t, open) })
}

type test struct {
	name string
	run  func(k *kit)
}

func newKit(t *testing.T, h *Harness) *kit {
	// Not t.Context: that ends before the harness closes the store.
	return &kit{T: t, h: h, s: h.Store, ctx: context.WithoutCancel(t.Context()), leased: map[string]bool{}}
}

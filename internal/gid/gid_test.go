package gid_test

import (
	"iter"
	"sync"
	"testing"

	"github.com/tenter-dev/tenter/internal/gid"
)

func TestCurrent(t *testing.T) {
	t.Parallel()
	const n = 100
	ids := make([]gid.ID, n)
	var all, alive sync.WaitGroup
	all.Add(n)
	for i := range n {
		alive.Go(func() {
			ids[i] = gid.Current()
			all.Done()
			all.Wait() // none ends before all have an ID
			if gid.Current() != ids[i] {
				t.Errorf("goroutine %d has changed its ID", i)
			}
		})
	}
	alive.Wait()
	seen := map[gid.ID]bool{0: true, gid.Current(): true}
	for i, id := range ids {
		if seen[id] {
			t.Errorf("goroutine %d shares its ID %x with another", i, id)
		}
		seen[id] = true
	}
}

// A coroutine keeps its ID whoever resumes it, and has one of its own.
func TestCurrentInCoroutine(t *testing.T) {
	t.Parallel()
	next, stop := iter.Pull(func(yield func(gid.ID) bool) {
		for yield(gid.Current()) {
		}
	})
	defer stop()
	first, _ := next()
	if first == gid.Current() {
		t.Error("coroutine has the ID of its caller")
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if id, _ := next(); id != first {
				t.Errorf("coroutine changed its ID from %x to %x", first, id)
			}
		})
		wg.Wait()
	}
}

func BenchmarkCurrent(b *testing.B) {
	for b.Loop() {
		gid.Current()
	}
}

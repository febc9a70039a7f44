package engine_test

import (
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// However many runs park at the same moment, no more than CacheSize stay in memory:
// all others are replayed when something comes for them.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	const runs, cached = 1000, 10
	var tokens sync.Map
	wf := workflow.Define("wf", func(ctx workflow.Context, in string) (string, error) {
		h, err := workflow.NewHook[string](ctx)
		if err != nil {
			return "", err
		}
		tokens.Store(h.Token(), nil)
		return h.Wait(ctx)
	})
	inLab(t, func(t *testing.T, l *lab) {
		reads := &readCounter{Store: l.store}
		var stop func() error
		l.eng, stop = l.runOn(reads, engine.Options{CacheSize: cached}, wf)
		defer func() { _ = stop() }()
		var all sync.WaitGroup
		for range runs {
			all.Go(func() {
				if _, err := wf.Start(t.Context(), l.eng, "in"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		synctest.Wait()
		reads.n.Store(0)
		for token := range tokens.Range {
			all.Go(func() {
				if _, err := workflow.Resume(t.Context(), l.eng, token.(string), "go on"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		synctest.Wait()
		if replayed := reads.n.Load(); replayed < runs-cached {
			t.Errorf("%d runs were replayed, so %d were in memory; want at most %d", replayed, runs-replayed, cached)
		}
	})
}

// Eviction closes the Done channels of all contexts of the run, those that no cancel
// reaches included, so that goroutines which listen to them end.
func TestEvictionClosesDoneOfAllContexts(t *testing.T) {
	t.Parallel()
	for name, derive := range map[string]func(workflow.Context) workflow.Context{
		"the run's":     func(ctx workflow.Context) workflow.Context { return ctx },
		"WithoutCancel": workflow.WithoutCancel,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				var opened, closed atomic.Int32
				wf := workflow.Define("listened", func(ctx workflow.Context, _ string) (string, error) {
					done := derive(ctx).Done()
					opened.Add(1)
					go func() { <-done; closed.Add(1) }()
					return "", workflow.Sleep(ctx, time.Hour)
				})
				l.run(engine.Options{CacheSize: noCache}, wf)
				r := mustStart(l, wf, "")
				if opened.Load() == 0 || closed.Load() != opened.Load() {
					t.Errorf("%d of %d channels are closed", closed.Load(), opened.Load())
				}
				mustResult(l, r)
			})
		})
	}
}

// A run that is cached has a goroutine, whose stack is as large as its code once needed it: opening
// a hook and waiting must not take more than the 4 KB that leave some to the author's code.
func TestStackOfAParkedRun(t *testing.T) {
	if raceDetector {
		t.Skip("frames are larger with the race detector")
	}
	const runs, authors = 500, 256
	wf := workflow.Define("wf", func(ctx workflow.Context, in string) (string, error) {
		var own [authors]byte
		defer runtime.KeepAlive(&own)
		h, err := workflow.NewHook[string](ctx)
		if err != nil {
			return "", err
		}
		return h.Wait(ctx)
	})
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{}, wf)
		before := stacks()
		for i := range runs {
			if _, err := wf.Start(t.Context(), l.eng, strconv.Itoa(i)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		each := float64(stacks()-before) / runs
		t.Log(each)
		if each > 5<<10 {
			t.Errorf("a parked run has a stack of %.0f bytes, want 4,096", each)
		}
	})
}

// stacks returns how much memory the stacks of all goroutines take.
func stacks() int64 {
	runtime.GC() // it shrinks stacks that are mostly empty
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.StackInuse)
}

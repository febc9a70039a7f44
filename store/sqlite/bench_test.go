package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

// BenchmarkRuns writes what runs of three steps write, so many at a time: four
// transitions and five events each.
func BenchmarkRuns(b *testing.B) {
	for _, n := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) {
			benchmark(b, n, func(ctx context.Context, s *Store, i int64) error { return threeSteps(ctx, s, runID(i)) })
		})
	}
}

// BenchmarkResume sends payloads to parked runs, which take them and end.
func BenchmarkResume(b *testing.B) {
	for _, n := range []int{1, 32} {
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) { benchmark(b, n, resume) })
	}
}

func runID(i int64) string { return fmt.Sprintf("01K9%022d", i) }

// benchmark calls f for rising numbers from n goroutines.
func benchmark(b *testing.B, n int, f func(ctx context.Context, s *Store, i int64) error) {
	s, err := OpenWith(filepath.Join(b.TempDir(), "bench.db"), Options{Private: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	ctx := b.Context()
	var next atomic.Int64
	var wg sync.WaitGroup
	before := s.Stats()
	cpu := cpuTime()
	b.ReportAllocs()
	b.ResetTimer()
	for range n {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := f(ctx, s, i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	after := s.Stats()
	ops := float64(after.Operations - before.Operations)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/ops, "cpu-µs/op")
	b.ReportMetric(ops/float64(after.Commits-before.Commits), "ops/commit")
}

var (
	benchSecret = []byte("0123456789abcdef0123456789abcdef")
	benchInput  = []byte(`{"order":"o-1234567","amount":4200,"currency":"EUR"}`)
)

func threeSteps(ctx context.Context, s *Store, id string) error {
	now := time.Now()
	started := store.NewRun{ID: id, Workflow: "checkout", Version: 1, Input: benchInput, Secret: benchSecret}
	t := &store.Transition{
		RunID: id, Worker: "worker-1", Epoch: 1, Seq: 1, Create: &started, At: now,
		Status: store.Running, WakeAt: now, Keep: true,
		Events: []store.Event{{At: now, Kind: store.Started, Data: benchInput, Asked: "step charge#1"}},
	}
	if _, err := s.Apply(ctx, t); err != nil {
		return err
	}
	for i := int64(1); i <= 3; i++ {
		at := time.Now()
		t := &store.Transition{
			RunID: id, Worker: "worker-1", Epoch: 1, Seq: i + 1, After: i, At: at,
			Status: store.Running, WakeAt: now, Keep: true,
			Events: []store.Event{{At: at, Kind: store.StepCompleted, Ref: "charge#1", Data: benchInput, Asked: "step charge#2"}},
		}
		if i == 3 {
			t.Status, t.WakeAt, t.Keep = store.Completed, time.Time{}, false
			t.Events = append(t.Events, store.Event{At: at, Kind: store.RunCompleted, Data: benchInput})
		}
		if _, err := s.Apply(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func resume(ctx context.Context, s *Store, i int64) error {
	id, now := runID(i), time.Now()
	_, err := s.Apply(ctx, &store.Transition{
		RunID: id, Worker: "worker-1", Epoch: 1, Seq: 1, At: now, Status: store.Waiting, Version: 1,
		Create:  &store.NewRun{ID: id, Workflow: "approval", Input: benchInput, Secret: benchSecret},
		Events:  []store.Event{{At: now, Kind: store.Started, Data: benchInput, Asked: "hook"}},
		Effects: []store.Effect{{Kind: store.OpenHook, Hook: store.Hook{ID: id + ".h1", Token: "t" + id, OpenedPos: 1, CreatedAt: now}}},
	})
	if err != nil {
		return err
	}
	if _, err := s.Accept(ctx, store.Payload{Token: "t" + id, Data: benchInput}); err != nil {
		return err
	}
	l, err := s.Load(ctx, id, 1)
	if err != nil {
		return err
	}
	_, err = s.Apply(ctx, &store.Transition{
		RunID: id, Worker: "worker-1", Epoch: 1, Seq: 2, After: 1, At: time.Now(), Status: store.Completed,
		Took: []int64{l.Mail[0].ID}, NoMailBefore: saturate.Beyond,
		Events: []store.Event{
			{At: now, Kind: store.PayloadReceived, Ref: id + ".h1", Data: benchInput},
			{At: now, Kind: store.RunCompleted, Data: benchInput},
		},
	})
	return err
}

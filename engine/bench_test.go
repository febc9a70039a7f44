package engine_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// BenchmarkRun measures runs of three steps, one at a time.
func BenchmarkRun(b *testing.B) {
	st, err := sqlite.OpenWith(filepath.Join(b.TempDir(), "bench.db"), sqlite.Options{Private: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	threeSteps := workflow.Define("three_steps", func(ctx workflow.Context, n int) (int, error) {
		for range 3 {
			var err error
			if n, err = workflow.Step(ctx, "add", func(context.Context) (int, error) { return n + 1, nil }); err != nil {
				return 0, err
			}
		}
		return n, nil
	})
	eng, err := engine.New(st, engine.Options{Workflows: []workflow.Definition{threeSteps}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = eng.Close() }()
	go func() { _ = eng.Run(b.Context()) }()
	b.ReportAllocs()
	for b.Loop() {
		run, err := threeSteps.Start(b.Context(), eng, 0)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := run.Result(b.Context()); err != nil || n != 3 {
			b.Fatalf("result: %d, %v", n, err)
		}
	}
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// BenchmarkMove moves runs that wait at a hook out of a SQLite file, into another one and
// into PostgreSQL.
func BenchmarkMove(b *testing.B) {
	const runs = 5000
	dir := b.TempDir()
	from := filepath.Join(dir, "from.db")
	parkRuns(b, from, runs)
	export := filepath.Join(dir, "runs.jsonl")
	each := func(b *testing.B, prepare func(n int) []string) {
		n := 0
		for b.Loop() {
			n++
			tenterQuietly(b, prepare(n)...)
		}
		b.ReportMetric(float64(runs*n)/b.Elapsed().Seconds(), "runs/s")
		b.ReportMetric(0, "ns/op")
	}
	b.Run("export", func(b *testing.B) {
		each(b, func(int) []string {
			_ = os.Remove(export)
			return []string{"--db", from, "export", "-o", export}
		})
	})
	b.Run("import/sqlite", func(b *testing.B) {
		each(b, func(n int) []string {
			return []string{"--db", filepath.Join(dir, fmt.Sprintf("to%d.db", n)), "import", export}
		})
	})
	b.Run("import/postgres", func(b *testing.B) {
		url := pgtest.Database(b)
		each(b, func(n int) []string {
			return []string{"--db", url, "--schema", fmt.Sprintf("s%d", n), "import", export}
		})
	})
}

// parkRuns makes a SQLite file with runs that wait at a hook, after a step.
func parkRuns(b testing.TB, path string, n int) {
	b.Helper()
	st, err := sqlite.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	eng, err := engine.New(st, engine.Options{Workflows: workflows("ask"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- eng.Run(ctx) }()
	for i := range n {
		_, err := eng.StartRun(ctx, workflow.StartRequest{Workflow: "approve", Input: fmt.Appendf(nil, `"doc-%d"`, i)})
		if err != nil {
			b.Fatal(err)
		}
	}
	for waiting := 0; waiting < min(n, 10_000); <-time.After(50 * time.Millisecond) {
		counts, err := eng.CountRuns(ctx)
		if err != nil {
			b.Fatal(err)
		}
		waiting = counts[workflow.StatusWaiting]
	}
	stop()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	_ = eng.Close()
	_ = st.Close()
}

func tenterQuietly(b testing.TB, args ...string) {
	b.Helper()
	var out bytes.Buffer
	a := &app{ctx: b.Context(), stdin: &out, stdout: &out, stderr: &out, env: func(string) (string, bool) { return "", false }}
	if code := a.main(args); code != 0 {
		b.Fatalf("%q: exit code %d\n%s", args, code, &out)
	}
}

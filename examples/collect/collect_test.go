package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/examples/internal/exampletest"
	"github.com/tenter-dev/tenter/internal/pgtest"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestCollect(t *testing.T) {
	t.Parallel()
	const want = "collected [0 1 2 3 4 5 6 7 8 9]\n"

	t.Run("in one go", func(t *testing.T) {
		t.Parallel()
		if out := exampletest.Output(t, "-pause", "1ms"); !strings.HasSuffix(out, want) {
			t.Errorf("it does not end with %q:\n%s", want, out)
		}
	})

	killed := func(t *testing.T, db string) {
		dir := t.TempDir()
		for _, after := range []int{2, 5, 7} {
			p := exampletest.Start(t, dir, "-db", db, "-pause", "50ms")
			p.WaitFor(fmt.Sprintf(`%d sent\n`, after))
			p.Kill()
		}
		for range 2 { // once more when all is over
			p := exampletest.Start(t, dir, "-db", db, "-pause", "1ms")
			if code := p.Wait(); code != 0 || !strings.Contains(p.Output(), "7 had arrived\n") || !strings.HasSuffix(p.Output(), want) {
				t.Errorf("exit code %d:\n%s", code, p.Output())
			}
		}
	}
	t.Run("killed and started again", func(t *testing.T) {
		t.Parallel()
		killed(t, "collect.db")
	})
	t.Run("killed and started again on PostgreSQL", func(t *testing.T) {
		t.Parallel()
		killed(t, pgtest.Database(t))
	})
}

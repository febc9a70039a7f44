package inspect_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// TestLoadPages loads runs whose hooks fill pages exactly, nearly, and more than once.
func TestLoadPages(t *testing.T) {
	t.Parallel()
	for _, n := range []int{inspect.MaxLimit - 1, inspect.MaxLimit, 2*inspect.MaxLimit + 1} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				s.work(workflow.Define("many", func(ctx workflow.Context, n int) (string, error) {
					for range n {
						if _, err := workflow.NewHook[string](ctx); err != nil {
							return "", err
						}
					}
					return "", workflow.Sleep(ctx, time.Hour)
				}))
				s.start("many", "r", fmt.Sprint(n))
				d := s.load("r")
				var want, got []string
				for i := range n {
					want = append(want, fmt.Sprintf("r.h%d", i+1))
				}
				for _, h := range d.Hooks {
					got = append(got, h.ID)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("hooks (-want +got):\n%s", diff)
				}
			})
		})
	}
}

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// A run takes a patch if it comes to the place with the new code, once and for all.
func TestPatched(t *testing.T) {
	t.Parallel()
	for _, cache := range []int{0, noCache} {
		t.Run(fmt.Sprintf("CacheSize %d", cache), func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				do := func(ctx workflow.Context, step string) error {
					return workflow.Do(ctx, step, func(context.Context) error { return nil })
				}
				// Each payload is handled in turn. before and after are what builds change.
				bot := func(before, after func(ctx workflow.Context) error) *workflow.Workflow[string, []string] {
					return workflow.Define("bot", func(ctx workflow.Context, token string) ([]string, error) {
						if err := errors.Join(before(ctx), do(ctx, "begin")); err != nil {
							return nil, err
						}
						hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
						if err != nil {
							return nil, err
						}
						var said []string
						for s, err := range hook.All(ctx) {
							if err != nil {
								return nil, err
							}
							if s == "end" {
								return said, nil
							}
							if err := errors.Join(do(ctx, "handle"), after(ctx)); err != nil {
								return nil, err
							}
							said = append(said, s)
						}
						return said, nil
					})
				}
				nothing := func(workflow.Context) error { return nil }
				patch := func(id, step string) func(ctx workflow.Context) error {
					return func(ctx workflow.Context) error {
						if !workflow.Patched(ctx, id) {
							return nil
						}
						return do(ctx, step)
					}
				}
				builds := 0
				deploy := func(before, after func(ctx workflow.Context) error) {
					t.Helper()
					builds++
					l.run(engine.Options{CacheSize: cache, Build: fmt.Sprint("build ", builds)}, bot(before, after))
				}
				start := func(id string) {
					t.Helper()
					mustStart(l, bot(nothing, nothing), id, workflow.RunID(id))
					l.advance(time.Second)
				}
				run := func(id string) *workflow.Run[[]string] { return workflow.Get[[]string](l.eng, id) }
				say := func(id, what string) {
					t.Helper()
					l.resume(id, what)
					l.advance(time.Second)
				}
				deploy(nothing, nothing)
				start("passed")
				start("waits")
				say("passed", "1")
				deploy(patch("check", "check"), patch("audit", "audit"))
				start("fresh")
				for _, id := range []string{"passed", "waits", "fresh"} {
					say(id, "2")
					say(id, "3")
				}
				deploy(nothing, patch("audit", "audit")) // the first patch is taken out of runs that never took it
				for _, id := range []string{"passed", "waits"} {
					say(id, "4")
					say(id, "end")
				}
				steps := func(id string) (names []string) {
					for _, line := range l.journal(id) {
						if ref, ok := strings.CutPrefix(line, "step_completed "); ok {
							name, _, _ := strings.Cut(ref, "#")
							names = append(names, name)
						}
					}
					return names
				}
				want := map[string][]string{
					"passed": {"begin", "handle", "handle", "handle", "handle"},
					"waits":  {"begin", "handle", "audit", "handle", "audit", "handle", "audit"},
					"fresh":  {"check", "begin", "handle", "audit", "handle", "audit"},
				}
				got := map[string][]string{"passed": steps("passed"), "waits": steps("waits"), "fresh": steps("fresh")}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("steps (-want +got):\n%s", diff)
				}
				for id, want := range map[string]int{"passed": 4, "waits": 3} {
					if said := mustResult(l, run(id)); len(said) != want {
						t.Errorf("%s has heard %v", id, said)
					}
				}
				say("fresh", "4")
				wantStatus(l, run("fresh"), workflow.StatusBlocked) // its code takes the patch that this build has lost
				// When the condition has gone and the change is kept, those that took the patch go on.
				deploy(func(ctx workflow.Context) error { return do(ctx, "check") }, func(ctx workflow.Context) error { return do(ctx, "audit") })
				say("fresh", "end")
				if said := mustResult(l, run("fresh")); len(said) != 3 {
					t.Errorf("fresh has heard %v", said)
				}
			})
		})
	}
}

// A run that took a patch takes it at every call, though the first one, where the journal has it,
// has been removed.
func TestPatchedCallRemoved(t *testing.T) {
	t.Parallel()
	for _, cache := range []int{0, noCache} {
		t.Run(fmt.Sprintf("CacheSize %d", cache), func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				code := func(first bool) *workflow.Workflow[string, []bool] {
					return workflow.Define("code", func(ctx workflow.Context, token string) (took []bool, err error) {
						hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
						if err != nil {
							return nil, err
						}
						if first {
							took = append(took, workflow.Patched(ctx, "p"))
						}
						for range 2 {
							if _, err := hook.Wait(ctx); err != nil {
								return nil, err
							}
							took = append(took, workflow.Patched(ctx, "p"))
						}
						return took, nil
					})
				}
				l.run(engine.Options{CacheSize: cache, Build: "build 1"}, code(true))
				ids := []string{"before its calls", "between its calls"}
				for _, id := range ids {
					mustStart(l, code(true), id, workflow.RunID(id))
				}
				l.advance(time.Second)
				l.resume(ids[1], "1")
				l.advance(time.Second)
				l.run(engine.Options{CacheSize: cache, Build: "build 2"}, code(false))
				l.resume(ids[0], "1")
				for _, id := range ids {
					l.resume(id, "2")
					l.advance(time.Second)
					got := mustResult(l, workflow.Get[[]bool](l.eng, id))
					if diff := cmp.Diff([]bool{true, true}, got); diff != "" {
						t.Errorf("%s: took the patch (-want +got):\n%s", id, diff)
					}
				}
			})
		})
	}
}

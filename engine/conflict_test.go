package engine_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// A token or an ID that is taken by the run itself, its parent or its child can't be
// waited for as that of any other run: the error says who has it and what to do.
func TestConflictsInTheFamily(t *testing.T) {
	t.Parallel()
	const own = ": use that hook, close it before you open another one, or choose another token"
	open := func(ctx workflow.Context, opts ...workflow.HookOption) (string, error) {
		_, err := workflow.NewHook[string](ctx, opts...)
		return "", err
	}
	openChild := workflow.Define("open child", func(ctx workflow.Context, _ string) (string, error) {
		return open(ctx, workflow.Token("t"))
	})
	keeper := workflow.Define("keeper", func(ctx workflow.Context, _ string) (string, error) {
		if _, err := open(ctx, workflow.Token("t")); err != nil {
			return "", err
		}
		return "", workflow.Sleep(ctx, time.Hour)
	})
	for name, tt := range map[string]struct {
		body func(ctx workflow.Context) (string, error)
		want string
	}{
		"two hooks": {func(ctx workflow.Context) (string, error) {
			if _, err := open(ctx, workflow.Token("t")); err != nil {
				return "", err
			}
			return open(ctx, workflow.Token("t"))
		}, `token "t" is taken by hook r.h1 of this same run, opened at event 1` + own},
		"a webhook and a hook": {func(ctx workflow.Context) (string, error) {
			if _, err := workflow.NewWebhook(ctx, workflow.Token("t")); err != nil {
				return "", err
			}
			return open(ctx, workflow.Token("t"))
		}, `token "t" is taken by hook r.h1 of this same run, opened at event 1` + own},
		"two webhooks": {func(ctx workflow.Context) (string, error) {
			if _, err := workflow.NewWebhook(ctx, workflow.Token("t")); err != nil {
				return "", err
			}
			_, err := workflow.NewWebhook(ctx, workflow.Token("t"))
			return "", err
		}, `token "t" is taken by hook r.h1 of this same run, opened at event 1` + own},
		"a generated token": {func(ctx workflow.Context) (string, error) {
			hook, err := workflow.NewHook[string](ctx)
			if err != nil {
				return "", err
			}
			return open(ctx, workflow.Token(hook.Token()))
		}, `token "***" is taken by hook r.h1 of this same run, opened at event 1` + own},
		"two branches": {func(ctx workflow.Context) (string, error) {
			first := workflow.Go(ctx, func(ctx workflow.Context) (string, error) { return open(ctx, workflow.Token("t")) })
			second := workflow.Go(ctx, func(ctx workflow.Context) (string, error) { return open(ctx, workflow.Token("t")) })
			if _, err := first.Wait(ctx); err != nil {
				return "", err
			}
			return second.Wait(ctx)
		}, `token "t" is taken by hook r.h1 of this same run, opened at event 1` + own},
		"a reservation": {nil, `token "t" is taken by hook r.h0 of this same run, opened at event 1` + own},
		"the parent": {func(ctx workflow.Context) (string, error) {
			if _, err := open(ctx, workflow.Token("t")); err != nil {
				return "", err
			}
			return openChild.Call(ctx, "")
		}, `run r.open child.1 of open child: token "t" is taken by run r, the parent of this run, which may be waiting for this run: ` +
			`close the parent's hook before the child is started, or choose another token`},
		"a child": {func(ctx workflow.Context) (string, error) {
			keeper.Go(ctx, "")
			if err := workflow.Sleep(ctx, time.Minute); err != nil {
				return "", err
			}
			return open(ctx, workflow.Token("t"))
		}, `token "t" is taken by run r.keeper.1, a child of this run: wait for its result first, or choose another token`},
		"its own ID": {func(ctx workflow.Context) (string, error) {
			return keeper.Call(ctx, "", workflow.RunID("r"))
		}, `run r exists: it is the run that asks, and can't be its own child; choose another RunID`},
		"the ID of a child": {func(ctx workflow.Context) (string, error) {
			keeper.Go(ctx, "", workflow.RunID("c"))
			return keeper.Call(ctx, "", workflow.RunID("c"))
		}, `run c exists: the run that asks has started it before; wait for that child, or choose another RunID`},
		"the parent's ID": {func(ctx workflow.Context) (string, error) {
			return workflow.Declare[string, string]("asks for parent").Call(ctx, "")
		}, `run r.asks for parent.1 of asks for parent: run r exists: it is the parent of the run that asks; choose another RunID`},
	} {
		for _, cache := range []int{0, noCache} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				inLab(t, func(t *testing.T, l *lab) {
					body := tt.body
					if body == nil {
						body = func(ctx workflow.Context) (string, error) {
							if _, err := open(ctx, workflow.Token("t")); err != nil {
								return "", err
							}
							return open(ctx, workflow.Token("t"))
						}
					}
					wf := workflow.Define("wf", func(ctx workflow.Context, _ string) (string, error) { return body(ctx) })
					asks := workflow.Define("asks for parent", func(ctx workflow.Context, _ string) (string, error) {
						return wf.Call(ctx, "", workflow.RunID("r"))
					})
					l.run(engine.Options{CacheSize: cache, PublicURL: "https://example.com"}, wf, openChild, keeper, asks)
					if tt.body == nil {
						l.resume("t", "hello", workflow.OrStart(wf, "", workflow.RunID("r")))
					} else {
						mustStart(l, wf, "", workflow.RunID("r"))
					}
					err := mustFail(l, workflow.Get[string](l.eng, "r"))
					failed, ok := errors.AsType[*workflow.RunError](err)
					if !ok {
						t.Fatal(err)
					}
					if diff := cmp.Diff(tt.want, failed.Err.Error()); diff != "" {
						t.Errorf("the error (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}

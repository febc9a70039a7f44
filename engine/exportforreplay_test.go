package engine_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// A run is exported for replay by code that can replay it: other code draws other numbers.
func TestExportForReplayOfOtherCode(t *testing.T) {
	t.Parallel()
	waits := func(step string) *workflow.Workflow[string, string] {
		return workflow.Define("waits", func(ctx workflow.Context, token string) (string, error) {
			if err := workflow.Do(ctx, step, func(context.Context) error { return nil }); err != nil {
				return "", err
			}
			hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
			if err != nil {
				return "", err
			}
			return hook.Wait(ctx)
		})
	}
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{}, waits("ask"))
		run := mustStart(l, waits("ask"), "go")
		for want, def := range map[string]workflow.Definition{"diverges: ": waits("demand"), "version_missing: ": tokenWaiter} {
			eng, err := engine.New(l.store, engine.Options{Workflows: []workflow.Definition{def}})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = eng.Close() }()
			var file strings.Builder
			err = eng.ExportForReplay(l.Context(), &file, []string{run.ID()}, engine.ExportForReplayOptions{})
			if err == nil || !strings.Contains(err.Error(), "can't replay it as it is: "+want) || !strings.Contains(err.Error(), run.ID()) {
				t.Errorf("error is %v, want %q", err, want)
			}
		}
	})
}

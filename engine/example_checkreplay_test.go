package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// Before a build is deployed, it replays the runs that another one has begun.
func ExampleCheckReplay() {
	order := func(step string) *workflow.Workflow[string, string] {
		return workflow.Define("order", func(ctx workflow.Context, _ string) (string, error) {
			if err := workflow.Do(ctx, step, func(context.Context) error { return nil }); err != nil {
				return "", err
			}
			hook, err := workflow.NewHook[string](ctx, workflow.Token("approval"))
			if err != nil {
				return "", err
			}
			return hook.Wait(ctx)
		})
	}
	dir, err := os.MkdirTemp("", "tenter")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "app.db")
	st, err := sqlite.Open(path)
	if err != nil {
		panic(err)
	}
	defer func() { _ = st.Close() }()
	deployed, err := engine.New(st, engine.Options{Workflows: []workflow.Definition{order("charge")}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	defer func() { _ = deployed.Close() }()
	ctx := context.Background()
	go func() { _ = deployed.Run(ctx) }()
	if _, err := order("charge").Start(ctx, deployed, "", workflow.RunID("order-7")); err != nil {
		panic(err)
	}
	watching, enough := context.WithCancel(ctx)
	defer enough()
	_ = deployed.Watch(watching, "order-7", func(inspect.Change) {
		if info, err := deployed.RunInfo(ctx, "order-7"); err != nil || info.Status == workflow.StatusWaiting {
			enough()
		}
	})

	reader, err := sqlite.OpenReader(path, sqlite.Options{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = reader.Close() }()
	next := engine.Options{Workflows: []workflow.Definition{order("charge-card")}}
	for check, err := range engine.CheckReplay(ctx, reader, next, engine.CheckReplayOptions{}) {
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s %s: the journal has %q, the code asks for %q\n", check.RunID, check.Verdict, check.Recorded, check.Attempted)
	}
	// Output:
	// order-7 diverges: the journal has "step charge#1", the code asks for "step charge-card#1"
}

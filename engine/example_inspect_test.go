package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// An engine shows what runs wait for, pushes what changes, and keeps what has happened.
func ExampleEngine_Watch() {
	approve := workflow.Define("approve", func(ctx workflow.Context, doc string) (string, error) {
		hook, err := workflow.NewHook[string](ctx, workflow.Token("approve:"+doc))
		if err != nil {
			return "", err
		}
		return hook.Wait(ctx)
	})
	dir, err := os.MkdirTemp("", "tenter")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	st, err := sqlite.Open(filepath.Join(dir, "app.db"))
	if err != nil {
		panic(err)
	}
	defer func() { _ = st.Close() }()
	eng, err := engine.New(st, engine.Options{Workflows: []workflow.Definition{approve}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	defer func() { _ = eng.Close() }()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	go func() { _ = eng.Run(ctx) }()

	run, err := approve.Start(ctx, eng, "doc-7", workflow.RunID("r"))
	if err != nil {
		panic(err)
	}
	watching, enough := context.WithCancel(ctx)
	defer enough()
	var status workflow.Status
	err = eng.Watch(watching, run.ID(), func(inspect.Change) {
		info, err := eng.RunInfo(ctx, run.ID())
		if err != nil || info.Status == status {
			return
		}
		switch status = info.Status; {
		case status == workflow.StatusWaiting:
			hooks, err := eng.Hooks(ctx, inspect.HookFilter{RunID: run.ID()})
			if err != nil || len(hooks) == 0 {
				panic(fmt.Sprint("no hook: ", err))
			}
			fmt.Println("waits at", hooks[0].Token)
			if _, err := workflow.Resume(ctx, eng, hooks[0].Token, "yes"); err != nil {
				panic(err)
			}
		case status.Ended():
			fmt.Println(status)
			enough()
		}
	})
	if err != nil {
		panic(err)
	}
	events, err := eng.Journal(ctx, run.ID(), 0, 0)
	if err != nil {
		panic(err)
	}
	for _, e := range events {
		fmt.Println(e.Position, e.Kind, string(e.Data), e.Asked)
	}
	// Output:
	// waits at approve:doc-7
	// completed
	// 1 started "doc-7" [hook 1 token approve:doc-7]
	// 2 hook_claimed "r.h1" []
	// 3 payload_received "yes" []
	// 4 completed "yes" []
}

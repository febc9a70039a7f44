package workflow_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// The quick start: define a workflow, give it to an engine on a store, start a run,
// resume it from outside.
func Example() {
	approval := workflow.Define("approval", func(ctx workflow.Context, doc string) (string, error) {
		hook, err := workflow.NewHook[bool](ctx, workflow.Token("approval:"+doc))
		if err != nil {
			return "", err
		}
		defer hook.Close()
		approved, err := hook.Wait(ctx) // a second or a year, over crashes and deploys
		if err != nil || !approved {
			return "rejected", err
		}
		return workflow.Step(ctx, "publish", func(context.Context) (string, error) {
			return "published " + doc, nil
		})
	})

	dir := must(os.MkdirTemp("", "tenter"))
	defer func() { _ = os.RemoveAll(dir) }()
	st := must(sqlite.Open(filepath.Join(dir, "app.db")))
	defer func() { _ = st.Close() }()
	eng := must(engine.New(st, engine.Options{
		Workflows: []workflow.Definition{approval},
		Logger:    slog.New(slog.DiscardHandler),
	}))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- eng.Run(ctx) }() // executes runs until ctx ends, then drains

	run := must(approval.Start(ctx, eng, "doc-7"))
	for { // elsewhere: a button, an e-mail, another service
		if _, err := workflow.Resume(ctx, eng, "approval:doc-7", true); err == nil {
			break
		}
		<-time.After(time.Millisecond) // it has not begun yet
	}
	fmt.Println(run.Result(ctx))
	stop()
	fmt.Println(<-done)
	// Output:
	// published doc-7 <nil>
	// <nil>
}

// serve executes workflows for an example. It returns when the engine is at work.
func serve(defs ...workflow.Definition) (eng *engine.Engine, stop func()) {
	dir := must(os.MkdirTemp("", "tenter"))
	st := must(sqlite.Open(filepath.Join(dir, "example.db")))
	ready := workflow.Define("ready", func(workflow.Context, bool) (bool, error) { return true, nil })
	eng = must(engine.New(st, engine.Options{
		Workflows: append(defs, ready),
		Logger:    slog.New(slog.DiscardHandler),
	}))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- eng.Run(ctx) }()
	must(must(ready.Start(ctx, eng, true)).Result(ctx))
	return eng, func() {
		cancel()
		must(true, <-done)
		must(true, eng.Close())
		must(true, st.Close())
		must(true, os.RemoveAll(dir))
	}
}

// must keeps the examples short.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// untilWaiting returns when the run is parked.
func untilWaiting[Out any](run *workflow.Run[Out]) {
	for must(run.Status(context.Background())) != workflow.StatusWaiting {
		<-time.After(time.Millisecond)
	}
}

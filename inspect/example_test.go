package inspect_test

import (
	"context"
	"errors"
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

// What a run has done, and what it waits for.
func ExampleLoad() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	st, err := sqlite.Open(filepath.Join(dir, "app.db"))
	if err != nil {
		panic(err)
	}
	approve := workflow.Define("approve", func(ctx workflow.Context, doc string) (bool, error) {
		err := workflow.Do(ctx, "ask", func(context.Context) error { return nil })
		if err != nil {
			return false, err
		}
		hook, err := workflow.NewHook[bool](ctx, workflow.Token("approval:"+doc))
		if err != nil {
			return false, err
		}
		return hook.Wait(ctx)
	})
	eng, err := engine.New(st, engine.Options{Workflows: []workflow.Definition{approve}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- eng.Run(ctx) }()
	run, err := approve.Start(ctx, eng, "doc-7", workflow.RunID("doc-7"))
	if err != nil {
		panic(err)
	}
	waiting := make(chan struct{})
	go func() { // an engine reports progress
		watched, enough := context.WithCancel(ctx)
		_ = eng.Watch(watched, run.ID(), func(inspect.Change) {
			if info, err := run.Info(ctx); err == nil && info.Status == workflow.StatusWaiting {
				enough()
			}
		})
		close(waiting)
	}()
	<-waiting

	d, err := inspect.Load(ctx, eng, run.ID())
	if err != nil {
		panic(err)
	}
	for _, item := range d.Items {
		fmt.Println(item.Kind, item.Name, item.State)
	}
	d.Waits[0].Since = time.Now().Add(-3 * time.Hour)
	fmt.Println("it", d.Explain(time.Now()))

	stop()
	if err := errors.Join(<-done, eng.Close(), st.Close()); err != nil {
		panic(err)
	}
	// Output:
	// step ask#1 done
	// hook approval:doc-7 open
	// it waits for a payload to hook approval:doc-7, since 3 h
}

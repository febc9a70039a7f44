package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// The life of a program, and the order in which its parts end: Run, the server, the
// engine, the store.
func ExampleEngine_Run() {
	greet := workflow.Define("greet", func(ctx workflow.Context, name string) (string, error) {
		return workflow.Step(ctx, "greet", func(context.Context) (string, error) { return "hello, " + name, nil })
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
	eng, err := engine.New(st, engine.Options{
		Workflows: []workflow.Definition{greet},
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background()) // in a program: signal.NotifyContext
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(ctx) }()
	server := httptest.NewServer(http.NotFoundHandler()) // in a program: an http.Server whose handlers use eng

	run, err := greet.Start(ctx, eng, "Ada")
	if err != nil {
		panic(err)
	}
	fmt.Println(run.Result(ctx))

	stop()
	fmt.Println("run:", <-ended)        // steps have finished; what is started from now on is left to the next worker
	server.Close()                      // in a program: server.Shutdown(ctx)
	fmt.Println("engine:", eng.Close()) // what still waits for a result gets ErrEngineClosed
	fmt.Println("store:", st.Close())   // nothing needs it any more
	// Output:
	// hello, Ada <nil>
	// run: <nil>
	// engine: <nil>
	// store: <nil>
}

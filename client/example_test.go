package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/client"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// Double is declared where it is started from, and implemented where it is executed.
var (
	Double      = workflow.Declare[int, int]("double")
	ErrNegative = workflow.DefineError("negative")
)

func double(_ workflow.Context, n int) (int, error) {
	if n < 0 {
		return 0, ErrNegative
	}
	return 2 * n, nil
}

// serve is a server somewhere else.
func serve() (url string, stop func()) {
	dir, err := os.MkdirTemp("", "example-")
	check(err)
	st, err := sqlite.Open(filepath.Join(dir, "a.db"))
	check(err)
	quiet := slog.New(slog.DiscardHandler)
	eng, err := engine.New(st, engine.Options{Workflows: []workflow.Definition{Double.Implement(double)}, Logger: quiet})
	check(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- eng.Run(ctx) }()

	mux := http.NewServeMux()
	mux.Handle(server.APIPath, server.API(eng, server.APIOptions{
		Access: access.Policy{APIKeys: []access.APIKey{{Secret: "correct-horse-battery", Scope: access.Write}}}, Logger: quiet,
	}))
	srv := httptest.NewServer(mux)
	return srv.URL, func() {
		cancel()
		err := errors.Join(<-done, eng.Close())
		srv.Close()
		check(errors.Join(err, st.Close(), os.RemoveAll(dir)))
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func Example() {
	url, stop := serve()
	defer stop()
	ctx := context.Background()

	c, err := client.New(url, client.Options{APIKey: "correct-horse-battery"})
	check(err)
	run, err := Double.Start(ctx, c, 21)
	check(err)
	fmt.Println(run.Result(ctx))

	run, err = Double.Start(ctx, c, -1)
	check(err)
	_, err = run.Result(ctx)
	fmt.Println(errors.Is(err, ErrNegative))

	_, err = Double.Start(ctx, c, 1, workflow.RunID(run.ID()))
	exists, ok := errors.AsType[*workflow.RunExistsError](err)
	fmt.Println(ok, exists.RunID == run.ID())
	// Output:
	// 42 <nil>
	// true
	// true true
}

// A client is an inspect.Client, as an engine is: it looks around as well.
func ExampleClient_Runs() {
	url, stop := serve()
	defer stop()
	ctx := context.Background()
	c, err := client.New(url, client.Options{APIKey: "correct-horse-battery"})
	check(err)
	for n := range 5 {
		run, err := Double.Start(ctx, c, n, workflow.RunID(fmt.Sprint("double-", n)))
		check(err)
		_, err = run.Result(ctx)
		check(err)
	}
	f := inspect.RunFilter{Status: workflow.StatusCompleted, Limit: 2}
	for {
		page, err := c.Runs(ctx, f)
		check(err)
		if len(page) == 0 {
			break
		}
		fmt.Println("a page:")
		for _, run := range page {
			fmt.Println(run.ID)
			f.Before = run.Cursor
		}
	}
	// Output:
	// a page:
	// double-4
	// double-3
	// a page:
	// double-2
	// double-1
	// a page:
	// double-0
}

func ExampleError() {
	url, stop := serve()
	defer stop()
	c, err := client.New(url, client.Options{APIKey: "a-key-of-somebody-else"})
	check(err)
	_, err = c.CountRuns(context.Background())
	if refused, ok := errors.AsType[*client.Error](err); ok {
		fmt.Println(refused.Status, refused.Code)
	}
	// Output:
	// 401 unauthorized
}

package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// A typical run goes into testdata, where workflowtest.Replay replays it with each change of the code.
func ExampleEngine_ExportForReplay() {
	type customer struct {
		Email string `json:"email"`
		Plan  string `json:"plan"`
	}
	welcome := workflow.Define("welcome", func(ctx workflow.Context, c customer) (string, error) {
		err := workflow.Do(ctx, "mail", func(context.Context) error { return nil })
		return "welcome to " + c.Plan + ", " + c.Email, err
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
	eng, err := engine.New(st, engine.Options{Workflows: []workflow.Definition{welcome}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	defer func() { _ = eng.Close() }()
	ctx := context.Background()
	go func() { _ = eng.Run(ctx) }()
	run, err := welcome.Start(ctx, eng, customer{"ada@example.com", "gold"}, workflow.RunID("welcome-ada"))
	if err != nil {
		panic(err)
	}
	if _, err := run.Result(ctx); err != nil {
		panic(err)
	}

	var file strings.Builder
	err = eng.ExportForReplay(ctx, &file, []string{run.ID()}, engine.ExportForReplayOptions{RedactFields: []string{"email"}})
	if err != nil {
		panic(err)
	}
	for _, part := range []string{"welcome to gold", "ada@example.com", "secret"} {
		fmt.Printf("%q is in it: %v\n", part, strings.Contains(file.String(), part))
	}
	// Output:
	// "welcome to gold" is in it: true
	// "ada@example.com" is in it: false
	// "secret" is in it: false
}

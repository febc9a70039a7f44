package workflowtest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/archive"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
	"github.com/tenter-dev/tenter/workflowtest"
)

// asking executes a step, and waits for an answer.
func asking(step string) *workflow.Workflow[string, string] {
	return workflow.Define("asking", func(ctx workflow.Context, _ string) (string, error) {
		if err := workflow.Do(ctx, step, func(context.Context) error { return nil }); err != nil {
			return "", err
		}
		hook, err := workflow.NewHook[string](ctx, workflow.Token("answer"))
		if err != nil {
			return "", err
		}
		return hook.Wait(ctx)
	})
}

// exported writes what "tenter export" would of a run that waits.
func exported(t *testing.T, wf *workflow.Workflow[string, string]) (file string) {
	t.Helper()
	return exportedBy(t, wf, func(f *os.File, a *store.Archive) error {
		return errors.Join(archive.WriteHead(f, "app.db", time.Now(), 1), archive.WriteTree(f, a.Run.ID, 1), archive.WriteRun(f, a))
	})
}

// exportedForReplay writes what "tenter export --for-replay" would with some number of draws.
func exportedForReplay(t *testing.T, wf *workflow.Workflow[string, string], draws int) (file string) {
	t.Helper()
	return exportedBy(t, wf, func(f *os.File, a *store.Archive) error {
		recorder := archive.Recorder{IDs: draws, Rands: draws}
		rec, err := recorder.Record(a)
		return errors.Join(err, archive.WriteReplayHead(f, 1), archive.WriteRecording(f, &rec))
	})
}

func exportedBy(t *testing.T, wf *workflow.Workflow[string, string], write func(f *os.File, a *store.Archive) error) (file string) {
	t.Helper()
	st, err := sqlite.Open(filepath.Join(t.TempDir(), "app.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	eng, err := engine.New(st, engine.Options{Workflows: []workflow.Definition{wf}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = eng.Run(t.Context()) }()
	defer func() { _ = eng.Close() }()
	run, err := wf.Start(t.Context(), eng, "", workflow.RunID(wf.Name()+"-1"))
	if err != nil {
		t.Fatal(err)
	}
	watching, enough := context.WithTimeout(t.Context(), 5*time.Minute)
	defer enough()
	_ = eng.Watch(watching, run.ID(), func(inspect.Change) {
		if info, err := eng.RunInfo(t.Context(), run.ID()); err != nil || info.Status == workflow.StatusWaiting {
			enough()
		}
	})
	a, err := st.Export(t.Context(), run.ID())
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "asking.jsonl")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(write(f, &a), f.Close()); err != nil {
		t.Fatal(err)
	}
	return file
}

// lottery draws three random sources and an ID, and waits with a token made of them.
var lottery = workflow.Define("lottery", func(ctx workflow.Context, _ string) (string, error) {
	var token strings.Builder
	token.WriteString(workflow.NewID(ctx))
	for range 3 {
		_, _ = fmt.Fprint(&token, " ", workflow.Rand(ctx).Int())
	}
	hook, err := workflow.NewHook[string](ctx, workflow.Token(token.String()))
	if err != nil {
		return "", err
	}
	return hook.Wait(ctx)
})

func TestReplay(t *testing.T) {
	t.Parallel()
	workflowtest.Replay(t, with(asking("ask")), exported(t, asking("ask")))
	workflowtest.Replay(t, with(lottery, asking("ask")), exportedForReplay(t, lottery, 3), exportedForReplay(t, asking("ask"), 0))
}

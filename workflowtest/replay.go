package workflowtest

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/archive"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// replayAll replays all runs of a test that is over. A run whose code does something else this time
// would be blocked after a crash, or return something else.
func (e *Engine) replayAll() {
	e.t.Helper()
	e.settle(e.t.Context())
	for c, err := range e.client.CheckReplay(e.t.Context(), engine.CheckReplayOptions{Ended: true, Parallel: 1}) {
		if err != nil {
			e.t.Errorf("workflowtest: replay all runs at the end of the test: %v", err)
			return
		}
		if c.Verdict != engine.ReplaySame && c.Status != workflow.StatusBlocked {
			e.t.Errorf("run %s of %s is non-deterministic. Replayed at the end of the test, as after a crash: %s", c.RunID, c.Workflow, c.Detail)
		}
	}
}

// Replay replays the runs in files that "tenter export" has written, and fails the test for each
// that the workflows of opts could not continue: keep the journals of typical runs beside the code,
// and a change that would block such runs fails before it is deployed. It is
// [engine.Engine.CheckReplay], with runs that have ended, on a database of the test's own.
//
// An export has all payloads, and the secrets that tokens derive from: don't keep one of production
// in a repository.
func Replay(t *testing.T, opts engine.Options, files ...string) {
	t.Helper()
	if opts.PublicURL == "" {
		opts.PublicURL = "https://app.test"
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	st, err := sqlite.OpenWith(filepath.Join(t.TempDir(), "replay.db"), sqlite.Options{Private: true, Logger: opts.Logger})
	if err != nil {
		t.Fatalf("workflowtest: %v", err)
	}
	defer func() { _ = st.Close() }()
	if len(files) == 0 {
		t.Fatal("workflowtest: Replay got no files")
	}
	for _, file := range files {
		if err := importFile(t, st, file); err != nil {
			t.Fatalf("workflowtest: read %s: %v", file, err)
		}
	}
	eng, err := engine.New(st, opts)
	if err != nil {
		t.Fatalf("workflowtest: %v", err)
	}
	defer func() { _ = eng.Close() }()
	for c, err := range eng.CheckReplay(t.Context(), engine.CheckReplayOptions{Ended: true}) {
		if err != nil {
			t.Fatalf("workflowtest: %v", err)
		}
		if c.Verdict != engine.ReplaySame {
			t.Errorf("run %s of %s: %s: %s", c.RunID, c.Workflow, c.Verdict, c.Detail)
		}
	}
}

// importFile imports the runs of an export.
func importFile(t *testing.T, st *sqlite.Store, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	r := archive.NewReader(f)
	if _, err := r.Head(); err != nil {
		return err
	}
	for {
		runs, err := r.Tree()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := st.Import(t.Context(), runs); err != nil {
			return err
		}
	}
}

package workflowtest

import (
	"errors"
	"io"
	"os"
	"testing"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/archive"
	"github.com/tenter-dev/tenter/workflow"
)

// replayAll replays all runs of a test that is over. A run whose code does something else this time
// would be blocked after a crash, or return something else.
func (e *Engine) replayAll() {
	e.t.Helper()
	e.settle(e.t.Context())
	for c, err := range engine.CheckReplay(e.t.Context(), e.store, e.opts, engine.CheckReplayOptions{Ended: true, Parallel: 1}) {
		if err != nil {
			e.t.Errorf("workflowtest: replay all runs at the end of the test: %v", err)
			return
		}
		if c.Verdict != engine.ReplaySame && c.Status != workflow.StatusBlocked {
			e.t.Errorf("run %s of %s is non-deterministic. Replayed at the end of the test, as after a crash: %s", c.RunID, c.Workflow, c.Detail)
		}
	}
}

// Replay replays the runs in files that "tenter export" or [engine.Engine.ExportForReplay] has written,
// and fails the test for each that the workflows of opts could not continue, or that has payloads waiting
// which they could not decode: keep the journals of typical runs beside the code, and a change that would
// block such runs fails before it is deployed. It is [engine.CheckReplay], with runs that have ended.
// PublicURL and AnswerKeys have the defaults of [Test].
//
// For a repository, take ExportForReplay or "tenter export --for-replay": such a file has no secrets, and
// can be redacted. Other exports have all payloads, and the secrets that tokens derive from.
func Replay(t *testing.T, opts engine.Options, files ...string) {
	t.Helper()
	setDefaults(&opts)
	if len(files) == 0 {
		t.Fatal("workflowtest: Replay got no files")
	}
	var all archive.Recordings
	for _, file := range files {
		if err := read(&all, file); err != nil {
			t.Fatalf("workflowtest: read %s: %v", file, err)
		}
	}
	for c, err := range engine.CheckReplay(t.Context(), &all, opts, engine.CheckReplayOptions{Ended: true}) {
		if err != nil {
			t.Fatalf("workflowtest: %v", err)
		}
		if c.Detail != "" {
			t.Errorf("run %s of %s: %s: %s", c.RunID, c.Workflow, c.Verdict, c.Detail)
		}
	}
}

// read adds the runs of an export to others.
func read(all *archive.Recordings, file string) error {
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
		runs, err := r.Recordings()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range runs {
			if err := all.Add(runs[i]); err != nil {
				return err
			}
		}
	}
}

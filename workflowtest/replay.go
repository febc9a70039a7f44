package workflowtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/archive"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// replayAll replays all runs of a test that is over. A run whose code does something else this time
// would be blocked after a crash, or return something else.
func (e *Engine) replayAll() {
	e.t.Helper()
	ctx := e.t.Context()
	e.settle(ctx)
	err := e.replay(ctx, e.store, "Replayed at the end of the test, as after a crash")
	var runs []store.Run
	if err == nil {
		runs, err = e.allRuns(ctx)
	}
	for _, r := range runs {
		if r.Generation > 0 && r.Status != store.Blocked && err == nil {
			err = e.replayGenerations(ctx, r.ID)
		}
	}
	if err != nil {
		e.t.Errorf("workflowtest: replay all runs at the end of the test: %v", err)
	}
}

// replay replays the runs that a reader has.
func (e *Engine) replay(ctx context.Context, from store.Reader, how string) error {
	e.t.Helper()
	for c, err := range engine.CheckReplay(ctx, from, e.opts, engine.CheckReplayOptions{Ended: true, Parallel: 1}) {
		if err != nil {
			return err
		}
		if c.Verdict != engine.ReplaySame && c.Status != workflow.StatusBlocked {
			e.t.Errorf("run %s of %s is non-deterministic. %s: %s", c.RunID, c.Workflow, how, c.Detail)
		}
	}
	return nil
}

// replayGenerations replays the generations of a run that are over: a run is loaded with its present
// one only.
func (e *Engine) replayGenerations(ctx context.Context, runID string) error {
	e.t.Helper()
	a, err := e.store.Export(ctx, runID)
	if err != nil {
		return err
	}
	for i := range a.Generations {
		g := newPast(e.store, &a, &a.Generations[i].Generation)
		if err := e.replay(ctx, g, fmt.Sprintf("Its generation %d replayed at the end of the test, as after a crash", g.run.Run.Generation)); err != nil {
			return err
		}
	}
	return nil
}

// past is a reader of one run, as it was when a generation of it ended.
type past struct {
	store.Reader
	run  store.Loaded
	next []byte
}

func newPast(r store.Reader, a *store.Archive, g *store.Generation) *past {
	p := &past{Reader: r, run: store.Loaded{Run: a.Run}}
	head := &p.run.Run
	head.Generation, head.Base, head.Events, head.Status = int32(g.Number), g.Base, g.Last, store.Running //nolint:gosec // as many as there were
	for _, ev := range a.Events {
		switch {
		case ev.Position > g.Base && ev.Position <= g.Last:
			p.run.Events = append(p.run.Events, ev)
		case ev.Position == g.Last+1:
			p.next = ev.Data
		}
	}
	if n := len(p.run.Events); n > 0 {
		head.Version = cmp.Or(journal.DecodeRestarted(p.run.Events[n-1].Data).Version, head.Version)
	}
	return p
}

// Runs implements [store.Reader].
func (p *past) Runs(context.Context, store.Filter) ([]store.Run, error) {
	return []store.Run{p.run.Run}, nil
}

// Load implements [store.Reader].
func (p *past) Load(context.Context, string, int64) (store.Loaded, error) { return p.run, nil }

// RestartedWith returns the input that the generation has given to the next, nil if that has not begun.
func (p *past) RestartedWith(string) []byte { return p.next }

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

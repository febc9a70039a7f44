package scenario_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// Several processes on one file.

// logging appends a line to a file in a step, and returns how long that is.
var logging = workflow.Define("logging", func(ctx workflow.Context, path string) (int, error) {
	return workflow.Step(ctx, "append", func(ctx context.Context) (int, error) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return 0, err
		}
		n, err := f.WriteString(workflow.InfoOf(ctx).RunID + "\n")
		return n, errors.Join(err, f.Close())
	})
})

// TestTwoProcessesExecuteEachRunOnce: while nobody dies, no step is executed twice.
func TestTwoProcessesExecuteEachRunOnce(t *testing.T) {
	t.Parallel()
	onEachStore(t, executeEachRunOnce)
}

func executeEachRunOnce(t *testing.T, db *database) {
	t.Helper()
	services := []*service{newService(t, db, longLease), newService(t, db, longLease)}
	log := filepath.Join(t.TempDir(), "log")
	const n = 150
	for i := range n {
		id := fmt.Sprint("run-", i)
		if i%3 == 2 { // by somebody who executes nothing
			if _, err := logging.Start(t.Context(), db.api, log, workflow.RunID(id)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		services[i%3].start("logging", id, log)
	}
	ctx := within(t)
	for i := range n {
		if _, err := logging.Get(db.api, fmt.Sprint("run-", i)).Result(ctx); err != nil {
			t.Fatal(err)
		}
	}
	lines, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	executed := map[string]int{}
	for line := range strings.Lines(string(lines)) {
		executed[strings.TrimSuffix(line, "\n")]++
	}
	for i := range n {
		if times := executed[fmt.Sprint("run-", i)]; times != 1 {
			t.Errorf("run-%d was executed %d times", i, times)
		}
	}
}

// TestResumeFromAnotherProcess: what a second process writes into the file is noticed
// soon by the one that executes the run, and its result by the second.
func TestResumeFromAnotherProcess(t *testing.T) {
	t.Parallel()
	onEachStore(t, resumeFromAnotherProcess)
}

func resumeFromAnotherProcess(t *testing.T, db *database) {
	t.Helper()
	s := newService(t, db, longLease)
	soonest := [2]time.Duration{time.Hour, time.Hour}
	for i := range 5 {
		id := fmt.Sprint("run-", i)
		s.start("approval", id, "doc")
		token := s.token(id)
		waitFor(t, func() bool { // parked: its owner has nothing to do but look
			info, err := db.api.RunInfo(t.Context(), id)
			return err == nil && info.Status == workflow.StatusWaiting
		})
		if _, err := workflow.Resume(t.Context(), db.api, token, decision{true, id}); err != nil {
			t.Fatal(err)
		}
		accepted := time.Now()
		got, err := workflow.Get[decision](db.api, id).Result(within(t))
		if err != nil || got != (decision{true, id}) {
			t.Fatalf("%s: %v, %v", id, got, err)
		}
		known := time.Since(accepted)
		l, err := db.st.Load(t.Context(), id, 0)
		if err != nil {
			t.Fatal(err)
		}
		received := l.Events[len(l.Events)-2]
		if received.Kind != store.PayloadReceived {
			t.Fatalf("journal: %v", l.Events)
		}
		noticed := l.Run.EndedAt.Sub(received.At)
		t.Logf("noticed after %v, the result after %v", noticed, known)
		soonest[0], soonest[1] = min(soonest[0], noticed), min(soonest[1], known)
	}
	// 250 ms each; the rest, and four of the five, are for a machine with other things to do.
	if soonest[0] > 2*time.Second || soonest[1] > 4*time.Second {
		t.Errorf("noticed after %v at best, the result after %v", soonest[0], soonest[1])
	}
}

package workflowtest

import (
	"github.com/tenter-dev/tenter/engine"
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

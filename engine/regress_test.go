package engine_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/internal/memdir"
	"github.com/tenter-dev/tenter/workflow"
)

// TestRegress plays scenarios that the simulation has found, made small.
func TestRegress(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		scenario
	}{
		{
			"a claim whose answer gets lost strands no run",
			scenario{
				programs: []program{{{verb: vStep}}},
				actions: []action{
					{do: fail, node: 0, faults: []fault{{mishap: after}}},
					{do: start, node: maxNodes, run: "r1"},
				},
			},
		},
		{
			"a start that comes second, while the first is being claimed, strands no run",
			scenario{
				programs: []program{{{verb: vStep}}},
				actions: []action{
					{do: start, node: maxNodes, run: "a", now: true},
					{do: start, node: 0, run: "a"},
					{do: start, node: maxNodes, run: "b", now: true},
					{do: start, node: 0, run: "b"},
					{do: start, node: maxNodes, run: "c", now: true},
					{do: start, node: 0, run: "c"},
					{do: start, node: maxNodes, run: "d", now: true},
					{do: start, node: 0, run: "d"},
				},
			},
		},
		{
			"a hook that is closed while a branch waits for it ends the wait",
			scenario{
				programs: []program{{
					{verb: vOpen},
					{verb: vGo, inner: []program{{{verb: vWait}}}},
					{verb: vSleep, d: time.Second},
					{verb: vClose},
					{verb: vJoin},
				}},
				actions: []action{{do: start, run: "r"}},
			},
		},
		{
			"a step that a worker gave up at its shutdown is executed by another",
			scenario{
				programs: []program{{{verb: vStep, d: time.Hour}}},
				actions: []action{
					{do: start, run: "r"},
					{do: leave},
				},
			},
		},
		{
			"a step that was canceled, and given up by its worker at its shutdown, ends",
			scenario{
				programs: []program{{{verb: vTimeout, d: time.Second, inner: []program{{{verb: vDeaf, d: time.Minute}}}}}},
				actions: []action{
					{do: start, run: "r"},
					{do: pass, d: 10 * time.Second},
					{do: leave},
				},
			},
		},
		{
			"a step whose deadline comes at the end of the drain ends",
			scenario{
				programs: []program{{{verb: vTimeout, d: time.Second, inner: []program{{{verb: vStep, d: time.Minute}}}}}},
				actions:  []action{{do: start, run: "r"}, {do: leave}},
			},
		},
		{
			"payloads that a successor got do not come again by a retry",
			scenario{
				programs: []program{
					{{verb: vOpen, token: "red"}, {verb: vWait}, {verb: vStep, d: time.Minute, flag: true}},
					{{verb: vDraw}},
				},
				actions: []action{
					{do: start, run: "r"},
					{do: send, token: "red"},
					{do: send, token: "red", flag: true, program: 1},
					{do: pass, d: time.Hour},
					{do: retry},
				},
			},
		},
		{
			"a worker that stood still while a run was born begins no step of what others have taken over",
			scenario{
				programs: []program{{{verb: vStep, d: time.Hour}}},
				actions: []action{
					{do: fail, faults: []fault{{mishap: halt, d: time.Minute, only: transition}}},
					{do: start, run: "r"},
					{do: start, node: maxNodes, run: "other"}, // a claim is under way, too
					{do: leave},
				},
			},
		},
		{
			"a run that is retried before its worker knows that it has failed is not stranded",
			scenario{
				programs: []program{{{verb: vFail}}},
				actions: []action{
					{do: fail, faults: []fault{{mishap: tardy, d: time.Second, only: transition}}},
					{do: start, run: "r"},
					{do: retry, node: maxNodes},
				},
			},
		},
		{
			"a run that is retried while its worker wonders whether it has failed is not stranded",
			scenario{
				programs: []program{{{verb: vFail}}},
				actions: []action{
					{do: fail, faults: []fault{{mishap: after, only: transition}, {mishap: tardy, d: time.Second, only: reading}}},
					{do: start, run: "r"},
					{do: pass, d: 100 * time.Millisecond},
					{do: retry, node: maxNodes},
				},
			},
		},
		{
			"a payload whose run was retried before its transition is clarified is not said to be refused",
			scenario{
				programs: []program{{{verb: vOpen}, {verb: vWait}, {verb: vFail}}},
				actions: []action{
					{do: start, run: "r"},
					{do: fail, faults: []fault{{mishap: after, only: transition}}},
					{do: send},
					{do: retry, node: maxNodes},
				},
			},
		},
		{
			"a payload whose answer got lost is not said to be refused after a retry that fails again",
			scenario{
				shared:   true,
				begin:    2,
				pace:     2 * time.Millisecond,
				programs: []program{{{verb: vOpen}, {verb: vWait}, {verb: vPanic}}},
				actions: []action{
					{do: start, node: 0, run: "r"},
					{do: pass, d: time.Minute},
					{do: fail, node: 0, faults: []fault{{mishap: after, only: transition}}, now: true},
					{do: fail, node: 1, faults: []fault{{mishap: after, only: transition}}, now: true},
					{do: send, node: 0, now: true},
					{do: pass, d: 3 * time.Millisecond, now: true},
					{do: retry, node: 1},
				},
			},
		},
		{
			"a worker that has handed its runs over begins no step when an answer comes late",
			scenario{
				shared:   true,
				programs: []program{{{verb: vStep, d: time.Minute}}},
				actions: []action{
					{do: fail, faults: []fault{{mishap: tardy, d: 5 * time.Second, only: transition}}},
					{do: start, node: maxNodes, run: "r", now: true},
					{do: pass, d: time.Second},
					{do: leave},
				},
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for tc.seed = range 5 { // which decides what comes first
				path := filepath.Join(memdir.TempDir(t), fmt.Sprintf("%d.db", tc.seed))
				var err error
				synctest.Test(t, func(*testing.T) { _, err = tc.play(path) })
				if err != nil {
					t.Errorf("%v\n\n%v", err, tc.scenario)
				}
			}
		})
	}
}

// TestStopAfterLostAnswer: when the answer to the transition that cancels a step gets
// lost, the step is stopped all the same.
func TestStopAfterLostAnswer(t *testing.T) {
	t.Parallel()
	path := filepath.Join(memdir.TempDir(t), "simulation.db")
	programs := []program{{{verb: vTimeout, d: time.Minute, inner: []program{{{verb: vStep, d: time.Hour}}}}}}
	synctest.Test(t, func(t *testing.T) {
		w, err := newWorld(path, scenario{programs: programs})
		if err != nil {
			t.Fatal(err)
		}
		w.turns.quiet()
		for _, a := range []action{
			{do: start, run: "r"},
			{do: pass, d: 59 * time.Second},
			// The lease is renewed often, and its answers may get lost too.
			{do: fail, faults: []fault{{mishap: after}, {mishap: after}, {mishap: after}}},
			{do: pass, d: 10 * time.Second},
		} {
			if err := w.do(a); err != nil {
				t.Fatal(err)
			}
			w.turns.quiet()
		}
		if info, err := w.client.engine.RunInfo(t.Context(), "r"); err != nil || info.Status != workflow.StatusCompleted {
			t.Errorf("run is %s (%v) after its deadline, want completed", info.Status, err)
		}
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
}

package engine_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestRegress plays scenarios that the model test has found, made small.
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
					{do: fail, node: 0, faults: []fault{after}},
					{do: start, node: 1, run: "r1"},
				},
			},
		},
		{
			"a start that comes second, while the first is being claimed, strands no run",
			scenario{
				programs: []program{{{verb: vStep}}},
				actions: []action{
					{do: start, node: 1, run: "a", now: true},
					{do: start, node: 0, run: "a"},
					{do: start, node: 1, run: "b", now: true},
					{do: start, node: 0, run: "b"},
					{do: start, node: 1, run: "c", now: true},
					{do: start, node: 0, run: "c"},
					{do: start, node: 1, run: "d", now: true},
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
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "model.db")
			var err error
			synctest.Test(t, func(*testing.T) { err = tc.play(path) })
			if err != nil {
				t.Errorf("%v\n\n%v", err, tc.scenario)
			}
		})
	}
}

package main

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
	"github.com/tenter-dev/tenter/workflowtest"
)

func TestApproval(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		after       time.Duration
		result      string
		escalations int
	}{
		{"in time", 23 * time.Hour, "approved", 0},
		{"late", 25 * time.Hour, "approved, late", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			office := &office{}
			opts := engine.Options{Workflows: []workflow.Definition{Approval.Implement(office.approval)}}
			workflowtest.Test(t, opts, func(t *testing.T, eng *workflowtest.Engine) {
				ask, escalate := eng.Step("ask"), eng.Step("escalate")
				nothing := func(context.Context) error { return nil }
				workflowtest.ReplaceDo(ask, nothing)
				workflowtest.ReplaceDo(escalate, nothing)

				run := workflowtest.Start(eng, Approval, Request{"budget", 24 * time.Hour})
				eng.Advance(tt.after)
				eng.Hook(run).Resume("approved")
				if got := workflowtest.Result(eng, run); got != tt.result {
					t.Errorf("result is %q, want %q", got, tt.result)
				}
				if ask.Executions() != 1 || escalate.Executions() != tt.escalations {
					t.Errorf("asked %d times, escalated %d times", ask.Executions(), escalate.Executions())
				}
			})
		})
	}
}

// The history of a late approval, as it is to stay.
func TestJournal(t *testing.T) {
	t.Parallel()
	office := &office{}
	opts := engine.Options{Workflows: []workflow.Definition{Approval.Implement(office.approval)}}
	workflowtest.CrashEverywhere(t, opts, func(t *testing.T, eng *workflowtest.Engine) {
		workflowtest.ReplaceDo(eng.Step("ask"), func(context.Context) error { return nil })
		workflowtest.ReplaceDo(eng.Step("escalate"), func(context.Context) error { return nil })
		run := workflowtest.Start(eng, Approval, Request{"budget", 24 * time.Hour})
		eng.Advance(48 * time.Hour)
		eng.Hook(run).Resume("approved")
		const want = `0s      started {"document":"budget","patience":86400000000000}
          hook 1 token approval:budget
        hook_claimed 1 "RUN.h1"
          step ask#1
        step_completed ask#1
          deadline 1 for 24h
24h     timer_fired 1
          step escalate#1
        step_completed escalate#1
48h     payload_received 1 "approved"
          close 1
        completed "approved, late"
`
		if diff := cmp.Diff(want, eng.Journal(run)); diff != "" {
			t.Errorf("journal (-want +got):\n%s", diff)
		}
	})
}

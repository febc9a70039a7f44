package main

import (
	"context"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// stepsWorkflow executes n steps, one after the other.
var stepsWorkflow = workflow.Define("steps", func(ctx workflow.Context, n int) (int, error) {
	return steps(ctx, n)
})

func steps(ctx workflow.Context, n int) (int, error) {
	done := 0
	for range n {
		one, err := workflow.Step(ctx, "step", func(context.Context) (int, error) { return 1, nil })
		if err != nil {
			return 0, err
		}
		done += one
	}
	return done, nil
}

// hookWorkflow returns when its code got the first payload. Workflow code must not look
// at the clock in earnest; here it is the last thing that the run does, so there is no
// replay of it.
var hookWorkflow = workflow.Define("hook", func(ctx workflow.Context, _ string) (time.Time, error) {
	_, err := waitForPayload(ctx)
	return time.Now(), err
})

// stepsThenHookWorkflow executes n steps, then waits for a payload.
var stepsThenHookWorkflow = workflow.Define("steps-then-hook", func(ctx workflow.Context, n int) (string, error) {
	if _, err := steps(ctx, n); err != nil {
		return "", err
	}
	return waitForPayload(ctx)
})

func waitForPayload(ctx workflow.Context) (string, error) {
	hook, err := workflow.NewHook[string](ctx)
	if err != nil {
		return "", err
	}
	tokens.Store(workflow.InfoOf(ctx).RunID, hook.Token())
	return hook.Wait(ctx)
}

// tokens are the hooks' tokens by run ID. Workflow code must not do such a thing in
// earnest; here it spares a look-up for each run, and is the same on replay.
var tokens sync.Map

func tokenOf(runID string) string {
	token, _ := tokens.LoadAndDelete(runID)
	s, _ := token.(string)
	return s
}

// nappingParent has a child sleep, and sleeps as long itself.
var nappingParent = workflow.Define("napping-parent", func(ctx workflow.Context, d time.Duration) (time.Duration, error) {
	child := napping.Go(ctx, d)
	if err := workflow.Sleep(ctx, d); err != nil {
		return 0, err
	}
	return child.Wait(ctx)
})

var napping = workflow.Define("napping", func(ctx workflow.Context, d time.Duration) (time.Duration, error) {
	return d, workflow.Sleep(ctx, d)
})

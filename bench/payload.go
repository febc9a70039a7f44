package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// echo takes a payload, passes it through a step, and returns it.
var echo = workflow.Define("echo", func(ctx workflow.Context, input string) (string, error) {
	got, err := waitForPayload(ctx)
	if err != nil {
		return "", err
	}
	return workflow.Step(ctx, "step", func(context.Context) (string, error) { return got, nil })
})

// payloads executes runs whose input, payload, result of a step and result have a size.
func payloads(what string, size, n int) round {
	return func(ctx context.Context, e *env) (ms []metric, err error) {
		w, err := newWorld(ctx, e, engine.Options{})
		if err != nil {
			return nil, err
		}
		defer func() { err = joinClose(err, w) }()
		data := strings.Repeat("x", size-2) // without its quotes
		run := func(int) error {
			run, err := echo.Start(ctx, w.eng, data)
			if err != nil {
				return err
			}
			if err := resumeOnceOpen(ctx, w.eng, tokenOf(run.ID()), data); err != nil {
				return err
			}
			got, err := run.Result(ctx)
			if err == nil && got != data {
				err = fmt.Errorf("a run returned %d bytes, not the %d that it got", len(got), len(data))
			}
			return err
		}
		name := "start → payload → 1 step → result, all of " + what
		ms, err = oneAtATime(name, e.size(n), budget{}, run)
		if err != nil {
			return nil, err
		}
		began, before := time.Now(), usageNow()
		if err := each(e.size(n), 16, run); err != nil {
			return nil, err
		}
		took, used := time.Since(began), usageNow().since(before)
		return append(
			ms,
			metric{name: name + ", 16 at a time", value: float64(e.size(n)) / took.Seconds(), unit: "runs/s"},
			metric{name: name + ", 16 at a time: CPU", value: float64(used.cpu.Microseconds()) / float64(e.size(n)), unit: "µs/run"},
		), nil
	}
}

// resumeOnceOpen sends a payload to a hook that may not be open yet: code that takes long to decode
// its input is not waited for by Start.
func resumeOnceOpen(ctx context.Context, c workflow.Client, token, payload string) error {
	for {
		_, err := workflow.Resume(ctx, c, token, payload)
		if !errors.Is(err, workflow.ErrHookNotFound) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

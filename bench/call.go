package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// question is a call, to which the answer is twice the input.
var question = workflow.DefineCall[int, int]("question")

// answeringWorkflow answers calls forever, where it is told to.
var answeringWorkflow = workflow.Define("answering", func(ctx workflow.Context, answer string) (int, error) {
	calls, err := question.Open(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for call, err := range calls.All(ctx) {
		if err != nil {
			return n, err
		}
		n++
		if answer == fromStep {
			err = workflow.Do(ctx, "answer", func(ctx context.Context) error { return call.Return(ctx, 2*call.Input) })
		} else {
			err = call.Return(ctx, 2*call.Input)
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
})

// calls times calls of runs that this process executes, each caller with a run of its own.
func calls(answer string, atATime int) round {
	return func(ctx context.Context, e *env) (ms []metric, err error) {
		w, err := newWorld(ctx, e, engine.Options{})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, w.close()) }()
		return w.called(ctx, e, answer, "in one process", atATime)
	}
}

// callsElsewhere times calls from a process that executes nothing.
func callsElsewhere(answer string, atATime int) round {
	return onProcesses(0, func(ctx context.Context, e *env, url string, ps processes) (ms []metric, err error) {
		w, err := openClient(ctx, url)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, w.close()) }()
		return w.called(ctx, e, answer, "in another process", atATime)
	})
}

// called times calls, and counts the commits of this process.
func (w *world) called(ctx context.Context, e *env, answer, where string, atATime int) ([]metric, error) {
	tokens := make([]string, atATime)
	for i := range tokens {
		run, err := answeringWorkflow.Start(ctx, w.eng, answer)
		if err != nil {
			return nil, err
		}
		if tokens[i], err = w.tokenWhenParked(ctx, run.ID()); err != nil {
			return nil, err
		}
	}
	call := func(i int) error {
		got, err := question.Call(ctx, w.eng, tokens[i%atATime], i)
		if err == nil && got != 2*i {
			err = fmt.Errorf("the answer to %d is %d", i, got)
		}
		return err
	}
	n := e.size(min(3000*atATime, 20_000))
	if err := each(n/5, atATime, call); err != nil {
		return nil, err
	}
	took := make([]time.Duration, n)
	counted := w.db.counts()
	err := each(n, atATime, func(i int) error {
		began := time.Now()
		err := call(i)
		took[i] = time.Since(began)
		return err
	})
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("call answered from %s %s, %d at a time", answer, where, atATime)
	return []metric{
		{name: what + ": p50", value: milliseconds(percentile(took, 50)), unit: "ms"},
		{name: what + ": p99", value: milliseconds(percentile(took, 99)), unit: "ms"},
		{name: what + ": commits of the caller's process", value: float64(w.db.counts().since(counted).Commits) / float64(n), unit: "/call"},
	}, nil
}

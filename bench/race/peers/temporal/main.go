// Command temporal races Temporal: the server, in this process, on SQLite or PostgreSQL,
// and a worker of the Go SDK, which talks to it over gRPC on loopback. As a client it is
// only a client of the SDK.
package main

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/tenter-dev/tenter/bench/race/peer"
)

func main() { peer.Main(open) }

const taskQueue = "race"

type system struct{ client client.Client }

func open(ctx context.Context, c peer.Config) (peer.System, error) {
	if c.Role != peer.RoleClient {
		if err := startServer(ctx, c); err != nil {
			return nil, err
		}
	}
	connection, err := dial(ctx, c.Port)
	if err != nil {
		return nil, err
	}
	s := &system{connection}
	if c.Role == peer.RoleClient {
		return s, nil
	}
	// What the documentation recommends over a number of pollers chosen by hand.
	pollers := worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{})
	w := worker.New(s.client, taskQueue, worker.Options{
		WorkflowTaskPollerBehavior: pollers,
		ActivityTaskPollerBehavior: pollers,
	})
	w.RegisterWorkflow(steps)
	w.RegisterWorkflow(parked)
	w.RegisterActivityWithOptions(step, activity.RegisterOptions{Name: "step"})
	return s, w.Start()
}

func steps(ctx workflow.Context, n int) (int, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	sum := 0
	for range n {
		var one int
		if err := workflow.ExecuteActivity(ctx, "step").Get(ctx, &one); err != nil {
			return 0, err
		}
		sum += one
	}
	return sum, nil
}

func step(context.Context) (int, error) { return peer.Step() }

func parked(ctx workflow.Context, in string) (string, error) {
	peer.Waiting(workflow.GetInfo(ctx).WorkflowExecution.ID, "")
	var payload string
	workflow.GetSignalChannel(ctx, "event").Receive(ctx, &payload)
	return in + payload, nil
}

func (s *system) Run(ctx context.Context, n int) error {
	run, err := s.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: taskQueue}, steps, n)
	if err != nil {
		return err
	}
	var got int
	if err := run.Get(ctx, &got); err != nil {
		return err
	}
	if got != n {
		return fmt.Errorf("a run of %d steps returned %d", n, got)
	}
	return nil
}

func (s *system) Park(ctx context.Context) (func(context.Context) error, error) {
	run, err := s.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: taskQueue}, parked, "parked")
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		if err := s.client.SignalWorkflow(ctx, run.GetID(), "", "event", "!"); err != nil {
			return err
		}
		var got string
		if err := run.Get(ctx, &got); err != nil {
			return err
		}
		if got != "parked!" {
			return fmt.Errorf("parked run %s returned %q", run.GetID(), got)
		}
		return nil
	}, nil
}

// Close does not wait for the server to shut down in good order: nothing of it is needed
// again.
func (s *system) Close() error { return nil }

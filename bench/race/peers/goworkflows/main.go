// Command goworkflows races go-workflows, on SQLite. As a client it opens the file of a
// worker.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/cschleiden/go-workflows/backend"
	"github.com/cschleiden/go-workflows/backend/sqlite"
	"github.com/cschleiden/go-workflows/client"
	"github.com/cschleiden/go-workflows/worker"
	"github.com/cschleiden/go-workflows/workflow"
	"github.com/google/uuid"

	"github.com/tenter-dev/tenter/bench/race/peer"
)

func main() { peer.Main(open) }

type system struct {
	client *client.Client
	stop   context.CancelFunc // nil in a client
}

func open(ctx context.Context, c peer.Config) (peer.System, error) {
	path := filepath.Join(c.Dir, "workflows.db")
	if c.Role != peer.RoleAll {
		// A transaction that reads before it writes fails with SQLITE_BUSY if another process
		// has written meanwhile, unless it takes the lock at once.
		path += "?_txlock=immediate"
	}
	db := sqlite.NewSqliteBackend(path,
		sqlite.WithApplyMigrations(c.Role != peer.RoleClient),
		sqlite.WithBackendOptions(backend.WithLogger(slog.New(slog.DiscardHandler))))
	if c.Role == peer.RoleClient {
		return &system{client: client.New(db)}, nil
	}
	w := worker.New(db, nil)
	if err := w.RegisterWorkflow(steps); err != nil {
		return nil, err
	}
	if err := w.RegisterWorkflow(parked); err != nil {
		return nil, err
	}
	if err := w.RegisterActivity(step); err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	return &system{client: client.New(db), stop: stop}, w.Start(running)
}

func steps(ctx workflow.Context, n int) (int, error) {
	sum := 0
	for range n {
		one, err := workflow.ExecuteActivity[int](ctx, workflow.DefaultActivityOptions, step).Get(ctx)
		if err != nil {
			return 0, err
		}
		sum += one
	}
	return sum, nil
}

func step(context.Context) (int, error) { return peer.Step() }

func parked(ctx workflow.Context, in string) (string, error) {
	peer.Waiting(workflow.WorkflowInstance(ctx).InstanceID, "")
	payload, _ := workflow.NewSignalChannel[string](ctx, "event").Receive(ctx)
	return in + payload, nil
}

const patience = 10 * time.Minute

func (s *system) Run(ctx context.Context, n int) error {
	run, err := s.client.CreateWorkflowInstance(ctx, client.WorkflowInstanceOptions{InstanceID: uuid.NewString()}, steps, n)
	if err != nil {
		return err
	}
	got, err := client.GetWorkflowResult[int](ctx, s.client, run, patience)
	if err == nil && got != n {
		err = fmt.Errorf("a run of %d steps returned %d", n, got)
	}
	return err
}

func (s *system) Park(ctx context.Context) (func(context.Context) error, error) {
	run, err := s.client.CreateWorkflowInstance(ctx, client.WorkflowInstanceOptions{InstanceID: uuid.NewString()}, parked, "parked")
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		if err := s.client.SignalWorkflow(ctx, run.InstanceID, "event", "!"); err != nil {
			return err
		}
		got, err := client.GetWorkflowResult[string](ctx, s.client, run, patience)
		if err == nil && got != "parked!" {
			err = fmt.Errorf("parked run %s returned %q", run.InstanceID, got)
		}
		return err
	}, nil
}

func (s *system) Close() error {
	if s.stop != nil {
		s.stop()
	}
	return nil
}

// Command dbos races DBOS Transact, on PostgreSQL or SQLite. As a client it puts runs in a
// queue, which a worker takes them from.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite"

	"github.com/tenter-dev/tenter/bench/race/peer"
)

func main() { peer.Main(open) }

const (
	app       = "race"
	queue     = "race"
	stepsName = "steps"

	// The worker looks into the queue, and the client for each result, so often. By default
	// both do so every second, whatever there is to do.
	queuePolling  = 10 * time.Millisecond
	resultPolling = 50 * time.Millisecond
)

func open(ctx context.Context, c peer.Config) (peer.System, error) {
	url := c.URL
	if c.Store == "sqlite" {
		url = "sqlite:" + filepath.Join(c.Dir, "dbos.db")
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if c.Role == peer.RoleClient {
		d, err := dbos.NewClient(ctx, dbos.ClientConfig{AppName: app, DatabaseURL: url, Logger: logger})
		return &client{d: d}, err
	}
	d, err := dbos.NewContext(ctx, dbos.Config{AppName: app, DatabaseURL: url, Logger: logger})
	if err != nil {
		return nil, err
	}
	dbos.RegisterWorkflow(d, steps, dbos.WithWorkflowName(stepsName))
	dbos.RegisterWorkflow(d, parked)
	if c.Role == peer.RoleWorker {
		if _, err := dbos.RegisterQueue(d, queue, dbos.WithQueueBasePollingInterval(queuePolling)); err != nil {
			return nil, err
		}
	}
	if err := dbos.Launch(d); err != nil {
		return nil, err
	}
	return &system{d}, nil
}

type system struct{ ctx dbos.Context }

// client starts runs that a worker executes.
type client struct {
	system
	d dbos.Client
}

func steps(ctx dbos.Context, n int) (int, error) {
	sum := 0
	for range n {
		one, err := dbos.RunAsStep(ctx, step)
		if err != nil {
			return 0, err
		}
		sum += one
	}
	return sum, nil
}

func step(context.Context) (int, error) { return peer.Step() }

func parked(ctx dbos.Context, in string) (string, error) {
	id, err := dbos.GetWorkflowID(ctx)
	if err != nil {
		return "", err
	}
	peer.Waiting(id, "")
	message, err := dbos.Recv[string](ctx, "event", 24*time.Hour)
	return in + message, err
}

func (s *system) Run(_ context.Context, n int) error {
	h, err := dbos.RunWorkflow(s.ctx, steps, n)
	if err != nil {
		return err
	}
	return await(h, n)
}

func (c *client) Run(_ context.Context, n int) error {
	h, err := dbos.Enqueue[int](c.d, queue, stepsName, n)
	if err != nil {
		return err
	}
	return await(h, n, dbos.WithHandlePollingInterval(resultPolling))
}

func await(h dbos.WorkflowHandle[int], n int, opts ...dbos.GetResultOption) error {
	got, err := h.GetResult(opts...)
	if err == nil && got != n {
		err = fmt.Errorf("a run of %d steps returned %d", n, got)
	}
	return err
}

func (s *system) Park(context.Context) (func(context.Context) error, error) {
	h, err := dbos.RunWorkflow(s.ctx, parked, "parked")
	if err != nil {
		return nil, err
	}
	return func(context.Context) error {
		if err := dbos.Send(s.ctx, h.GetWorkflowID(), "!", "event"); err != nil {
			return err
		}
		got, err := h.GetResult()
		if err == nil && got != "parked!" {
			err = fmt.Errorf("a parked run returned %q", got)
		}
		return err
	}, nil
}

// Close does not wait for runs that are parked.
func (s *system) Close() error { return nil }

// Command dbos races DBOS Transact, on PostgreSQL or SQLite.
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

type system struct{ ctx dbos.Context }

func open(ctx context.Context, c peer.Config) (peer.System, error) {
	url := c.URL
	if c.Store == "sqlite" {
		url = "sqlite:" + filepath.Join(c.Dir, "dbos.db")
	}
	d, err := dbos.NewContext(ctx, dbos.Config{
		AppName:     "race",
		DatabaseURL: url,
		Logger:      slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return nil, err
	}
	dbos.RegisterWorkflow(d, steps)
	dbos.RegisterWorkflow(d, parked)
	if err := dbos.Launch(d); err != nil {
		return nil, err
	}
	return &system{d}, nil
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
	got, err := h.GetResult()
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

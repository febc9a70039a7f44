// Command tenter races Tenter, on SQLite or PostgreSQL.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/tenter-dev/tenter/bench/race/peer"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/postgres"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

func main() { peer.Main(open) }

var steps = workflow.Define("steps", func(ctx workflow.Context, n int) (int, error) {
	sum := 0
	for range n {
		one, err := workflow.Step(ctx, "step", func(context.Context) (int, error) { return peer.Step() })
		if err != nil {
			return 0, err
		}
		sum += one
	}
	return sum, nil
})

var parked = workflow.Define("parked", func(ctx workflow.Context, in string) (string, error) {
	hook, err := workflow.NewHook[string](ctx)
	if err != nil {
		return "", err
	}
	peer.Waiting(workflow.InfoOf(ctx).RunID, hook.Token())
	payload, err := hook.Wait(ctx)
	return in + payload, err
})

type system struct {
	db    database
	eng   *engine.Engine
	stop  context.CancelFunc // nil if the engine executes nothing
	ended chan error         // gets what Run returns
}

type database interface {
	store.Store
	Close() error
}

func open(ctx context.Context, c peer.Config) (peer.System, error) {
	db, err := openDatabase(ctx, c)
	if err != nil {
		return nil, err
	}
	opts := engine.Options{
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if c.Role != peer.RoleClient {
		opts.Workflows = []workflow.Definition{steps, parked}
	}
	eng, err := engine.New(db, opts)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s := &system{db: db, eng: eng}
	if c.Role != peer.RoleClient {
		s.run(ctx)
	}
	return s, nil
}

// run has the engine execute runs, until Close.
func (s *system) run(ctx context.Context) {
	ctx, s.stop = context.WithCancel(ctx)
	s.ended = make(chan error, 1)
	go func() { s.ended <- s.eng.Run(ctx) }()
}

func openDatabase(ctx context.Context, c peer.Config) (database, error) {
	if c.Store == "postgres" {
		return postgres.Open(ctx, c.URL)
	}
	return sqlite.Open(filepath.Join(c.Dir, "tenter.db"))
}

func (s *system) Run(ctx context.Context, n int) error {
	run, err := steps.Start(ctx, s.eng, n)
	if err != nil {
		return err
	}
	got, err := run.Result(ctx)
	if err == nil && got != n {
		err = fmt.Errorf("a run of %d steps returned %d", n, got)
	}
	return err
}

func (s *system) Park(ctx context.Context) (func(context.Context) error, error) {
	run, err := parked.Start(ctx, s.eng, "parked")
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		if _, err := workflow.Resume(ctx, s.eng, peer.Token(run.ID()), "!"); err != nil {
			return err
		}
		got, err := run.Result(ctx)
		if err == nil && got != "parked!" {
			err = fmt.Errorf("parked run %s returned %q", run.ID(), got)
		}
		return err
	}, nil
}

func (s *system) Close() error {
	var err error
	if s.stop != nil {
		s.stop()
		err = <-s.ended
	}
	return errors.Join(err, s.eng.Close(), s.db.Close())
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// world is an engine at work on a database of its own.
type world struct {
	db    *sqlite.Store
	eng   *engine.Engine
	stop  context.CancelFunc
	ended chan error // gets what Run returns
	dir   string     // to be removed, or empty
}

// newWorld makes a fresh database. Runs in it are the workflows of this program.
func newWorld(ctx context.Context, e *env, opts engine.Options) (*world, error) {
	return newWorldOver(ctx, e, opts, func(s *sqlite.Store) store.Store { return s })
}

// newWorldOver is newWorld with something between the engine and the database.
func newWorldOver(ctx context.Context, e *env, opts engine.Options, over func(*sqlite.Store) store.Store) (*world, error) {
	dir, err := os.MkdirTemp(e.dir, "tenter-bench-")
	if err != nil {
		return nil, err
	}
	w, err := openWorld(ctx, filepath.Join(dir, "bench.db"), opts, over)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	w.dir = dir
	return w, nil
}

// openWorld opens a database and returns when the engine has executed a run.
func openWorld(ctx context.Context, path string, opts engine.Options, over func(*sqlite.Store) store.Store) (*world, error) {
	db, err := sqlite.Open(path)
	if err != nil {
		return nil, err
	}
	opts.Workflows = []workflow.Definition{stepsWorkflow, hookWorkflow, stepsThenHookWorkflow, timedWorkflow, webhookWorkflow}
	opts.Logger = slog.New(slog.DiscardHandler)
	eng, err := engine.New(over(db), opts)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	w := &world{db: db, eng: eng, ended: make(chan error, 1)}
	var running context.Context
	running, w.stop = context.WithCancel(ctx)
	go func() { w.ended <- eng.Run(running) }()
	if err := w.steps(ctx, 1); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *world) close() error {
	w.stop()
	err := errors.Join(<-w.ended, w.eng.Close(), w.db.Close())
	if w.dir != "" {
		err = errors.Join(err, os.RemoveAll(w.dir))
	}
	return err
}

// steps executes a run of n steps from start to result.
func (w *world) steps(ctx context.Context, n int) error {
	run, err := stepsWorkflow.Start(ctx, w.eng, n)
	if err != nil {
		return err
	}
	got, err := run.Result(ctx)
	if err == nil && got != n {
		err = fmt.Errorf("a run of %d steps returned %d", n, got)
	}
	return err
}

// park starts n runs that wait on a hook.
func (w *world) park(ctx context.Context, n int) ([]*workflow.Run[string], error) {
	runs := make([]*workflow.Run[string], n)
	err := each(n, 256, func(i int) (err error) {
		runs[i], err = hookWorkflow.Start(ctx, w.eng, "parked")
		return err
	})
	return runs, err
}

// each calls f for 0 to n-1, so many at a time, until one fails.
func each(n, atATime int, f func(i int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	for range atATime {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				if err := f(i); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

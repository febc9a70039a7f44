package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// world is an engine at work on a database of its own.
type world struct {
	db    database
	eng   *engine.Engine
	stop  context.CancelFunc
	ended chan error   // gets what Run returns
	drop  func() error // removes the database, if it is the world's own
}

// newWorld makes a fresh database. Runs in it are the workflows of this program.
func newWorld(ctx context.Context, e *env, opts engine.Options) (*world, error) {
	return newWorldOver(ctx, e, opts, same)
}

// newWorldOver is newWorld with something between the engine and the database.
func newWorldOver(ctx context.Context, e *env, opts engine.Options, over func(store.Store) store.Store) (*world, error) {
	url, drop, err := e.create(ctx)
	if err != nil {
		return nil, err
	}
	w, err := openWorld(ctx, url, opts, over)
	if err != nil {
		return nil, errors.Join(err, drop())
	}
	w.drop = drop
	return w, nil
}

// same is nothing in between.
func same(s store.Store) store.Store { return s }

// openWorld opens a database and returns when the engine has executed a run.
func openWorld(ctx context.Context, url string, opts engine.Options, over func(store.Store) store.Store) (*world, error) {
	opts.Workflows = []workflow.Definition{stepsWorkflow, hookWorkflow, stepsThenHookWorkflow, timedWorkflow, webhookWorkflow, answeringWorkflow, nappingParent, napping, echo, yearsBot.Implement(hearForYears)}
	w, err := openEngine(ctx, url, opts, over)
	if err != nil {
		return nil, err
	}
	w.run(ctx)
	if err := w.steps(ctx, 1); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// run has the engine execute runs, until close.
func (w *world) run(ctx context.Context) {
	ctx, w.stop = context.WithCancel(ctx)
	w.ended = make(chan error, 1)
	go func() { w.ended <- w.eng.Run(ctx) }()
}

// openClient opens a database with an engine that executes nothing.
func openClient(ctx context.Context, url string) (*world, error) {
	return openEngine(ctx, url, engine.Options{}, same)
}

func openEngine(ctx context.Context, url string, opts engine.Options, over func(store.Store) store.Store) (*world, error) {
	db, err := openDatabase(ctx, url)
	if err != nil {
		return nil, err
	}
	opts.Logger = slog.New(slog.DiscardHandler)
	eng, err := engine.New(over(db), opts)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &world{db: db, eng: eng}, nil
}

func (w *world) close() error {
	var errs []error
	if w.stop != nil {
		w.stop()
		errs = append(errs, <-w.ended)
	}
	errs = append(errs, w.eng.Close(), w.db.Close())
	if w.drop != nil {
		errs = append(errs, w.drop())
	}
	return errors.Join(errs...)
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

// resumed resumes a run, waits until it has completed, and returns when its code got
// the payload.
func (w *world) resumed(ctx context.Context, r ParkedRun) (time.Time, error) {
	if _, err := workflow.Resume(ctx, w.eng, r.Token, "!"); err != nil {
		return time.Time{}, err
	}
	return hookWorkflow.Get(w.eng, r.ID).Result(ctx)
}

// park starts n runs that wait on a hook.
func (w *world) park(ctx context.Context, n int) ([]*workflow.Run[time.Time], error) {
	runs := make([]*workflow.Run[time.Time], n)
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

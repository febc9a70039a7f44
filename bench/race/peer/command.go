package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The verbs of commands.
const (
	DoRuns   = "runs"   // execute runs of so many steps
	DoPark   = "park"   // start runs that wait, and return when all of them do
	DoResume = "resume" // resume parked runs and wait for their results
	DoCount  = "count"  // report how many steps this process has executed since it started
)

// A Command is something to do and to measure. It ends when N are done, or when the time
// is up: then no more are begun.
type Command struct {
	Do      string
	N       int // 0: as many as there is time for
	AtATime int
	Steps   int           // of each run
	Time    time.Duration // 0: as long as it takes
	Cut     bool          // when the time is up, do not wait for what was begun
}

// Result is what a command has done.
type Result struct {
	Error string `json:",omitempty"`
	Done  int
	Steps int // executed by this process, also of runs that did not end in time
	Took  time.Duration
	P50   time.Duration // of one run, or of one resume until the run's result
	P99   time.Duration
}

type runner struct {
	system System
	role   Role
	parked []func(context.Context) error
}

// patience is far above what parking takes of the slowest.
const patience = 4 * time.Minute

func (r *runner) execute(ctx context.Context, c Command) (Result, error) {
	switch c.Do {
	case DoRuns:
		before := stepped.Load()
		result, err := measure(ctx, c, func(ctx context.Context, _ int) error { return r.system.Run(ctx, c.Steps) })
		result.Steps = int(stepped.Load() - before)
		if err == nil {
			err = r.checkSteps(c, result)
		}
		return result, err
	case DoCount:
		return Result{Steps: int(stepped.Load())}, nil
	case DoPark:
		return r.park(ctx, c)
	case DoResume:
		c.N = min(c.N, len(r.parked))
		result, err := measure(ctx, c, func(ctx context.Context, i int) error { return r.parked[i](ctx) })
		r.parked = r.parked[result.Done:]
		return result, err
	}
	return Result{}, fmt.Errorf("unknown command %q", c.Do)
}

// checkSteps checks that the steps of runs were executed, and not by a client.
func (r *runner) checkSteps(c Command, result Result) error {
	switch {
	case r.role == RoleClient && result.Steps > 0:
		return fmt.Errorf("the client has executed %d steps, which only a worker should", result.Steps)
	case r.role != RoleClient && result.Steps < result.Done*c.Steps:
		return fmt.Errorf("%d runs of %d steps have executed %d", result.Done, c.Steps, result.Steps)
	}
	return nil
}

func (r *runner) park(ctx context.Context, c Command) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began, before := time.Now(), waiting.Load()
	resumes := make([]func(context.Context) error, c.N)
	result, err := measure(ctx, c, func(ctx context.Context, i int) (err error) {
		resumes[i], err = r.system.Park(ctx)
		return err
	})
	if err != nil {
		return result, err
	}
	for waiting.Load() < before+int64(result.Done) {
		select {
		case <-ctx.Done():
			return result, fmt.Errorf("%d of %d runs do not wait yet", before+int64(result.Done)-waiting.Load(), result.Done)
		case <-time.After(time.Millisecond):
		}
	}
	r.parked = append(r.parked, resumes[:result.Done]...)
	result.Took = time.Since(began)
	return result, nil
}

// measure calls f with 0, 1, …, so many at a time, until one fails.
func measure(ctx context.Context, c Command, f func(ctx context.Context, i int) error) (Result, error) {
	began := time.Now()
	up := time.Time{}
	if c.Time > 0 {
		up = began.Add(c.Time)
	}
	if c.Cut {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, up)
		defer cancel()
	}
	var next, done atomic.Int64
	var failed atomic.Pointer[error]
	took := make([][]time.Duration, c.AtATime)
	var all sync.WaitGroup
	for worker := range c.AtATime {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				from := time.Now()
				if c.N > 0 && i >= c.N || failed.Load() != nil || !up.IsZero() && from.After(up) {
					return
				}
				if err := f(ctx, i); err != nil {
					if !c.Cut || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
						failed.Store(&err)
					}
					return
				}
				took[worker] = append(took[worker], time.Since(from))
				done.Add(1)
			}
		})
	}
	all.Wait()
	result := Result{Done: int(done.Load()), Took: time.Since(began)}
	if times := slices.Concat(took...); len(times) > 0 {
		slices.Sort(times)
		result.P50 = times[len(times)/2]
		result.P99 = times[min(len(times)*99/100, len(times)-1)]
	}
	if err := failed.Load(); err != nil {
		return result, *err
	}
	return result, nil
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// CheckReplayOptions are options of [CheckReplay]. The zero value checks all open runs.
type CheckReplayOptions struct {
	// Filter chooses the runs. Without a status, those that have not ended are checked. Before
	// and Limit do not count.
	Filter inspect.RunFilter

	// Ended checks those that have ended too, and compares what they return. It does not count if
	// Filter has a status.
	Ended bool

	// Parallel is how many runs are replayed at a time. The default, also for less than 1, is
	// GOMAXPROCS.
	Parallel int

	// HangsAfter is how long the code may take from one durable call to the next. The default,
	// also for less than 1, is 10 s.
	HangsAfter time.Duration

	// Progress, if set, is called after each run with how many of how many have been checked. It
	// is called by one goroutine at a time.
	Progress func(checked, of int)
}

// CheckReplay replays runs with the workflows that options have, and yields for each whether this code
// can continue it, in no particular order: to learn before a deploy which runs it would block. It needs
// no engine. It reads, begins no step, and sends nothing; what workflow code does beside its durable
// calls is not prevented. Give it a reader that can't write either, of [sqlite.OpenReader] or
// [postgres.OpenReader]: opening a store for an engine migrates the schema.
//
// Messages that wait for a run, and steps that are executing, are not fed to it; payloads among them
// are decoded and validated, see [InvalidPayloads]. Each run that is open throughout the check is
// checked, whatever it does meanwhile. One that ends meanwhile is checked up to its last event, and
// one that is deleted is left out.
//
// An error that is yielded ends the check: that of ctx, the reader or the options.
//
// [sqlite.OpenReader]: https://pkg.go.dev/github.com/tenter-dev/tenter/store/sqlite#OpenReader
// [postgres.OpenReader]: https://pkg.go.dev/github.com/tenter-dev/tenter/store/postgres#OpenReader
func CheckReplay(ctx context.Context, reader store.Reader, opts Options, check CheckReplayOptions) iter.Seq2[ReplayCheck, error] {
	return func(yield func(ReplayCheck, error) bool) {
		p, err := newProgram(&opts)
		var ids []string
		if err == nil {
			ids, err = runsToCheck(ctx, reader, check)
		}
		if err != nil {
			yield(ReplayCheck{}, fmt.Errorf("check replays: %w", err))
			return
		}
		checking, stop := context.WithCancel(ctx)
		results := p.checkAll(checking, reader, ids, check)
		defer func() {
			stop()
			for range results { // until all have ended
			}
		}()
		checked := 0
		for r := range results {
			checked++
			if check.Progress != nil {
				check.Progress(checked, len(ids))
			}
			if errors.Is(r.err, store.ErrNotFound) {
				continue
			}
			if r.err != nil {
				yield(ReplayCheck{}, fmt.Errorf("check replays: %w", r.err))
				return
			}
			if !yield(r.check, nil) {
				return
			}
		}
		if checked < len(ids) { // else a part would look like the whole
			yield(ReplayCheck{}, fmt.Errorf("check replays: %w", context.Cause(ctx)))
		}
	}
}

// runsToCheck lists the runs that options choose. A page of the list is of one moment, and a run keeps
// its place in the list: so one that changes its status meanwhile is neither missed nor listed twice.
func runsToCheck(ctx context.Context, reader store.Reader, check CheckReplayOptions) (ids []string, err error) {
	chosen := check.Filter
	chosen.Before, chosen.Limit = "", 0
	if err := chosen.Validate(); err != nil {
		return nil, err
	}
	f := storeFilter(chosen)
	f.Open, f.Limit = chosen.Status == "" && !check.Ended, inspect.MaxLimit
	for {
		page, err := reader.Runs(ctx, f)
		if err != nil {
			return nil, err
		}
		for i := range page {
			ids = append(ids, page[i].ID)
		}
		if len(page) < f.Limit {
			return ids, nil
		}
		f.Before = page[len(page)-1].Cursor()
	}
}

type checked struct {
	check ReplayCheck
	err   error
}

// checkAll checks runs, some at a time, until ctx ends.
func (p *program) checkAll(ctx context.Context, reader store.Reader, ids []string, opts CheckReplayOptions) <-chan checked {
	results := make(chan checked)
	var next atomic.Int64
	var workers sync.WaitGroup
	parallel := opts.Parallel
	if parallel <= 0 {
		parallel = runtime.GOMAXPROCS(0)
	}
	hangsAfter := opts.HangsAfter
	if hangsAfter <= 0 {
		hangsAfter = 10 * time.Second
	}
	for range min(parallel, len(ids)) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(ids) {
					return
				}
				check, _, err := p.checkReplay(ctx, reader, ids[i], hangsAfter)
				results <- checked{check, err}
			}
		})
	}
	go func() {
		workers.Wait()
		close(results)
	}()
	return results
}

// lacks says which workflow or version of a run the program does not have.
func (p *program) lacks(r *store.Run) string {
	if r.Version > 0 && len(p.defs[r.Workflow]) > 0 {
		return fmt.Sprintf("this build does not have version %d of the workflow %s", r.Version, r.Workflow)
	}
	return "this build does not have the workflow " + r.Workflow
}

// recorded is what a reader may be besides: one of recordings without the secrets of their runs.
type recorded interface {
	// Drawn returns what the code of a run has derived, nil if the run has its secret.
	Drawn(runID string) *journal.Drawn
}

// restarted is what a reader may be besides: one of generations that are over.
type restarted interface {
	// RestartedWith returns the input that the generation of a run has given to the next, nil if that
	// is not known.
	RestartedWith(runID string) []byte
}

// checkReplay checks a run. x is the execution that has replayed it, which is over; nil if there is
// none.
func (p *program) checkReplay(ctx context.Context, reader store.Reader, runID string, hangsAfter time.Duration) (check ReplayCheck, x *execution.Execution, err error) {
	l, err := reader.Load(ctx, runID, 0)
	if err != nil {
		return check, nil, err
	}
	r := &l.Run
	check = ReplayCheck{RunID: r.ID, Workflow: r.Workflow, Version: r.Version, Status: workflow.Status(r.Status), Verdict: ReplaySame}
	def := p.definition(r.Workflow, r.Version)
	if def == nil {
		check.Verdict, check.Detail = ReplayVersionMissing, p.lacks(r)
		return check, nil, nil
	}
	replay := p.newReplay(ctx, &l, def)
	if rec, ok := reader.(recorded); ok {
		replay.env.Drawn = rec.Drawn(runID)
	}
	if over, ok := reader.(restarted); ok {
		replay.next = over.RestartedWith(runID)
	}
	if !replay.run(ctx, hangsAfter) {
		check.Verdict = ReplayHangs
		check.Detail = fmt.Sprintf("the code has not come to its next durable call after %v", hangsAfter)
		return check, nil, ctx.Err()
	}
	defer replay.x.Close()
	if err := ctx.Err(); err != nil {
		return check, nil, err
	}
	replay.judge(&check)
	if check.Verdict == ReplaySame && replay.x.AtRest() {
		check.InvalidPayloads, err = replay.hooks.tryPayloads(ctx, reader, &l, replay.x.Unread())
		if len(check.InvalidPayloads) > 0 {
			check.Detail = check.InvalidPayloads[0].String()
		}
	}
	return check, replay.x, err
}

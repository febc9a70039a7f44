package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// CheckReplayOptions are options of [Engine.CheckReplay]. The zero value checks all open runs.
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

// ReplayVerdict says whether a run can go on with the code of an engine.
type ReplayVerdict string

// The verdicts.
const (
	ReplaySame           ReplayVerdict = "same"            // the code does what the journal has
	ReplayDiverges       ReplayVerdict = "diverges"        // it does something else: the run would be blocked
	ReplayPanics         ReplayVerdict = "panics"          // it panics where it did not: the run would fail
	ReplayHangs          ReplayVerdict = "hangs"           // it does not come to its next durable call
	ReplayVersionMissing ReplayVerdict = "version_missing" // the engine has no such workflow or version
	ReplayUnable         ReplayVerdict = "unable"          // the engine lacks a verifier or its PublicURL
)

// ReplayCheck is what [Engine.CheckReplay] has learned about a run.
type ReplayCheck struct {
	RunID    string          `json:"run_id"`
	Workflow string          `json:"workflow"`
	Version  int             `json:"version"`
	Status   workflow.Status `json:"status"`
	Verdict  ReplayVerdict   `json:"verdict"`
	Detail   string          `json:"detail,omitempty"` // a sentence, unless the verdict is the same

	// Of a run that diverges: the event after which the code asked for something else, what the
	// journal has there, what the code asked for, and its line. Empty is nothing more.
	Position  int64  `json:"position,omitempty"`
	Event     string `json:"event,omitempty"`
	Recorded  string `json:"recorded,omitempty"`
	Attempted string `json:"attempted,omitempty"`
	Caller    string `json:"caller,omitempty"`
}

// CheckReplay replays runs with the engine's workflows, and yields for each whether this code can
// continue it, in no particular order: to learn before a deploy which runs it would block. It writes
// nothing, begins no step, and sends nothing; what workflow code does beside its durable calls is not
// prevented. Messages that wait for a run, and steps that are executing, are not fed to it. The
// engine need not run. A run that ends meanwhile is checked up to its last event, and one that is
// deleted is left out.
//
// An error that is yielded ends the check: that of ctx or the store.
func (e *Engine) CheckReplay(ctx context.Context, opts CheckReplayOptions) iter.Seq2[ReplayCheck, error] {
	return func(yield func(ReplayCheck, error) bool) {
		ids, err := e.runsToCheck(ctx, opts)
		if err != nil {
			yield(ReplayCheck{}, fmt.Errorf("check replays: %w", err))
			return
		}
		checking, stop := context.WithCancel(ctx)
		results := e.checkAll(checking, ids, opts)
		defer func() {
			stop()
			for range results { // until all have ended
			}
		}()
		checked := 0
		for r := range results {
			checked++
			if opts.Progress != nil {
				opts.Progress(checked, len(ids))
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

// runsToCheck lists the runs that options choose.
func (e *Engine) runsToCheck(ctx context.Context, opts CheckReplayOptions) (ids []string, err error) {
	f := opts.Filter
	statuses := []workflow.Status{f.Status}
	if f.Status == "" {
		statuses = []workflow.Status{workflow.StatusRunning, workflow.StatusWaiting, workflow.StatusBlocked}
		if opts.Ended {
			statuses = append(statuses, workflow.StatusCompleted, workflow.StatusFailed, workflow.StatusCanceled)
		}
	}
	for _, status := range statuses {
		f.Status, f.Before, f.Limit = status, "", inspect.MaxLimit
		for {
			page, err := e.Runs(ctx, f)
			if err != nil {
				return nil, err
			}
			for _, r := range page {
				ids = append(ids, r.ID)
			}
			if len(page) < f.Limit {
				break
			}
			f.Before = page[len(page)-1].Cursor
		}
	}
	return ids, nil
}

type checked struct {
	check ReplayCheck
	err   error
}

// checkAll checks runs, some at a time, until ctx ends.
func (e *Engine) checkAll(ctx context.Context, ids []string, opts CheckReplayOptions) <-chan checked {
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
				check, err := e.checkReplay(ctx, ids[i], hangsAfter)
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

func (e *Engine) checkReplay(ctx context.Context, runID string, hangsAfter time.Duration) (ReplayCheck, error) {
	l, err := e.store.Load(ctx, runID, 0)
	if err != nil {
		return ReplayCheck{}, err
	}
	r := &l.Run
	check := ReplayCheck{RunID: r.ID, Workflow: r.Workflow, Version: r.Version, Status: workflow.Status(r.Status), Verdict: ReplaySame}
	def := e.definition(r.Workflow, r.Version)
	if def == nil {
		check.Verdict, check.Detail = ReplayVersionMissing, journal.ReasonNoDefinition(r.Workflow)
		return check, nil
	}
	env := *e.env
	env.Client, env.Respond, env.Observed = nil, nil, false // whatever the code asks for, there is no way to do it
	replay := &replay{x: execution.New(context.WithoutCancel(ctx), r, def, &env, slog.New(slog.DiscardHandler)), events: l.Events}
	if !replay.run(ctx, hangsAfter) {
		check.Verdict = ReplayHangs
		check.Detail = fmt.Sprintf("the code has not come to its next durable call after %v", hangsAfter)
		return check, ctx.Err()
	}
	defer replay.x.Close()
	if err := ctx.Err(); err != nil {
		return ReplayCheck{}, err
	}
	replay.judge(&check)
	return check, nil
}

// replay is the execution of recorded events alone.
type replay struct {
	x      *execution.Execution
	events []store.Event
	at     atomic.Int64 // events that have been fed
}

// run feeds all events, unless the code diverges or ctx ends. It returns false if an event takes too
// long: then the goroutine is left behind, until the code gives control back.
func (p *replay) run(ctx context.Context, hangsAfter time.Duration) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range p.events {
			if ctx.Err() != nil || p.x.Replay(&p.events[i]) != nil {
				break
			}
			p.at.Add(1)
		}
	}()
	tick := time.NewTicker(hangsAfter)
	defer tick.Stop()
	for last := int64(-1); ; {
		select {
		case <-done:
			return true
		case <-tick.C:
			at := p.at.Load()
			if at == last {
				go func() {
					<-done
					p.x.Close()
				}()
				return false
			}
			last = at
		}
	}
}

// judge says what has come of the replay.
func (p *replay) judge(check *ReplayCheck) {
	d := p.x.Divergence()
	result, failure, _ := p.x.Result()
	var end *store.Event
	if n := len(p.events); n > 0 {
		end = &p.events[n-1]
	}
	switch {
	case d != nil && d.Unable != "":
		check.Verdict, check.Detail = ReplayUnable, d.Unable
	case panicked(failure) && (end == nil || end.Kind != store.RunFailed):
		check.Verdict, check.Detail = ReplayPanics, failure.Text
	case d != nil:
		check.Verdict, check.Detail = ReplayDiverges, d.String()
		check.Position, check.Event, check.Recorded, check.Attempted, check.Caller = d.Position, d.Event, d.Recorded, d.Attempted, d.Caller
	case end == nil:
	default:
		if check.Detail = p.endsOtherwise(end, result, failure); check.Detail != "" {
			check.Verdict, check.Position = ReplayDiverges, end.Position
		}
	}
}

// endsOtherwise compares the end of the code with that of the journal.
func (p *replay) endsOtherwise(end *store.Event, result []byte, failure *journal.Failure) string {
	ended := end.Kind == store.RunCompleted || end.Kind == store.RunFailed || end.Kind == store.RunCanceled
	switch {
	case end.Kind == store.RunCanceled:
		return "" // the code may have ended otherwise before it could be canceled
	case !ended && p.x.Finished():
		return "the code has returned, where the journal has it wait"
	case ended && !p.x.Finished():
		return "the code waits, where the journal has it return"
	case end.Kind == store.RunCompleted && failure != nil:
		return fmt.Sprintf("the code fails with %q, where the journal has a result", failure.Text)
	case end.Kind == store.RunCompleted && !bytes.Equal(result, end.Data):
		return fmt.Sprintf("the code returns %s, where the journal has %s", excerpt(result), excerpt(end.Data))
	case end.Kind == store.RunFailed && failure == nil:
		return fmt.Sprintf("the code returns %s, where the journal has a failure", excerpt(result))
	}
	return ""
}

// excerpt is the beginning of a result, for people.
func excerpt(result []byte) string { return run.CutTo(string(result), 200) }

func panicked(f *journal.Failure) bool {
	return f != nil && slices.ContainsFunc(f.As, func(t journal.Typed) bool { return t.Type == journal.AsPanic })
}

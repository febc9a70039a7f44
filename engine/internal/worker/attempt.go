package worker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// attempt is one execution of a step's function. It belongs to the actor, not to the
// execution: a rebuilt execution finds it again.
type attempt struct {
	ref     string
	number  int
	epoch   int64 // of the run, when the attempt began
	started time.Time
	lapses  int32 // of the lease, when this worker was last known to own the run
	stop    context.CancelFunc
	long    *time.Timer
	grace   *time.Timer // runs once the step is canceled
	shown   bool
	result  *result // nil until it arrives

	// What its outcome depends on, should the run be paused when it returns.
	spec     *run.Step
	canceled error       // why, or nil
	halted   atomic.Bool // the run is paused: do not call the function if that was not done
}

// result is the outcome of an attempt.
type result struct {
	ref    string
	number int
	at     time.Time
	data   []byte
	failed *run.StepError
	begun  bool // the step's function was called
	// message is the mailbox message in which a transactional step has put the result too. 0:
	// none.
	message int64
}

// abandon cancels the attempt; its result will not count.
func (at *attempt) abandon() {
	at.stop()
	at.long.Stop()
	if at.grace != nil {
		at.grace.Stop()
	}
}

// longAttempt is how long an attempt executes before it is shown.
const longAttempt = time.Second

// begin starts an attempt of a step, once the decision to do so is durable.
func (a *actor) begin(s *scheduled) {
	w := a.w
	ctx, stop := context.WithCancel(w.stepCtx)
	at := &attempt{ref: s.ref, number: s.attempts + 1, epoch: a.head.Epoch, started: saturate.Time(w.store.Now()), lapses: a.lapses, stop: stop, spec: s.spec}
	if a.attempts == nil {
		a.attempts = map[string]*attempt{}
	}
	a.attempts[s.ref] = at
	ctx = w.tel.Within(ctx, &a.head)
	info := run.Info{RunID: a.id, Workflow: a.head.Workflow, Version: a.def.Version, StartedBy: a.x.StartedBy()}
	info.StepID, info.Step = journal.StepID(a.id, s.ref), s.spec.Name
	info.Attempt, info.StartedAt = at.number, at.started
	scene := &run.Scene{Info: info, Client: w.env.Client, Respond: w.env.Respond}
	if origin := a.head.Origin; origin != nil {
		scene.Inherited = func(sentTo string) bool { return execution.Inherited(origin, sentTo) }
	}
	ctx = context.WithValue(ctx, run.Key{}, scene)
	at.long = time.AfterFunc(longAttempt, func() { a.post(arrival{at: w.store.Now(), long: at}) })
	go a.execute(ctx, stop, at, *s.spec)
}

// execute calls the step's function and posts the result.
func (a *actor) execute(ctx context.Context, stop context.CancelFunc, at *attempt, spec run.Step) {
	defer stop()
	r := &result{ref: at.ref, number: at.number}
	returned := false
	defer func() {
		if !returned {
			r.begun = true
			f := run.Panicked(errors.New("step code called runtime.Goexit"))
			r.failed = &run.StepError{Failure: f}
		}
		if r.at.IsZero() {
			r.at = saturate.Time(a.w.store.Now())
		}
		a.post(arrival{at: r.at, result: r})
	}()
	if a.w.takeSlot(ctx) {
		defer func() { <-a.w.slots }()
		// The wait may have outlasted the lease, or this worker, and the run may have been taken over,
		// or paused.
		if lapses, err := a.w.lease.ensure(); err == nil && lapses == at.lapses && !a.w.over.Load() && !at.halted.Load() {
			r.begun = true
			ctx, returned := a.w.tel.Attempt(ctx, spec)
			a.call(ctx, at, spec, r)
			returned(r.failed)
		}
	} else {
		r.begun = true // counts as begun: it was canceled
		r.failed = &run.StepError{Failure: journal.Failure{Text: context.Canceled.Error(), Is: []string{journal.IsCanceled}}}
	}
	returned = true
}

// takeSlot waits until one more step may execute, or ctx ends.
func (w *Worker) takeSlot(ctx context.Context) bool {
	select {
	case w.slots <- struct{}{}:
		return true
	default: // ctx.Done makes a channel, so call it only to wait
	}
	select {
	case w.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (a *actor) call(ctx context.Context, at *attempt, spec run.Step, r *result) {
	if spec.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, spec.Timeout)
		defer cancel()
	}
	if spec.Transact != nil {
		a.transact(ctx, at, spec, r)
		return
	}
	r.data, r.failed = a.limited(ctx, at, spec.Func)
}

// limited calls a step's function, and refuses a result that is too large.
func (a *actor) limited(ctx context.Context, at *attempt, f run.StepFunc) ([]byte, *run.StepError) {
	execution.EnterStep(at.ref)
	defer execution.LeaveStep() // also if f calls runtime.Goexit
	data, failed := f(ctx)
	if limit := a.w.opts.MaxPayload; failed == nil && len(data) > limit {
		return nil, &run.StepError{Failure: tooLarge("result of "+run.StepTitle(at.ref), len(data), limit), Fatal: true}
	}
	return data, failed
}

// stepEvent turns the result of an attempt of a step, if there is such a step, into an event, or
// returns nil if it does not count.
func (a *actor) stepEvent(s *scheduled, r *result) *store.Event {
	if s == nil || !r.begun {
		return nil
	}
	if r.failed == nil {
		return &store.Event{Kind: store.StepCompleted, Ref: r.ref, Data: r.data}
	}
	if a.w.stepCtx.Err() != nil && s.canceled == nil {
		return nil // it failed because the worker is shutting down: another one repeats it
	}
	return s.failed(r.failed, r.at)
}

func tooLarge(what string, n, limit int) journal.Failure {
	return journal.Failure{
		Text: fmt.Sprintf("payload is too large: %s has %d bytes, the limit is %d", what, n, limit),
		Is:   []string{workflow.ErrPayloadTooLarge.Error()},
	}
}

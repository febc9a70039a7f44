package execution

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
)

// New makes the execution of a run by some code. ctx carries the run's trace; log is the
// worker's.
func New(ctx context.Context, r *store.Run, code *run.Workflow, env *Environment, log *slog.Logger) *Execution {
	x := &Execution{
		info:   run.Info{RunID: r.ID, Workflow: r.Workflow, Version: code.Version, Generation: int(r.Generation)},
		base:   r.Base,
		secret: r.Secret,
		origin: r.Origin,
		parent: r.ParentID,
		code:   code.Func,
		env:    env,
		log:    log,
		traced: ctx,
		live:   true,
	}
	x.root = newScope(x, nil)
	x.scene = &run.Scene{Scope: x.root, Client: env.Client}
	return x
}

// Replay feeds a recorded event. It returns a divergence if the code asks for something other
// than what the journal has.
func (x *Execution) Replay(e *store.Event) *Divergence {
	x.live = false
	x.expect = e.Asked
	x.feed(e)
	x.passPatches(journal.WithoutPatches(x.expect))
	if x.diverged == nil && x.expect != "" {
		recorded, _, _ := strings.Cut(x.expect, "\n")
		x.diverged = &Divergence{Recorded: recorded, Attempted: x.whatInstead()}
	}
	x.live = true
	if x.diverged != nil {
		x.diverged.Position, x.diverged.Event = e.Position, eventName(e)
	}
	return x.diverged
}

// Feed feeds a new event, and fills in what the code asks for. trace is that of the sender, if
// it is a payload.
func (x *Execution) Feed(e *store.Event, trace string) {
	x.payloadTrace = trace
	if e.Kind == store.Started && e.Ref == "" {
		e.Ref = journal.Start{RestartAfter: x.env.RestartAfter}.String()
	}
	x.feed(e)
	x.payloadTrace = ""
}

func (x *Execution) feed(e *store.Event) {
	if e.At.After(x.now) {
		x.now = e.At
	}
	e.At, x.position = x.now, e.Position
	x.size += int64(len(e.Data))
	x.asked = x.asked[:0]
	x.apply(e)
	for x.diverged == nil && !x.finished {
		b := x.runnable.pop()
		if b == nil {
			break
		}
		x.current.Store(b)
		b.next()
		x.current.Store(nil)
	}
	if x.live && len(x.asked) > 0 {
		e.Asked = string(x.asked[:len(x.asked)-1])
	}
	x.compact()
}

// apply changes what the branches wait for.
func (x *Execution) apply(e *store.Event) {
	x.moved = x.moved || moves(e.Kind)
	switch e.Kind {
	case store.Started:
		start := journal.ParseStart(e.Ref)
		x.born, x.restartAfter, x.took = e.At, start.RestartAfter, start.Took
		x.info.StartedBy = e.Actor
		input := e.Data
		x.newBranch(func() { x.finish(x.code(x.root, input)) })
	case store.PayloadReceived:
		x.deliver(e)
	case store.CancelRequested:
		x.cancelRequested = true
		if planted.TokenReleasedEarly.Here() {
			for _, h := range x.hookByID {
				x.emit(&store.Effect{Kind: store.CloseHook, Hook: h.spec}, nil)
			}
		}
		x.root.cancel(errCanceled)
	case store.Woken:
		x.timers.wakeSleeps(x)
	case store.ChildCompleted, store.ChildFailed:
		if c := x.children[e.Ref]; c != nil {
			c.end(x, e)
		}
	case store.AwaitedCompleted, store.AwaitedFailed, store.AwaitRefused:
		x.told(e)
	case store.Retried:
		x.awaitAgain()
	case store.ChildExists:
		if c := x.children[e.Ref]; c != nil && (c.derived || c.anew) {
			c.taken(x)
			return
		}
		x.decided(e)
	case store.ChildStarted, store.HookClaimed, store.HookConflict, store.HookMismatch, store.HookDrained,
		store.Responded, store.RespondConflict:
		x.decided(e)
	case store.StepRetried, store.StepCompleted, store.StepFailed:
		if s := x.steps[e.Ref]; s != nil {
			s.apply(x, e)
		}
	case store.TimerFired:
		x.timers.fire(x, e.Ref)
	case store.Forked:
		x.forked()
	case store.RetryNow, store.Resumed, store.StepStarted, store.Restarted, store.RunCompleted, store.RunFailed, store.RunCanceled:
	}
}

// moves reports whether a kind of event is more than the store's word on what the code asked for.
func moves(kind store.Kind) bool {
	switch kind { //nolint:exhaustive // the others are
	case store.PayloadReceived, store.CancelRequested, store.Woken, store.ChildCompleted, store.ChildFailed,
		store.AwaitedCompleted, store.AwaitedFailed, store.StepCompleted, store.StepFailed, store.TimerFired:
		return true
	}
	return false
}

// decides reports whether an event records the store's decision about an ask, and its
// reference.
func decides(e *store.Event, s pendingAsk) (ref string, ok bool) {
	switch s := s.(type) {
	case *claim:
		return s.hook.ref, e.Kind == store.HookClaimed || e.Kind == store.HookConflict || e.Kind == store.HookMismatch
	case *drain:
		return s.hook.ref, e.Kind == store.HookDrained
	case *child:
		return s.ref, e.Kind == store.ChildStarted || e.Kind == store.ChildExists
	case *respond:
		return s.ref, e.Kind == store.Responded || e.Kind == store.RespondConflict
	}
	return "", false
}

// decided feeds the outcome of a pending ask.
func (x *Execution) decided(e *store.Event) {
	for i, s := range x.pending {
		if ref, ok := decides(e, s); ok && ref == e.Ref {
			x.pending = slices.Delete(x.pending, i, i+1)
			switch s := s.(type) {
			case *claim:
				s.end(x, e)
			case *drain:
				s.hook.gather()
				s.hook.drained = true
				s.hook.waiters.wake(x)
			case *child:
				s.decided(x, e)
			case *respond:
				s.end(x, e)
			}
			return
		}
	}
}

// Reask emits, after a replay, the asks whose outcome the journal does not have.
func (x *Execution) Reask() {
	if x.origin.At(x.position) != nil {
		return // they are the origin's, and the next event, which says so, asks again
	}
	for _, ask := range x.pending {
		if e := ask.effect(); e != nil {
			x.effects = append(x.effects, Effect{e, true, ask})
		}
	}
	for _, ref := range slices.Sorted(maps.Keys(x.children)) {
		if c := x.children[ref]; c.derived || c.anew {
			x.effects = append(x.effects, Effect{c.effect(), true, c})
		}
	}
}

// Close unwinds the branches that have not ended. Their deferred functions are executed;
// durable calls in them do nothing.
func (x *Execution) Close() {
	x.evict()
	for _, b := range x.branches {
		if !b.gone {
			x.discard(b)
		}
	}
	x.branches = nil
}

// TakeSpans returns the spans that have ended since this was last called.
func (x *Execution) TakeSpans() []Span {
	spans := x.spans
	x.spans = nil
	return spans
}

// Divergence returns why the code can't go on, or nil.
func (x *Execution) Divergence() *Divergence { return x.diverged }

// whatInstead describes what the code does where the journal has more asks.
func (x *Execution) whatInstead() string {
	if x.finished && x.failure != nil {
		return "return the error: " + x.failure.Text
	}
	if x.finished {
		return "return"
	}
	return ""
}

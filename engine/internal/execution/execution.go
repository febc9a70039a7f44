package execution

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/internal/gid"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
)

// Execution is the executing workflow code of one run: its branches, and what they wait for.
// It is fed the events of the journal one at a time; after each, the runnable branches
// continue until all wait. Fed the same events, it comes to the same state, so a replay and a
// live run are one code path; they differ only in whether what the code asks for is compared
// with the journal or collected for it.
//
// It does no I/O and knows no clock. All calls belong to one goroutine at a time.
type Execution struct {
	info   run.Info
	parent string // its run ID
	secret []byte
	code   func(run.Scope, []byte) ([]byte, *journal.Failure)
	scene  *run.Scene
	env    *Environment
	log    *slog.Logger    // of the worker
	traced context.Context //nolint:containedctx // carries the run's trace

	current    atomic.Pointer[branch] // the one that is executing, nil between turns
	branches   []*branch
	nextBranch int
	runnable   runqueue
	root       *scope
	doneMu     sync.Mutex
	dones      []*scope // whose Done channel was handed out

	born     time.Time // of the first event
	now      time.Time // of the current event
	position int64     // of the current event

	live            bool // false during replay
	took            bool // the code has ever taken a payload
	cancelRequested bool
	finished        bool

	patches      map[string]bool // whether the code has taken the way of each that it has reached
	steps        map[string]*Step
	stepCount    map[string]int
	timers       timerHeap
	timerCount   int
	hookCount    int
	respondCount int
	hookByID     map[string]*hook
	early        map[string][]*item  // payloads of a reserved hook that is not opened yet
	backlogs     map[string]*Backlog // of hooks, by ID
	pulls        []*hook             // whose next payload the code asks for
	closing      map[string]*hook    // pulled after they were closed
	children     map[string]*child
	childCount   map[string]int
	derived      []derivation // few: a map would take the room of twenty

	// pending holds, in order, the asks that the store decides and whose outcome has not been
	// fed yet. After a crash they are asked again.
	pending []pendingAsk

	asked        []byte   // lines of this turn
	expect       string   // lines of the journal that this turn has still to produce
	effects      []Effect // asked for since they were last taken
	logs         []func() // since they were last taken
	spans        []Span   // ended since they were last taken
	payloadTrace string   // of the current payload

	hooks    []HookChange // opened and closed since they were last taken
	newSteps []*Step      // asked for since they were last taken
	canceled []*Step      // canceled since then
	items    []*item      // payloads, in order; most of those taken are dropped
	taken    int          // in items

	diverged *Divergence
	result   []byte
	failure  *journal.Failure
}

// derivation counts how often something was derived for a purpose.
type derivation struct {
	label journal.Label
	count uint64
}

// pendingAsk is an ask whose outcome the store decides.
type pendingAsk interface {
	// effect is what asks the store. nil: reading the mailbox decides the ask.
	effect() *store.Effect
	// outcome returns the event that records what the store has decided. An empty kind means
	// that there is nothing to record.
	outcome(o store.Outcome) (kind store.Kind, ref string, data []byte)
}

func (x *Execution) logger() *slog.Logger {
	return x.log.With("run", x.info.RunID, "workflow", x.info.Workflow)
}

// Finished reports whether the code has ended, and with it the run.
func (x *Execution) Finished() bool { return x.finished }

// Result returns the outcome of finished code. canceled says that it was asked to cancel.
func (x *Execution) Result() (data []byte, failure *journal.Failure, canceled bool) {
	return x.result, x.failure, x.cancelRequested
}

// AtRest reports whether the code waits for events.
func (x *Execution) AtRest() bool { return !x.finished && x.diverged == nil }

// Now returns the time of the last event.
func (x *Execution) Now() time.Time { return x.now }

// TookAny reports whether the code has ever taken a payload.
func (x *Execution) TookAny() bool { return x.took }

// Pending returns how many asks the store has still to decide.
func (x *Execution) Pending() int { return len(x.pending) }

// TakeEffects returns the effects that were asked for since this was last called.
func (x *Execution) TakeEffects() []Effect {
	effects := x.effects
	x.effects = nil
	return effects
}

// Log writes what the code has logged since this was last called.
func (x *Execution) Log() {
	for _, log := range x.logs {
		log()
	}
	x.logs = nil
}

// finish ends the run's code. The first call counts.
func (x *Execution) finish(result []byte, failure *journal.Failure) {
	if !x.finished && x.diverged == nil {
		x.finished, x.result, x.failure = true, result, failure
	}
}

func (x *Execution) compact() {
	if len(x.branches) > 16 {
		ended := 0
		for _, b := range x.branches {
			if b.gone {
				ended++
			}
		}
		if ended > len(x.branches)/2 {
			x.branches = slices.DeleteFunc(x.branches, func(b *branch) bool { return b.gone })
		}
	}
}

// enter begins a durable call: it returns the branch that makes the call, or an error if the
// goroutine is not a branch.
func (x *Execution) enter() (*branch, error) {
	b := x.current.Load()
	if b == nil || b.g.Load() != uintptr(gid.Current()) {
		return nil, run.Foreign()
	}
	if b.unwind {
		// A deferred function at eviction or Goexit: it must do nothing durable.
		b.park()
	}
	return b, nil
}

// wait parks b until w is ready, even if its scope ends.
func (x *Execution) wait(b *branch, w waitable) {
	if w.Ready() {
		return
	}
	l := w.waitlist()
	l.add(b)
	for !w.Ready() {
		b.park()
	}
	l.remove(b)
}

// waitable is the engine's side of a run.Waitable.
type waitable interface {
	run.Waitable
	waitlist() *waitlist
}

// ask records that the code asks for something, on a branch or, if b is nil, as a consequence
// of an event. It returns the time that counts for a timer: the recorded one on replay.
func (x *Execution) ask(b *branch, a journal.Ask) time.Time {
	if x.live {
		x.asked = append(a.Append(x.asked), '\n')
		return a.Until
	}
	if a.Op != journal.Patched {
		x.expect = journal.WithoutPatches(x.expect)
	}
	recorded, rest, _ := strings.Cut(x.expect, "\n")
	if until, ok := a.Match(recorded); ok {
		x.expect = rest
		return until
	}
	x.diverged = &Divergence{Recorded: recorded, Attempted: a.String(), Caller: callerLine()}
	if b != nil {
		b.parkForever()
	}
	return a.Until
}

// expects reports whether the replayed journal has an ask next.
func (x *Execution) expects(a journal.Ask) bool {
	recorded, _, _ := strings.Cut(journal.WithoutPatches(x.expect), "\n")
	_, ok := a.Match(recorded)
	return ok
}

// Effect is an effect that a transition is to have.
type Effect struct {
	*store.Effect
	Again bool // it was asked for before
	ask   pendingAsk
}

// Outcome returns the event that tells the code of what the store has decided, or nil.
func (e *Effect) Outcome(o store.Outcome) *store.Event {
	if e.ask == nil {
		return nil
	}
	kind, ref, data := e.ask.outcome(o)
	if kind == "" {
		return nil
	}
	return &store.Event{Kind: kind, Ref: ref, Data: data}
}

// emit adds an effect. On replay the effect has happened already.
func (x *Execution) emit(e *store.Effect, ask pendingAsk) {
	if x.live {
		x.effects = append(x.effects, Effect{Effect: e, ask: ask})
	}
}

// await adds an ask that the store decides.
func (x *Execution) await(ask pendingAsk) {
	x.pending = append(x.pending, ask)
	if e := ask.effect(); e != nil {
		x.emit(e, ask)
	}
}

// derive returns bytes that only this run can compute.
func (x *Execution) derive(label journal.Label) [32]byte {
	i := slices.IndexFunc(x.derived, func(d derivation) bool { return d.label == label })
	if i < 0 {
		i = len(x.derived)
		x.derived = append(x.derived, derivation{label: label})
	}
	x.derived[i].count++
	return journal.Derive(x.secret, label, x.derived[i].count)
}

// count returns, as a reference, how often name was counted in m, this time included.
func count(m *map[string]int, name string) string {
	if *m == nil {
		*m = map[string]int{}
	}
	(*m)[name]++
	return journal.NumberedRef(name, (*m)[name])
}

func eventName(e *store.Event) string {
	if e.Ref == "" {
		return string(e.Kind)
	}
	return fmt.Sprintf("%s %s", e.Kind, e.Ref)
}

// over notes a span, unless it belongs to a replay or nothing observes it.
func (x *Execution) over(s Span) {
	if x.live && (x.env.Observed || s.Failure != nil) {
		s.To = x.now
		x.spans = append(x.spans, s)
	}
}

package execution

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/internal/gid"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/planted"
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
	secret []byte // of the run
	origin *store.Origin
	code   func(run.Scope, []byte) ([]byte, *journal.Failure)
	scene  *run.Scene
	env    *Environment
	log    *slog.Logger    // of the worker
	traced context.Context //nolint:containedctx // carries the run's trace

	current    atomic.Pointer[branch] // the one that is executing, nil between turns
	branches   []*branch
	nextBranch int32
	taken      int32 // in items
	runnable   runqueue
	root       *scope
	doneMu     sync.Mutex
	dones      []*scope // whose Done channel was handed out

	born     time.Time // of the first event
	now      time.Time // of the current event
	position int64     // of the current event
	base     int64     // position of the last event before the generation
	size     int64     // bytes of data that the generation was fed

	restartAfter int // how many events a generation may have

	live            bool // false during replay
	took            bool // the code has ever taken a payload
	moved           bool // something has come to the generation since it began
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
	awaits       *awaits      // nil: none yet
	links        *links       // as well
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

	diverged *Divergence
	restart  *Restart // what the code has asked for, or nil
	result   []byte
	failure  *journal.Failure
}

// Restart is what the code has asked for by a restart: the next generation.
type Restart struct {
	Input  []byte
	Caller string // the line that asked for it
}

// awaits are the ends of other runs that the code has asked for.
type awaits struct {
	count int
	open  map[string]*awaited // by number
}

// awaited is another run whose end the code awaits.
type awaited struct {
	x        *Execution
	sub      store.Subscription
	scope    *scope
	done     bool
	workflow string
	data     []byte
	failure  *journal.Failure
	err      error // why it is not awaited
	waiters  waitlist
}

// links are those that the code has made.
type links struct {
	count int
	made  map[string]*link // by number
}

// link is a link under which somebody answers a hook.
type link struct {
	x       *Execution
	ref     string // its number in the run
	hook    *hook
	spec    store.Link
	revoked bool
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

// Restarting returns the restart with which the code has ended, or nil.
func (x *Execution) Restarting() *Restart {
	if !x.finished {
		return nil
	}
	return x.restart
}

// StartedBy returns who started the run, as it is stored.
func (x *Execution) StartedBy() string { return x.info.StartedBy }

// Canceled reports whether the run was asked to cancel.
func (x *Execution) Canceled() bool { return x.cancelRequested }

// Moved reports whether anything has come to the generation since it began.
func (x *Execution) Moved() bool { return x.moved }

// Position returns that of the last event that was fed.
func (x *Execution) Position() int64 { return x.position }

// length is how many events the generation has had.
func (x *Execution) length() int64 { return x.position - x.base }

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
	if x.finished || x.diverged != nil {
		return
	}
	if x.restart != nil && !failure.Names(journal.IsRestarting) {
		x.diverged = &Divergence{Unable: journal.ReasonRestartNotReturned(x.restart.Caller, returned(failure))}
		return
	}
	x.finished, x.result, x.failure = true, result, failure
}

// returned describes what code has returned, in a word or two.
func returned(f *journal.Failure) string {
	switch {
	case f == nil:
		return "a result"
	case slices.ContainsFunc(f.As, func(t journal.Typed) bool { return t.Type == journal.AsPanic }):
		return f.Text
	default:
		return "the error " + strconv.Quote(f.Text)
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
// of an event. On replay it takes over what is recorded and counts.
func (x *Execution) ask(b *branch, a *journal.Ask) {
	if x.live {
		x.asked = append(a.Append(x.asked), '\n')
		return
	}
	if a.Op != journal.Patched {
		x.passPatches(journal.WithoutPatches(x.expect))
	}
	line, rest, _ := strings.Cut(x.expect, "\n")
	if a.Match(line) {
		x.expect = rest
		return
	}
	x.diverged = &Divergence{Recorded: line, Attempted: a.String(), Caller: callerLine()}
	if b != nil {
		b.parkForever()
	}
}

// passPatches passes over the patches that the journal has before the rest of what it expects: the
// code has lost the calls that decided them. Other calls with their IDs go by what was decided.
func (x *Execution) passPatches(rest string) {
	for len(x.expect) > len(rest) {
		line, more, _ := strings.Cut(x.expect, "\n")
		if asked, ok := journal.Parse(line); ok {
			x.decidePatch(asked.Ref, true)
		}
		x.expect = more
	}
}

// decidePatch decides a patch, if it is not decided.
func (x *Execution) decidePatch(id string, took bool) {
	if _, decided := x.patches[id]; decided {
		return
	}
	if x.patches == nil {
		x.patches = map[string]bool{}
	}
	x.patches[id] = took
}

// expects reports whether the replayed journal has an ask next.
func (x *Execution) expects(a *journal.Ask) bool {
	recorded, _, _ := strings.Cut(journal.WithoutPatches(x.expect), "\n")
	return a.Match(recorded)
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

// count returns, as a reference, how often name was counted in m, this time included.
func (x *Execution) count(m *map[string]int, name string) string {
	if *m == nil {
		*m = map[string]int{}
	}
	(*m)[name]++
	generation := x.info.Generation
	if planted.GenerationUnnamed.Here() {
		generation = 0
	}
	return journal.NumberedRef(name, generation, (*m)[name])
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

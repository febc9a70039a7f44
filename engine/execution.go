package engine

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/internal/gid"
	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// execution is the workflow code of one run at work: its branches, and what they
// wait for. It is fed the events of the journal one at a time; after each, the
// runnable branches go on until all wait. Being fed the same events it comes to the
// same state, so a replay and a live run are one code path; they differ in whether
// what the code asks for is compared with the journal or collected for it.
//
// It does no I/O and knows no clock. All calls belong to one goroutine at a time.
type execution struct {
	info   run.Info
	parent string // its run ID
	secret []byte
	code   func(run.Scope, []byte) ([]byte, *run.Failure)
	scene  *run.Scene
	env    *environment
	log    *slog.Logger    // of the worker
	traced context.Context //nolint:containedctx // has the run's trace

	current    atomic.Pointer[branch] // the one that is executing, nil between turns
	branches   []*branch
	nextBranch int
	runnable   runqueue
	root       *scope
	doneMu     sync.Mutex
	dones      []*scope // whose Done somebody has taken

	born     time.Time // of the first event
	now      time.Time // of the event being handled
	position int64     // of the event being handled

	live            bool // false during replay
	took            bool // the code has ever taken a payload
	cancelRequested bool
	finished        bool

	steps        map[string]*step
	stepCount    map[string]int
	timers       timerHeap
	timerCount   int
	hookCount    int
	respondCount int
	hookByID     map[string]*hook
	early        map[string][]*item  // payloads of a reserved hook that is not opened yet
	backlogs     map[string]*backlog // of hooks, by ID
	pulls        []*hook             // whose next payload is asked for
	closing      map[string]*hook    // that were pulled after they were closed
	children     map[string]*child
	childCount   map[string]int
	derived      []derivation // few, and a map would take as much room as twenty

	// unsettled are the asks that the store has to decide and whose outcome has not
	// been fed yet, in order. After a crash they are asked again.
	unsettled []settler

	asked   []byte   // lines of this turn
	expect  string   // lines of the journal still to come in this turn
	effects []effect // asked for since the last collect
	logs    []func() // since the last collect

	passages []passage // over since the last collect
	sender   string    // trace of the payload being handled

	changed  []*hook // opened or closed since the last collect
	newSteps []*step // asked for since they were last taken
	canceled []*step // canceled since then
	items    []*item // payloads, in order; most of those taken are dropped
	taken    int     // in items

	diverged *divergence
	result   []byte
	failure  *run.Failure
}

// derivation is how often something was derived for a purpose.
type derivation struct {
	label string
	count uint64
}

// settler is an ask that the store decides.
type settler interface {
	// settle returns the effect that asks for it, or nil if reading the mailbox
	// decides it.
	settle() *store.Effect
	// outcome returns the event that tells what the store has decided. No kind: there
	// is nothing to tell.
	outcome(o store.Outcome) (kind store.Kind, ref string, data []byte)
}

// environment is what an execution may know of the engine.
type environment struct {
	client    any
	publicURL string
	verifiers []string
	dedupeFor time.Duration
	limit     int // of inputs, payloads and results, in bytes
	observed  bool
}

func newExecution(r *store.Run, code *run.Workflow, env *environment, log *slog.Logger) *execution {
	x := &execution{
		info:   run.Info{RunID: r.ID, Workflow: r.Workflow, Version: code.Version},
		secret: r.Secret,
		parent: r.ParentID,
		code:   code.Func,
		env:    env,
		log:    log,
		live:   true,
	}
	x.root = newScope(x, nil)
	x.scene = &run.Scene{Scope: x.root, Client: env.client}
	return x
}

func (x *execution) logger() *slog.Logger {
	return x.log.With("run", x.info.RunID, "workflow", x.info.Workflow)
}

// replay feeds a recorded event. It returns a divergence if the code asks for other
// things than the journal has.
func (x *execution) replay(e *store.Event) *divergence {
	x.live = false
	x.expect = e.Asked
	x.feed(e)
	if x.diverged == nil && x.expect != "" {
		recorded, _, _ := strings.Cut(x.expect, "\n")
		x.diverged = &divergence{Recorded: recorded, Attempted: x.whatInstead()}
	}
	x.live = true
	if x.diverged != nil {
		x.diverged.Position, x.diverged.Event = e.Position, eventName(e)
	}
	return x.diverged
}

// live turns: feed fills e.Asked.
func (x *execution) feed(e *store.Event) {
	if e.At.After(x.now) {
		x.now = e.At
	}
	e.At, x.position = x.now, e.Position
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
func (x *execution) apply(e *store.Event) {
	switch e.Kind {
	case store.Started:
		x.born = e.At
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
	case store.ChildExists:
		if c := x.children[e.Ref]; c != nil && c.derived {
			c.taken(x)
			return
		}
		x.settled(e)
	case store.ChildStarted, store.HookClaimed, store.HookConflict, store.HookDrained,
		store.Responded, store.RespondConflict:
		x.settled(e)
	case store.StepRetried, store.StepCompleted, store.StepFailed:
		if s := x.steps[e.Ref]; s != nil {
			s.apply(x, e)
		}
	case store.TimerFired:
		x.timers.fire(x, e.Ref)
	case store.StepStarted, store.Retried, store.RunCompleted, store.RunFailed, store.RunCanceled:
	}
}

// settled feeds the outcome of an unsettled ask.
func (x *execution) settled(e *store.Event) {
	for i, s := range x.unsettled {
		if ref, ok := settles(s, e); ok && ref == e.Ref {
			x.unsettled = slices.Delete(x.unsettled, i, i+1)
			switch s := s.(type) {
			case *claim:
				s.end(x, e)
			case *drain:
				s.hook.gather()
				s.hook.drained = true
				s.hook.waiters.wake(x)
			case *child:
				s.settled(x, e)
			case *respond:
				s.end(x, e)
			}
			return
		}
	}
}

func settles(s settler, e *store.Event) (ref string, ok bool) {
	switch s := s.(type) {
	case *claim:
		return s.hook.ref, e.Kind == store.HookClaimed || e.Kind == store.HookConflict
	case *drain:
		return s.hook.ref, e.Kind == store.HookDrained
	case *child:
		return s.ref, e.Kind == store.ChildStarted || e.Kind == store.ChildExists
	case *respond:
		return s.ref, e.Kind == store.Responded || e.Kind == store.RespondConflict
	}
	return "", false
}

// finish ends the run's code. The first call counts.
func (x *execution) finish(result []byte, failure *run.Failure) {
	if !x.finished && x.diverged == nil {
		x.finished, x.result, x.failure = true, result, failure
	}
}

// close unwinds what has not ended. Its deferred functions are executed; durable
// calls in them do nothing.
func (x *execution) close() {
	x.evict()
	for _, b := range x.branches {
		if !b.gone {
			x.discard(b)
		}
	}
	x.branches = nil
}

func (x *execution) compact() {
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

// enter begins a durable call: it returns the branch that makes it, or an error on a
// goroutine that is none.
func (x *execution) enter() (*branch, error) {
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

// wait parks b until w is ready, whatever becomes of its scope.
func (x *execution) wait(b *branch, w waitable) {
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

// ask records that the code asks for something, on a branch or, if that is nil, as a
// consequence of an event. The line is what identifies it; the
// detail is recorded and not compared. It returns the detail that counts: the
// recorded one on replay.
func (x *execution) ask(b *branch, line, detail string) string {
	if x.live {
		x.asked = append(x.asked, line...)
		x.asked = append(x.asked, detail...)
		x.asked = append(x.asked, '\n')
		return detail
	}
	recorded, rest, _ := strings.Cut(x.expect, "\n")
	if strings.HasPrefix(recorded, line) && (detail != "" || len(recorded) == len(line)) {
		x.expect = rest
		return recorded[len(line):]
	}
	x.diverged = &divergence{Recorded: recorded, Attempted: line + detail, Caller: callerLine()}
	if b != nil {
		b.parkForever()
	}
	return ""
}

// expects reports whether a replay comes to a line next.
func (x *execution) expects(line string) bool {
	recorded, _, _ := strings.Cut(x.expect, "\n")
	return recorded == line
}

// effect is an effect, and what waits for its outcome, or nil.
type effect struct {
	*store.Effect
	settler settler
	again   bool // asked for before
}

// emit adds an effect. On replay it has happened already.
func (x *execution) emit(e *store.Effect, s settler) {
	if x.live {
		x.effects = append(x.effects, effect{Effect: e, settler: s})
	}
}

// unsettle adds an ask that the store decides.
func (x *execution) unsettle(s settler) {
	x.unsettled = append(x.unsettled, s)
	if e := s.settle(); e != nil {
		x.emit(e, s)
	}
}

// askAgain emits, after a replay, the asks whose outcome the journal does not have.
func (x *execution) askAgain() {
	for _, s := range x.unsettled {
		if e := s.settle(); e != nil {
			x.effects = append(x.effects, effect{e, s, true})
		}
	}
	for _, ref := range slices.Sorted(maps.Keys(x.children)) {
		if c := x.children[ref]; c.derived {
			x.effects = append(x.effects, effect{c.settle(), c, true})
		}
	}
}

// derive returns bytes that only this run can know.
func (x *execution) derive(label string) (sum [32]byte) {
	i := slices.IndexFunc(x.derived, func(d derivation) bool { return d.label == label })
	if i < 0 {
		i = len(x.derived)
		x.derived = append(x.derived, derivation{label: label})
	}
	x.derived[i].count++
	mac := hmac.New(sha256.New, x.secret)
	mac.Write([]byte(label))
	mac.Write([]byte{0})
	mac.Write(binary.BigEndian.AppendUint64(nil, x.derived[i].count))
	mac.Sum(sum[:0])
	return sum
}

// count returns how often name was counted in m, this time included, as a reference.
func count(m *map[string]int, name string) string {
	if *m == nil {
		*m = map[string]int{}
	}
	(*m)[name]++
	return name + "#" + strconv.Itoa((*m)[name])
}

// checkName refuses names and IDs that could not be written in one line.
func checkName(name string) error {
	if bad := run.BadName(name, run.MaxName); bad != "" {
		return fmt.Errorf("%w: %s", workflow.ErrInvalidName, bad)
	}
	return nil
}

func eventName(e *store.Event) string {
	if e.Ref == "" {
		return string(e.Kind)
	}
	return fmt.Sprintf("%s %s", e.Kind, e.Ref)
}

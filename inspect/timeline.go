package inspect

import (
	"container/heap"
	"encoding/json"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/workflow"
)

// Item is a thing that a run has asked for, from then until it was over: a bar of its
// timeline.
type Item struct {
	Kind     ItemKind  `json:"kind"`
	Name     string    `json:"name"`         // a step or child such as "charge#1", the token of a hook, "sleep 3", "run order-7", the ID of a patch
	Position int64     `json:"position"`     // of the event whose turn asked for it
	Begin    time.Time `json:"begin"`        // when it was asked for
	End      time.Time `json:"end,omitzero"` // zero while it is open
	State    State     `json:"state"`
	Until    time.Time `json:"until,omitzero"` // when a timer fires, or a step is tried again

	HookID   string `json:"hook_id,omitempty"`   // of a hook
	HookType string `json:"hook_type,omitempty"` // name of the defined type of an open hook
	RunID    string `json:"run_id,omitempty"`    // of a child, or of a run that is awaited; of the run that has the token or the ID, on a conflict
	Request  string `json:"request,omitempty"`   // of a response: the ID of the HTTP request

	// MaxAttempts is how many attempts a step has that has failed and is to be tried
	// again. 0: any number.
	MaxAttempts int `json:"max_attempts,omitempty"`

	Attempts []Attempt `json:"attempts,omitempty"` // of a step, in order: those that have ended, and the one that is executing
	Payloads []Payload `json:"payloads,omitempty"` // of a hook: what it has got, in order

	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"` // of a step that is to be tried again: of the last attempt

	By workflow.Actor `json:"by,omitzero"` // who gave the order, of a control
}

// Instant reports whether the item is a moment, without a duration.
func (it *Item) Instant() bool { return it.Kind == KindControl || it.Kind == KindPatch }

// Title names the item for people: its kind and its name, such as "step charge#1".
func (it *Item) Title() string {
	if it.Kind == KindSleep || it.Kind == KindDeadline || it.Kind == KindResponse {
		return it.Name
	}
	return Title(it.Kind, it.Name)
}

// Title is a kind and a name, as in [Item.Title]. A name that says what it is, such as
// "hook 1", is enough.
func Title(kind ItemKind, name string) string {
	if strings.HasPrefix(name, string(kind)+" ") {
		return name
	}
	return string(kind) + " " + name
}

// ItemKind says what an item is.
type ItemKind string

// The kinds of items.
const (
	KindStep     ItemKind = "step"
	KindHook     ItemKind = "hook"
	KindSleep    ItemKind = "sleep"
	KindDeadline ItemKind = "deadline" // of a context, or of a select
	KindChild    ItemKind = "child"
	KindAwait    ItemKind = "await"    // of the end of another run
	KindResponse ItemKind = "response" // an answer to an HTTP request
	KindControl  ItemKind = "control"  // from outside: cancel, wake, retry, retry now, resume; or fork, where the events of the run that it was forked from end
	KindPatch    ItemKind = "patch"    // that the code has taken, see workflow.Patched
)

// State says how far an item is.
type State string

// The states of items.
const (
	StateOpen    State = "open"    // not over: a step executes or waits for its turn, a hook takes payloads, a timer runs
	StateBackoff State = "backoff" // a step waits for its next attempt
	StateDone    State = "done"    // a step, child or awaited run has completed, a hook was closed, a timer fired, a request was answered, a patch was taken
	StateFailed  State = "failed"  // a step, child or awaited run has failed, a token or an ID was taken
	StateStopped State = "stopped" // the code had no more use for a timer, or for the end of another run
	StateLeft    State = "left"    // the run ended before it did
)

// Payload is what a hook has got.
type Payload struct {
	Position int64           `json:"position"` // in the journal; 0: still in the mailbox
	At       time.Time       `json:"at"`
	Data     json.RawMessage `json:"data,omitempty"`
	Request  *Request        `json:"request,omitempty"` // instead of Data
	By       workflow.Actor  `json:"by,omitzero"`       // who sent it
}

// Timeline makes the timeline of a run from its whole journal, in the order in which
// things were asked for. What else is given adds what the journal does not have: mail
// the payloads that wait to be taken in, hooks the tokens and types of open hooks,
// executing the attempts under way.
func Timeline(run workflow.RunInfo, events []Event, mail []Message, hooks []workflow.HookInfo, executing []Attempt) []Item {
	t := newTimeline(run.ID)
	for i := range events {
		t.add(&events[i])
	}
	if n := len(events); n > 0 && run.Status == workflow.StatusWaiting && run.Events == events[n-1].Position {
		t.stopBefore(run.WakeAt, events[n-1].At)
	}
	for _, h := range hooks {
		if it := t.hookRefs[journal.HookRef(h.ID)]; it != nil {
			it.HookID, it.Name, it.HookType = h.ID, h.Token, h.Type
		}
	}
	for _, m := range mail {
		if it := t.hookRefs[journal.HookRef(m.Ref)]; it != nil && m.Kind == EventPayloadReceived {
			it.Payloads = append(it.Payloads, Payload{At: m.At, Data: m.Data, Request: m.Request, By: m.By})
		}
	}
	for _, a := range executing {
		if it := t.steps[a.Step]; it != nil && it.open() {
			it.executes(a)
		}
	}
	items := make([]Item, len(t.items))
	for i, it := range t.items {
		items[i] = it.Item
	}
	return items
}

// timeline is one in the making.
type timeline struct {
	runID string
	items []*item

	steps, hooks, timers, children, responses, awaits map[string]*item // by the refs of their events

	// By what the IDs of hooks have after that of their run: a fork has some under its origin's ID.
	hookRefs map[string]*item
	early    map[string][]Payload // of hooks that are still to be adopted
	running  timers
}

// item is an Item in the making.
type item struct {
	Item
	next int       // of a step: the number of its next attempt
	due  time.Time // when that one is due
}

func (it *item) open() bool { return it.State == StateOpen || it.State == StateBackoff }

func (it *item) end(at time.Time, s State) {
	if it != nil && it.open() {
		it.End, it.State = at, s
	}
}

func newTimeline(runID string) *timeline {
	return &timeline{
		runID: runID,
		steps: map[string]*item{}, hooks: map[string]*item{}, timers: map[string]*item{}, children: map[string]*item{},
		responses: map[string]*item{}, awaits: map[string]*item{}, hookRefs: map[string]*item{}, early: map[string][]Payload{},
	}
}

func (t *timeline) add(e *Event) {
	t.stopTimers(e)
	t.apply(e)
	for _, line := range e.Asked {
		t.ask(e, line)
	}
}

// stopTimers ends the timers that would have fired before e if they still ran: those
// of contexts that ended with another one.
func (t *timeline) stopTimers(e *Event) {
	for len(t.running) > 0 && (!t.running[0].open() || t.running[0].Until.Before(e.At)) {
		it := heap.Pop(&t.running).(*item) //nolint:forcetypeassert // it has nothing else
		it.end(it.Until, StateStopped)
	}
}

// timers is a heap, the earliest first. Some of them may have ended.
type timers []*item

func (h timers) Len() int           { return len(h) }
func (h timers) Less(i, j int) bool { return h[i].Until.Before(h[j].Until) }
func (h timers) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timers) Push(v any)        { *h = append(*h, v.(*item)) } //nolint:forcetypeassert // heap.Push gets items only

func (h *timers) Pop() any {
	last := len(*h) - 1
	it := (*h)[last]
	*h = (*h)[:last]
	return it
}

// stopBefore ends the timers that would wake the run before it is to be woken. Zero is
// never.
func (t *timeline) stopBefore(wake, at time.Time) {
	for _, it := range t.running {
		if wake.IsZero() || it.Until.Before(wake) {
			it.end(at, StateStopped)
		}
	}
}

// apply changes the items that an event is about.
func (t *timeline) apply(e *Event) {
	switch e.Kind {
	case EventPayloadReceived:
		p := Payload{Position: e.Position, At: e.At, Data: e.Data, Request: e.Request, By: e.By}
		ref := journal.HookRef(e.Ref)
		if it := t.hookRefs[ref]; it != nil {
			it.HookID, it.Payloads = e.Ref, append(it.Payloads, p)
		} else {
			t.early[ref] = append(t.early[ref], p)
		}
	case EventCancelRequested:
		t.control(e, "cancel")
		for _, it := range t.running {
			if it.Kind == KindDeadline { // its context has ended; unless it is one without cancel, whose end is seen
				it.end(e.At, StateStopped)
			}
		}
	case EventWoken:
		t.control(e, "wake")
		for _, it := range t.running {
			if it.Kind == KindSleep {
				it.end(e.At, StateDone)
			}
		}
	case EventRetried:
		t.control(e, "retry")
		t.attemptAnew(e)
	case EventRetryNow:
		t.control(e, "retry now")
		for _, it := range t.steps {
			if it.State == StateBackoff && it.due.After(e.At) {
				it.due, it.Until = e.At, e.At
			}
		}
	case EventResumed:
		t.control(e, "resume")
	case EventForked:
		t.forked(e)
	case EventStepStarted, EventStepRetried, EventStepCompleted, EventStepFailed:
		if it := t.steps[e.Ref]; it != nil {
			it.attempted(e)
		}
	case EventTimerFired:
		if it := t.timers[e.Ref]; it != nil {
			it.End, it.State = e.At, StateDone
		}
	case EventChildCompleted, EventChildFailed, EventChildExists:
		t.childEnded(e)
	case EventAwaitedCompleted, EventAwaitedFailed, EventAwaitRefused:
		t.awaitedEnded(e)
	case EventHookClaimed:
		if it := t.hooks[e.Ref]; it != nil {
			t.opened(it, journal.DecodeClaimed(e.Data).ID)
		}
	case EventHookMismatch:
		if it := t.hooks[e.Ref]; it != nil {
			it.Error = "the run carries " + journal.DecodeHookForm(e.Data).String() + " under the token"
			it.end(e.At, StateFailed)
		}
	case EventHookConflict:
		if it := t.hooks[e.Ref]; it != nil {
			it.RunID = journal.DecodeID(e.Data)
			it.Error = "run " + it.RunID + " has the token"
			if it.RunID == t.runID {
				it.Error = "another hook of this run has the token"
			}
			it.end(e.At, StateFailed)
		}
	case EventResponded:
		t.responses[e.Ref].end(e.At, StateDone)
	case EventRespondConflict:
		if it := t.responses[e.Ref]; it != nil {
			it.Error = journal.DecodeID(e.Data) + " had answered already"
			it.end(e.At, StateFailed)
		}
	case EventRestarted, EventRunCompleted, EventRunFailed, EventRunCanceled:
		for _, it := range t.items {
			it.end(e.At, StateLeft)
		}
	default: // it changes no item
	}
}

// forked is where the events of the origin end: what was under way there begins again.
func (t *timeline) forked(e *Event) {
	t.control(e, "fork")
	t.attemptAnew(e)
	fork := journal.DecodeForked(e.Data).Fork
	for ref, it := range t.children {
		if it.open() {
			it.RunID = journal.ForkedChildID(fork, ref, it.RunID)
		}
	}
	for _, it := range t.responses { // their callers are the origin's
		it.end(e.At, StateStopped)
	}
}

// attemptAnew gives the steps that are not over all their attempts again.
func (t *timeline) attemptAnew(e *Event) {
	for _, it := range t.steps {
		if it.open() {
			it.State, it.Until, it.next, it.due = StateOpen, time.Time{}, 1, e.At
		}
	}
}

func (t *timeline) childEnded(e *Event) {
	it := t.children[e.Ref]
	switch {
	case it == nil:
	case e.Kind == EventChildCompleted:
		it.Result = e.Data
		it.end(e.At, StateDone)
	case e.Kind == EventChildExists:
		it.RunID = journal.DecodeID(e.Data)
		it.Error = "run " + it.RunID + " exists"
		if it.RunID == t.runID {
			it.Error = "a run can't be its own child"
		}
		it.end(e.At, StateFailed)
	default:
		it.Error = Failure(e.Data)
		it.end(e.At, StateFailed)
	}
}

func (t *timeline) awaitedEnded(e *Event) {
	it := t.awaits[journal.Awaited(e.Ref)]
	if it == nil || !it.open() {
		return // an earlier generation has asked, or it came too late
	}
	switch e.Kind {
	case EventAwaitedCompleted:
		it.Result = e.Data
		it.end(e.At, StateDone)
		return
	case EventAwaitedFailed:
		it.Error = Failure(e.Data)
	default:
		it.Error = "run " + it.RunID + " does not exist"
		if cycle := journal.DecodeCycle(e.Data); cycle != nil {
			it.Error = "run " + it.RunID + " awaits this one"
			if via := cycle[1:max(1, len(cycle)-1)]; len(via) > 0 {
				it.Error += ", through " + strings.Join(via, ", ")
			}
		}
	}
	it.end(e.At, StateFailed)
}

func (t *timeline) control(e *Event, name string) {
	t.items = append(t.items, &item{Item: Item{
		Kind: KindControl, Name: name, Position: e.Position, Begin: e.At, End: e.At, State: StateDone, By: e.By,
	}})
}

// attempted is what an event says of a step.
func (it *item) attempted(e *Event) {
	if e.Kind == EventStepStarted {
		it.Attempts = append(it.Attempts, Attempt{Number: it.next, Begin: e.At})
		it.State, it.Until = StateOpen, time.Time{}
		return
	}
	var f journal.Retry
	if e.Kind != EventStepCompleted {
		f, _ = journal.DecodeRetry(e.Data)
	}
	// A step that was canceled while it waited has failed without another attempt.
	if e.Kind != EventStepFailed || f.Attempts >= it.next {
		last := it.executing()
		if last == nil {
			it.Attempts = append(it.Attempts, Attempt{Number: it.next, Begin: it.due})
			last = &it.Attempts[len(it.Attempts)-1]
		}
		last.End, last.Error = e.At, f.Text
	}
	it.next, it.due = it.next+1, f.RetryAt
	it.Until, it.MaxAttempts, it.Error = f.RetryAt, f.MaxAttempts, f.Text
	switch e.Kind {
	case EventStepRetried:
		it.State = StateBackoff
	case EventStepFailed:
		it.end(e.At, StateFailed)
	case EventStepCompleted:
		it.Result = e.Data
		it.end(e.At, StateDone)
	default: // it ends no attempt
	}
}

// executing returns the attempt under way, or nil.
func (it *item) executing() *Attempt {
	if n := len(it.Attempts); n > 0 && it.Attempts[n-1].End.IsZero() {
		return &it.Attempts[n-1]
	}
	return nil
}

// executes notes an attempt under way.
func (it *item) executes(a Attempt) {
	try := it.executing()
	if try == nil {
		it.Attempts = append(it.Attempts, Attempt{})
		try = &it.Attempts[len(it.Attempts)-1]
	}
	*try = Attempt{Number: a.Number, Begin: a.Begin, Worker: a.Worker}
	it.State, it.Until = StateOpen, time.Time{}
}

// ask adds or ends what a line asks for.
func (t *timeline) ask(e *Event, line string) {
	a, ok := journal.Parse(line)
	if !ok {
		return
	}
	it := &item{Item: Item{Name: a.Ref, Position: e.Position, Begin: e.At, State: StateOpen}}
	switch a.Op {
	case journal.Step:
		it.Kind, it.next, it.due = KindStep, 1, e.At
		t.steps[a.Ref] = it
	case journal.Hook:
		it.Kind, it.Name = KindHook, a.Token
		t.hooks[a.Ref] = it
		switch {
		case a.Name != "":
			it.Name = a.Name
		case a.Token == "":
			it.Name = "hook " + a.Ref
			t.opened(it, journal.HookID(t.runID, a.Ref))
		}
	case journal.Sleep, journal.Deadline:
		it.Kind, it.Name, it.Until = ItemKind(a.Op), string(a.Op)+" "+a.Ref, a.Until
		t.timers[a.Ref] = it
		heap.Push(&t.running, it)
	case journal.Child:
		it.Kind, it.RunID = KindChild, a.RunID
		t.children[a.Ref] = it
	case journal.Await:
		it.Kind, it.Name, it.RunID = KindAwait, "run "+a.RunID, a.RunID
		t.awaits[a.Ref] = it
	case journal.Respond:
		it.Kind, it.Name, it.Request = KindResponse, "respond "+a.Ref, a.Request
		t.responses[a.Ref] = it
	case journal.Close:
		t.hooks[a.Ref].end(e.At, StateDone)
		return
	case journal.Stop:
		t.timers[a.Ref].end(e.At, StateStopped)
		return
	case journal.Leave:
		t.awaits[a.Ref].end(e.At, StateStopped)
		return
	case journal.Drain, journal.Pull: // what the hook has accepted is still to come
		return
	case journal.Link, journal.Revoke: // what comes of a link is not in the journal
		return
	case journal.Patched:
		it.Kind, it.End, it.State = KindPatch, e.At, StateDone
	case journal.Restart: // it takes no time
		return
	}
	t.items = append(t.items, it)
}

// opened notes the ID of a hook, by which payloads find it.
func (t *timeline) opened(it *item, id string) {
	ref := journal.HookRef(id)
	it.HookID = id
	it.Payloads = append(it.Payloads, t.early[ref]...)
	delete(t.early, ref)
	t.hookRefs[ref] = it
}

package execution

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
)

// hook is a hook of the run.
type hook struct {
	x       *Execution
	ref     string // its number in the run
	spec    store.Hook
	queue   []*item
	open    bool // registered and not closed by the code
	closed  bool // by the code
	asked   bool // a drain has been asked for
	drained bool
	waiters waitlist
	since   time.Time // since when the code waits
	by      string    // who sent the payload that the code has taken last
}

// item is a journaled payload.
type item struct {
	hookID  string
	at      time.Time
	data    []byte
	orStart *store.NewRun
	trace   string // of its sender, unless the payload is replayed
	actor   string
	taken   bool
}

// claim is a token whose owner the store decides.
type claim struct {
	hook    *hook
	done    bool
	owner   string
	carried *journal.HookForm // what the run carries under the token, if that is something else
	waiters waitlist
}

func (c *claim) Ready() bool         { return c.done }
func (c *claim) waitlist() *waitlist { return &c.waiters }

func (c *claim) effect() *store.Effect {
	return c.hook.opening()
}

// opening is the effect that opens the hook.
//
//go:noinline
func (h *hook) opening() *store.Effect {
	e := &store.Effect{Kind: store.OpenHook}
	e.Hook = h.spec // a literal would be on the stack first
	return e
}

func (c *claim) outcome(o store.Outcome) (store.Kind, string, []byte) {
	switch {
	case o.Carried != nil:
		return store.HookMismatch, c.hook.ref, formOf(o.Carried).Encode()
	case o.Conflict != "":
		return store.HookConflict, c.hook.ref, journal.EncodeID(o.Conflict)
	}
	claimed := journal.Claimed{ID: o.HookID}
	if c.hook.x.info.Generation > 0 { // in the first, what is adopted is as old as the run
		claimed.CreatedAt = o.CreatedAt
	}
	return store.HookClaimed, c.hook.ref, claimed.Encode()
}

func (c *claim) end(x *Execution, e *store.Event) {
	c.done = true
	switch e.Kind {
	case store.HookConflict:
		c.owner = journal.DecodeID(e.Data)
	case store.HookMismatch:
		form := journal.DecodeHookForm(e.Data)
		c.carried = &form
	default:
		claimed := journal.DecodeClaimed(e.Data)
		if claimed.ID != c.hook.spec.ID {
			c.hook.spec.ID, c.hook.spec.CreatedAt = claimed.ID, claimed.CreatedAt
		}
		if c.hook.spec.CreatedAt.IsZero() {
			c.hook.spec.CreatedAt = x.born // the hook was reserved when the run was started
		}
		c.hook.opened()
	}
	c.waiters.wake(x)
}

func (s *scope) NewHook(spec run.Hook) (run.OpenHook, error) {
	x := s.x
	b, err := x.enter()
	if err != nil {
		return nil, err
	}
	if err := s.err(); err != nil {
		return nil, err
	}
	if err := CheckSize("the metadata", spec.Metadata, x.env.Limit); err != nil {
		return nil, fmt.Errorf("new hook: %w", err)
	}
	h := x.newHook(&spec)
	if spec.Subject != "" {
		x.listens(b, &spec)
	}
	if spec.Webhook != nil {
		if err := x.encodeWebhook(b, h, spec.Webhook); err != nil {
			return nil, err
		}
	}
	if x.env.Opens != nil {
		x.env.Opens(h, spec.Payload, callerLine())
	}
	ask := journal.Ask{Op: journal.Hook, Ref: h.ref, Token: spec.Token}
	if spec.Name != "" {
		ask.Name = spec.Name
		h.spec.Token = journal.Token(x.deriveNamed(spec.Name))
	}
	if h.spec.Token == "" {
		label := journal.LabelToken
		if planted.TokenFromReplay.Here() && !x.live {
			label = "replayed token"
		}
		h.spec.Token = journal.Token(x.derive(label))
		x.ask(b, &ask)
		x.emit(h.opening(), nil)
		h.opened()
		return h, nil
	}
	x.ask(b, &ask)
	c := &claim{hook: h}
	x.await(c)
	x.wait(b, c)
	if c.owner != "" || c.carried != nil {
		return nil, c.refusal()
	}
	return h, nil
}

// What NewHook does not always need is not inlined into it, to keep its frame small: a branch that
// waits has the stack that it needed most, and 8 KB instead of 4 if that is too much.

// newHook is a hook that is not open yet.
//
//go:noinline
func (x *Execution) newHook(spec *run.Hook) *hook {
	x.hookCount++
	h := &hook{x: x, ref: journal.Number(x.info.Generation, x.hookCount)}
	h.spec = store.Hook{
		ID:        journal.HookID(x.runID(), h.ref),
		RunID:     x.info.RunID,
		Token:     spec.Token,
		Type:      spec.Type,
		Metadata:  spec.Metadata,
		CreatedAt: x.now,
		OpenedPos: x.position,
		Subject:   spec.Subject,
	}
	return h
}

// listens names a hook that listens, unless its author does. The run parks forever if its topic is
// another one in this engine.
//
//go:noinline
func (x *Execution) listens(b *branch, spec *run.Hook) {
	if unable := x.env.checkTopic(spec); unable != "" {
		x.diverged = &Divergence{Unable: unable, Caller: callerLine()}
		b.parkForever()
	}
	if spec.Token == "" && spec.Name == "" {
		spec.Name = journal.ListenerName(spec.Type, spec.Subject)
	}
}

// encodeWebhook notes how a hook takes HTTP requests. The run parks forever if this engine can't
// take them.
//
//go:noinline
func (x *Execution) encodeWebhook(b *branch, h *hook, w *run.Webhook) (err error) {
	if unable := x.env.checkWebhook(w); unable != "" {
		x.diverged = &Divergence{Unable: unable, Caller: callerLine()}
		b.parkForever()
	}
	if h.spec.Webhook, err = json.Marshal(w); err != nil {
		return fmt.Errorf("encode webhook: %w", err)
	}
	if a := w.Static; a != nil {
		if err := CheckResponse(a, x.env.Limit); err != nil {
			return fmt.Errorf("new webhook: %w", err)
		}
	}
	return nil
}

// refusal is why the code does not get the token.
//
//go:noinline
func (c *claim) refusal() error {
	h := c.hook
	if c.owner != "" {
		return h.x.conflict(h.spec.Token, c.owner)
	}
	return &run.HookMismatch{Token: h.spec.Token, Want: formOf(&h.spec).String(), Got: c.carried.String()}
}

// formOf is the form of a hook.
func formOf(h *store.Hook) journal.HookForm {
	f := journal.HookForm{Type: h.Type, Webhook: h.Webhook != nil, Subject: h.Subject}
	if f.Webhook {
		var w run.Webhook
		_ = json.Unmarshal(h.Webhook, &w) // the engine has encoded it
		f.Call, f.Verify = w.Call, w.Verify
	}
	return f
}

// conflict returns the error for a token that a run already has.
func (x *Execution) conflict(token, owner string) error {
	e := &run.HookConflict{Token: token, RunID: owner, Relation: x.relation(owner)}
	if owner == x.runID() {
		for id, h := range x.hookByID {
			if h.spec.Token == token {
				e.HookID, e.At = id, fmt.Sprintf("event %d", h.spec.OpenedPos)
			}
		}
	}
	return e
}

// relation returns what another run is to this one.
func (x *Execution) relation(runID string) journal.Relation {
	parent := x.parent
	if a := x.ancestor(); a != nil {
		parent = a.ParentID
	}
	switch runID {
	case x.runID():
		return journal.Itself
	case parent:
		return journal.Parent
	}
	for _, c := range x.children {
		if c.spec.ID == runID && c.started {
			return journal.Kid
		}
	}
	return ""
}

// opened makes payloads find the hook, including those that came before.
//
//go:noinline
func (h *hook) opened() {
	if h.x.hookByID == nil {
		h.x.hookByID = map[string]*hook{}
	}
	h.open = true
	h.x.hooks = append(h.x.hooks, HookChange{h.spec, true})
	h.x.hookByID[h.spec.ID] = h
	h.gather()
}

// HookChange is a hook that the code has opened or closed.
type HookChange struct {
	Hook store.Hook
	Open bool
}

// TakeHookChanges returns the hooks that were opened and closed since this was last called.
func (x *Execution) TakeHookChanges() []HookChange {
	changes := x.hooks
	x.hooks = nil
	return changes
}

// OpenHooks calls f with each hook that takes payloads.
func (x *Execution) OpenHooks(f func(*store.Hook)) {
	for _, h := range x.hookByID {
		f(&h.spec)
	}
}

// Intake says what becomes of a payload that comes to a hook.
type Intake int

// What becomes of a payload.
const (
	NotOpen  Intake = iota // the hook does not take payloads
	Direct                 // the code gets it next
	Behind                 // it waits behind others that the code has not taken
	Deferred               // it waits in the store, in the hook's backlog
)

// Intake returns what would become of a payload that comes to a hook now.
func (x *Execution) Intake(hookID string) Intake {
	h, bl := x.hookByID[hookID], x.backlogs[hookID]
	switch {
	case h == nil:
		return NotOpen
	case bl != nil && bl.stored:
		return Deferred
	case bl != nil || len(h.queue) > 0:
		return Behind
	}
	return Direct
}

// gather takes the payloads that came while the hook did not listen: before a reserved hook
// was opened, or after it was closed.
func (h *hook) gather() {
	h.queue = append(h.queue, h.x.early[h.spec.ID]...)
	delete(h.x.early, h.spec.ID)
}

// deliver puts a payload into its hook's queue.
func (x *Execution) deliver(e *store.Event) {
	it := &item{hookID: e.Ref, at: e.At, data: e.Data, orStart: e.OrStart, trace: x.payloadTrace, actor: e.Actor}
	if len(x.items) >= 64 && int(x.taken) > len(x.items)/2 {
		x.items, x.taken = x.untaken(), 0
	}
	x.items = append(x.items, it)
	h := x.hookByID[e.Ref]
	if h == nil {
		h = x.closing[e.Ref]
		delete(x.closing, e.Ref)
	}
	if h == nil {
		if x.early == nil {
			x.early = map[string][]*item{}
		}
		x.early[e.Ref] = append(x.early[e.Ref], it)
		return
	}
	h.queue = append(h.queue, it)
	h.waiters.wake(x)
}

// Unread returns the journaled payloads that the code has not taken, as messages.
func (x *Execution) Unread() (unread []store.Message) {
	for _, it := range x.untaken() {
		unread = append(unread, store.Message{
			RunID: x.info.RunID, Kind: store.PayloadReceived, Ref: it.hookID, Data: it.data, AcceptedAt: it.at, OrStart: it.orStart, Actor: it.actor,
		})
	}
	return unread
}

// untaken returns the journaled payloads that the code has not taken.
func (x *Execution) untaken() []*item {
	var left []*item
	for _, it := range x.items {
		if !it.taken {
			left = append(left, it)
		}
	}
	return left
}

func (h *hook) ID() string          { return h.spec.ID }
func (h *hook) Token() string       { return h.spec.Token }
func (h *hook) By() string          { return h.by }
func (h *hook) Ready() bool         { return len(h.queue) > 0 || h.drained }
func (h *hook) waitlist() *waitlist { return &h.waiters }

func (h *hook) Take() ([]byte, bool) {
	if len(h.queue) == 0 {
		return nil, false
	}
	it := h.queue[0]
	h.queue[0] = nil
	h.queue = h.queue[1:]
	it.taken = true
	h.by = it.actor
	h.x.taken++
	h.x.took = true
	if h.since.IsZero() {
		h.since = h.x.now // the payload was there before
	}
	h.x.over(Span{Kind: HookWaited, Name: h.spec.Type, Ref: h.spec.ID, From: h.since, Trace: it.trace, Actor: it.actor})
	h.since = time.Time{}
	return it.data, true
}

// Close does nothing while its branch unwinds: the hook outlives an eviction.
func (h *hook) Close() {
	b := h.x.current.Load()
	if b != nil && b.unwind || h.closed || h.x.restart != nil { // a deferred Close: the next generation has the hook
		return
	}
	b, err := h.x.enter()
	if err != nil {
		panic(err)
	}
	h.x.ask(b, &journal.Ask{Op: journal.Close, Ref: h.ref})
	h.open, h.closed = false, true
	if planted.CloseLosesPayloads.Here() {
		h.queue = nil
	}
	h.x.hooks = append(h.x.hooks, HookChange{h.spec, false})
	closing := h.spec
	closing.ClosedPos = h.x.position
	h.x.emit(&store.Effect{Kind: store.CloseHook, Hook: closing}, nil)
	delete(h.x.hookByID, h.spec.ID) // later payloads wait for a drain
	h.waiters.wake(h.x)
}

// drain is the wait for what a closed hook had accepted. Reading the mailbox after the close
// is durable decides it.
type drain struct{ hook *hook }

func (d *drain) effect() *store.Effect { return nil }

func (d *drain) outcome(store.Outcome) (store.Kind, string, []byte) {
	return store.HookDrained, d.hook.ref, nil
}

// Drains returns the references of closed hooks whose last payloads the code waits for.
func (x *Execution) Drains() (refs []string) {
	for _, ask := range x.pending {
		if d, ok := ask.(*drain); ok {
			refs = append(refs, d.hook.ref)
		}
	}
	return refs
}

// askDrain begins the drain of a closed hook whose queue is empty.
func (h *hook) askDrain(b *branch) {
	if !h.closed || h.asked || h.Ready() || h.x.closing[h.spec.ID] != nil {
		return
	}
	h.asked = true
	h.x.ask(b, &journal.Ask{Op: journal.Drain, Ref: h.ref})
	h.x.await(&drain{h})
}

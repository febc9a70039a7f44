package storetest

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tenter-dev/tenter/store"
)

// model is a store as simple as it can be: what the contract says, over slices
// and maps, with no time but "due", "later" and "never". The store under test
// is to agree with it after each operation.
type model struct {
	runs     map[string]*modelRun
	hooks    []*modelHook
	receipts map[[2]string]string // token and key: run
	live     map[string]bool      // workers with a lease
	messages int                  // so many there have been
}

type modelRun struct {
	id        string
	status    store.Status
	worker    string
	epoch     int64
	events    []modelMessage
	mail      []modelMessage
	unread    []modelMessage
	wake      int // never, due, later
	suspicion int
	crashes   int
	mark      bool
	blocked   string
	parent    string
}

const (
	never = iota
	due
	later
)

type modelMessage struct {
	Kind      store.Kind
	Ref, Data string
	OrStart   string
	journaled bool // of what is unread: it is in the journal too
	number    int  // in the order of messages
}

type modelHook struct {
	id, run, token string
	open, reserved bool
	opened, closed int64
	deferred       bool // its payloads go to the backlog
	backlog        []modelMessage
}

func newModel() *model {
	return &model{runs: map[string]*modelRun{}, receipts: map[[2]string]string{}, live: map[string]bool{}}
}

func (m *model) owner(token string) *modelHook {
	for _, h := range m.hooks {
		if h.token == token && h.open {
			return h
		}
	}
	return nil
}

func (m *model) hook(run, id string) *modelHook {
	for _, h := range m.hooks {
		if h.run == run && h.id == id {
			return h
		}
	}
	return nil
}

func (m *model) start(r store.NewRun) error {
	if m.runs[r.ID] != nil {
		return store.ErrExists
	}
	started := m.number(modelMessage{Kind: store.Started, Data: string(r.Input)})
	m.runs[r.ID] = &modelRun{id: r.ID, status: store.Running, parent: r.ParentID, mail: []modelMessage{started}}
	return nil
}

// number makes a message the last that there is.
func (m *model) number(mm modelMessage) modelMessage {
	m.messages++
	mm.number = m.messages
	return mm
}

// backlogs are the hooks of a run that have one.
func (m *model) backlogs(run string) []*modelHook {
	var all []*modelHook
	for _, h := range m.hooks {
		if h.run == run && h.deferred {
			all = append(all, h)
		}
	}
	return all
}

func (m *model) accept(p store.Payload) (run string, duplicate bool, err error) {
	if run, ok := m.receipts[[2]string{p.Token, p.Key}]; ok && p.Key != "" {
		return run, true, nil
	}
	h := m.owner(p.Token)
	orStart := ""
	if p.OrStart != nil {
		orStart = p.OrStart.ID
	}
	if h == nil {
		if p.OrStart == nil {
			return "", false, store.ErrNotFound
		}
		if err := m.start(*p.OrStart); err != nil {
			return "", false, err
		}
		h = m.reserve(orStart, p.Token)
	}
	r := m.runs[h.run]
	mm := m.number(modelMessage{Kind: store.PayloadReceived, Ref: h.id, Data: string(p.Data), OrStart: orStart})
	if h.deferred {
		h.backlog = append(h.backlog, mm)
	} else {
		r.mail = append(r.mail, mm)
	}
	if p.Key != "" {
		m.receipts[[2]string{p.Token, p.Key}] = h.run
	}
	return h.run, false, nil
}

func (m *model) reserve(run, token string) *modelHook {
	h := &modelHook{id: run + ".h0", run: run, token: token, open: true, reserved: true}
	m.hooks = append(m.hooks, h)
	return h
}

func (m *model) send(msg store.Message) error {
	r := m.runs[msg.RunID]
	mm := m.number(modelMessage{Kind: msg.Kind, Ref: msg.Ref, Data: string(msg.Data)})
	switch {
	case r == nil:
		return store.ErrNotFound
	case r.status.Ended():
		if r.status == store.Failed && (mm.Kind == store.ChildCompleted || mm.Kind == store.ChildFailed) {
			r.unread = append(r.unread, mm)
		}
		return store.ErrFenced
	}
	r.mail = append(r.mail, mm)
	return nil
}

// apply carries out a transition that took the messages at these places of the
// mailbox, and so many of each backlog.
func (m *model) apply(t *store.Transition, took []int, pulled map[string]int, wake int) ([]store.Outcome, error) {
	r := m.runs[t.RunID]
	switch {
	case t.Create != nil && r != nil:
		return nil, store.ErrExists
	case t.Create != nil:
		r = &modelRun{id: t.RunID, epoch: 1, parent: t.Create.ParentID}
		m.runs[t.RunID] = r
	case r == nil:
		return nil, store.ErrNotFound
	case t.Claim && (r.epoch != t.Epoch-1 || r.worker != ""), r.status.Ended():
		return nil, store.ErrFenced
	case !t.Claim && (r.epoch != t.Epoch || r.worker != "" && r.worker != t.Worker):
		return nil, store.ErrFenced
	case int64(len(r.events)) != t.After:
		return nil, store.ErrConflict
	case !t.NoMailBefore.IsZero() && m.passed(r, t, took, pulled):
		return nil, store.ErrConflict
	}
	for i := len(r.mail) - 1; i >= 0; i-- {
		if slices.Contains(took, i) {
			r.mail = slices.Delete(r.mail, i, i+1)
		}
	}
	m.changeBacklogs(r, t, pulled)
	for _, e := range t.Events {
		orStart := ""
		if e.OrStart != nil {
			orStart = e.OrStart.ID
		}
		r.events = append(r.events, modelMessage{Kind: e.Kind, Ref: e.Ref, Data: string(e.Data), OrStart: orStart})
	}
	r.status, r.worker, r.epoch, r.wake = t.Status, "", t.Epoch, wake
	r.suspicion, r.mark, r.crashes, r.blocked = t.Suspicion, t.Mark, t.Crashes, t.BlockedBuild
	if t.Keep && !t.Status.Ended() {
		r.worker = t.Worker
	}
	var outcomes []store.Outcome
	for _, e := range t.Effects {
		outcomes = append(outcomes, m.effect(r, e))
	}
	if t.Status.Ended() {
		m.end(r, t)
	}
	return outcomes, nil
}

func (m *model) effect(r *modelRun, e store.Effect) store.Outcome {
	switch e.Kind {
	case store.OpenHook:
		h := m.owner(e.Hook.Token)
		switch {
		case h == nil:
			m.hooks = append(m.hooks, &modelHook{id: e.Hook.ID, run: r.id, token: e.Hook.Token, open: true, opened: e.Hook.OpenedPos})
			return store.Outcome{HookID: e.Hook.ID}
		case h.run == r.id && h.reserved:
			h.reserved, h.opened = false, e.Hook.OpenedPos
			return store.Outcome{HookID: h.id}
		}
		return store.Outcome{Conflict: h.run}
	case store.CloseHook:
		if h := m.hook(r.id, e.Hook.ID); h != nil && h.open {
			h.open, h.closed = false, e.Hook.ClosedPos
		}
	case store.StartRun:
		if m.start(e.Run) != nil {
			return store.Outcome{Conflict: e.Run.ID}
		}
	case store.Send:
		_ = m.send(e.Message)
	case store.Respond: // has its own tests: answers touch nothing that is modeled here
	}
	return store.Outcome{}
}

// passed reports whether there is a message that the transition has not taken.
func (m *model) passed(r *modelRun, t *store.Transition, took []int, pulled map[string]int) bool {
	for i, mm := range r.mail {
		if !slices.Contains(took, i) && !slices.Contains(t.Defer, mm.Ref) {
			return true
		}
	}
	for _, h := range m.backlogs(r.id) {
		if slices.Contains(t.Admit, h.id) && len(h.backlog) > pulled[h.id] {
			return true
		}
	}
	return false
}

func (m *model) changeBacklogs(r *modelRun, t *store.Transition, pulled map[string]int) {
	for id, n := range pulled {
		h := m.hook(r.id, id)
		h.backlog = h.backlog[n:]
	}
	for _, id := range t.Defer {
		h := m.hook(r.id, id)
		of := func(mm modelMessage) bool { return mm.Kind == store.PayloadReceived && mm.Ref == id }
		if h == nil || h.deferred || !slices.ContainsFunc(r.mail, of) {
			continue
		}
		h.deferred = true
		for _, mm := range r.mail {
			if of(mm) {
				h.backlog = append(h.backlog, mm)
			}
		}
		r.mail = slices.DeleteFunc(r.mail, of)
	}
	for _, id := range t.Admit {
		if h := m.hook(r.id, id); h != nil {
			m.admit(r, h)
		}
	}
}

// admit puts what is in a backlog back into the mailbox.
func (m *model) admit(r *modelRun, h *modelHook) {
	for _, mm := range h.backlog {
		mm.Ref = h.id
		r.mail = append(r.mail, mm)
	}
	h.deferred, h.backlog = false, nil
	slices.SortStableFunc(r.mail, func(a, b modelMessage) int { return cmp.Compare(a.number, b.number) })
}

func (m *model) end(r *modelRun, t *store.Transition) {
	var journaled []modelMessage
	for _, u := range t.Unread {
		mm := modelMessage{Kind: u.Kind, Ref: u.Ref, Data: string(u.Data), journaled: true}
		if u.OrStart != nil {
			mm.OrStart = u.OrStart.ID
		}
		journaled = append(journaled, mm)
	}
	r.worker, r.wake = "", never
	m.closeAll(r)
	if t.TookAny {
		journaled = m.succeed(r, journaled)
	}
	for _, h := range m.backlogs(r.id) {
		m.admit(r, h)
	}
	r.unread = append(append(r.unread, journaled...), m.drain(r)...)
}

// succeed starts successors, and returns what stays unread of what is in the journal.
func (m *model) succeed(r *modelRun, journaled []modelMessage) []modelMessage {
	token := func(mm modelMessage) string {
		if h := m.hook(r.id, mm.Ref); h != nil && mm.OrStart != "" && mm.Kind == store.PayloadReceived {
			return h.token
		}
		return ""
	}
	all := slices.Concat(journaled, r.mail)
	for _, h := range m.backlogs(r.id) {
		for _, mm := range h.backlog {
			mm.Ref = h.id
			all = append(all, mm)
		}
	}
	next := map[string]*modelHook{}
	for _, mm := range all {
		tok := token(mm)
		if _, tried := next[tok]; tried || tok == "" {
			continue
		}
		next[tok] = nil
		if m.owner(tok) == nil && m.start(newRun(mm.OrStart)) == nil {
			next[tok] = m.reserve(mm.OrStart, tok)
			next[tok].deferred = true
		}
	}
	// What it goes on with, and what stays.
	part := func(mail []modelMessage) (stay []modelMessage) {
		for _, mm := range mail {
			if s := next[token(mm)]; s != nil {
				mm.Ref, mm.journaled = s.id, false
				s.backlog = append(s.backlog, mm)
			} else {
				stay = append(stay, mm)
			}
		}
		return stay
	}
	r.mail = part(r.mail)
	for _, h := range m.backlogs(r.id) {
		for i := range h.backlog {
			h.backlog[i].Ref = h.id
		}
		h.backlog = part(h.backlog)
	}
	for _, s := range next {
		if s != nil {
			slices.SortStableFunc(s.backlog, func(a, b modelMessage) int { return cmp.Compare(a.number, b.number) })
		}
	}
	// What the journal had comes in front.
	for _, s := range next {
		if s == nil {
			continue
		}
		var front []modelMessage
		for _, mm := range journaled {
			if next[token(mm)] == s {
				mm.Ref, mm.journaled, mm.number = s.id, false, inFront
				front = append(front, mm)
			}
		}
		s.backlog = append(front, s.backlog...)
	}
	return slices.DeleteFunc(journaled, func(mm modelMessage) bool { return next[token(mm)] != nil })
}

// inFront is the number of messages that came in front of others.
const inFront = -1

// drain empties a mailbox and returns what is kept of it.
func (m *model) drain(r *modelRun) []modelMessage {
	var kept []modelMessage
	for _, mm := range r.mail {
		again := mm.Kind != store.CancelRequested && mm.Kind != store.Woken && mm.Kind != store.Retried
		if mm.Kind == store.PayloadReceived || (r.status == store.Failed && again) {
			kept = append(kept, mm)
		}
	}
	r.mail = nil
	return kept
}

func (m *model) closeAll(r *modelRun) {
	for _, h := range m.hooks {
		if h.run == r.id && h.open {
			h.open, h.closed = false, int64(len(r.events))
		}
	}
}

func (m *model) terminate(id string) error {
	r := m.runs[id]
	switch {
	case r == nil:
		return store.ErrNotFound
	case r.status.Ended():
		return store.ErrFenced
	}
	r.status, r.worker, r.wake, r.mark, r.blocked = store.Canceled, "", never, false, ""
	r.epoch++
	r.events = append(r.events, modelMessage{Kind: store.RunCanceled})
	for _, h := range m.backlogs(id) {
		m.admit(r, h)
	}
	r.unread = append(r.unread, m.drain(r)...)
	m.closeAll(r)
	for _, c := range m.runs {
		if c.parent == id {
			_ = m.send(store.Message{RunID: c.id, Kind: store.CancelRequested})
		}
	}
	if r.parent != "" {
		_ = m.send(store.Message{RunID: r.parent, Kind: store.ChildFailed, Ref: "call#1"})
	}
	return nil
}

func (m *model) retry(c store.Cut) error {
	r := m.runs[c.RunID]
	if r == nil {
		return store.ErrNotFound
	}
	if r.status != store.Failed || int64(len(r.events)) != c.Events {
		return store.ErrConflict
	}
	reopened := func(h *modelHook) bool { return h.run == r.id && h.opened < c.From && h.closed >= c.From }
	for _, h := range m.hooks {
		if reopened(h) && m.owner(h.token) != nil {
			return store.ErrExists
		}
	}
	for _, h := range m.hooks {
		if reopened(h) {
			h.open, h.closed = true, 0
		}
	}
	m.hooks = slices.DeleteFunc(m.hooks, func(h *modelHook) bool { return h.run == r.id && h.opened >= c.From })
	r.mail = nil
	for _, pos := range c.Back {
		r.mail = append(r.mail, m.number(r.events[pos-1]))
	}
	for _, u := range r.unread {
		if !u.journaled {
			r.mail = append(r.mail, m.number(u))
		}
	}
	r.mail = append(r.mail, m.number(modelMessage{Kind: store.Retried}))
	r.events = r.events[:c.From-1]
	r.unread = nil
	r.epoch++
	r.status, r.suspicion, r.crashes, r.mark, r.blocked, r.wake = store.Running, 0, 0, false, "", never
	return nil
}

func (m *model) unblock(id string) error {
	r := m.runs[id]
	switch {
	case r == nil:
		return store.ErrNotFound
	case r.status != store.Blocked:
		return store.ErrConflict
	}
	r.status, r.blocked, r.wake = store.Running, "", due
	return nil
}

// claimable are the runs that a worker of a build could claim, by ID.
func (m *model) claimable(worker, build string) []string {
	out := []string{}
	for _, r := range m.runs {
		switch {
		case len(r.mail) == 0 && r.wake != due, r.status.Ended():
		case r.worker != "" && (r.worker == worker || m.live[r.worker]):
		case r.blocked != "" && r.blocked == build:
		default:
			out = append(out, r.id)
		}
	}
	slices.Sort(out)
	return out
}

func (m *model) claim(id, worker string) {
	r := m.runs[id]
	if r.worker != "" {
		r.suspicion++
		if r.mark {
			r.crashes++
		}
	}
	r.mark = false
	r.worker = worker
	r.epoch++
}

func (m *model) fence(id, worker string, epoch int64) error {
	r := m.runs[id]
	switch {
	case r == nil:
		return store.ErrNotFound
	case r.epoch != epoch, r.worker != "" && r.worker != worker, r.status.Ended():
		return nil
	}
	r.worker, r.mark = worker, false
	r.epoch++
	return nil
}

func (m *model) release(worker string) {
	m.live[worker] = false
	for _, r := range m.runs {
		if r.worker == worker {
			r.worker = ""
		}
	}
}

// sorted are the runs by ID.
func (m *model) sorted() []*modelRun {
	var all []*modelRun
	for _, r := range m.runs {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *modelRun) int { return cmp.Compare(a.id, b.id) })
	return all
}

// String shows a run in a failure.
func (r *modelRun) String() string { return fmt.Sprintf("%+v", *r) }
